//! Waiting for what comes soon.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long anything may take before a test gives up: long, since machines are slow at times, and
/// a test that passes never waits for it.
#[must_use]
pub const fn patience() -> Duration {
    Duration::from_secs(60)
}

/// Asks again and again until there is an answer, and gives it with the time that it took.
///
/// # Panics
/// When there is no answer in time.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> (T, Duration) {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return (answer, begin.elapsed());
        }
        assert!(
            begin.elapsed() < patience(),
            "{what}: not within {} seconds",
            patience().as_secs()
        );
        thread::park_timeout(Duration::from_millis(10));
    }
}
