//! Room for values that nest: a template can make a list of a list of a list, as deep as its fuel
//! goes, and whoever prints or drops it goes down all of it.

use std::thread;

/// Only the pages that are touched take memory. Enough for what [`crate::template`]'s fuel buys.
const STACK: usize = 1 << 30;

/// Runs something on a stack of its own. Where none is to be had it runs on the caller's.
pub(crate) fn run<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    // Taken by the thread, or left to the caller.
    let slot = std::sync::Mutex::new(Some(work));
    let take = || {
        let mut slot = slot
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        slot.take()
    };
    let done = thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name("compile".to_owned())
            .stack_size(STACK)
            .spawn_scoped(scope, || take().map(|work| work()));
        match thread.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(done)) => done,
            // A panic is the caller's, as if there were no thread.
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(_) => None,
        }
    });
    match done {
        Some(done) => done,
        #[expect(clippy::expect_used, reason = "no thread has taken it")]
        None => take().expect("the work is still there")(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_deep_has_room_and_a_panic_comes_out() {
        fn down(depth: u64) -> u64 {
            let room = std::hint::black_box([depth; 64]);
            if depth == 0 {
                0
            } else {
                down(depth - 1) + room[0].min(1)
            }
        }
        assert_eq!(run(|| down(500_000)), 500_000);
        let panicked = std::panic::catch_unwind(|| run(|| panic!("oh")));
        assert!(panicked.is_err());
    }
}
