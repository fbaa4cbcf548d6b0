//! When a process that ended is started again.

use std::time::Duration;

use dockmaster_proto::resource::RestartPolicy;

use super::reaper::Exit;

const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(10);
/// A process that ran for so long has recovered: its next end counts as the first.
const RECOVERED: Duration = Duration::from_secs(10);

/// What follows the end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It stays ended.
    Stay,
    /// It is started again after a while.
    Again(Duration),
}

/// Counts the ends that came too soon.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Streak(u32);

impl Streak {
    /// Decides after an end.
    pub fn next(&mut self, policy: RestartPolicy, exit: Exit, ran_for: Duration) -> Next {
        let again = match policy {
            RestartPolicy::Never => false,
            RestartPolicy::OnFailure => !exit.is_success(),
            RestartPolicy::Always => true,
        };
        if !again {
            return Next::Stay;
        }
        if ran_for >= RECOVERED {
            self.0 = 0;
        }
        let delay = FIRST_DELAY * 2_u32.saturating_pow(self.0.min(16));
        self.0 = self.0.saturating_add(1);
        Next::Again(delay.min(LONGEST_DELAY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: Exit = Exit::Status(1);
    const SHORT: Duration = Duration::from_millis(5);

    #[test]
    fn the_wait_doubles_up_to_ten_seconds_and_begins_anew_after_a_good_run() {
        let mut streak = Streak::default();
        let mut waits = Vec::new();
        for _ in 0..9 {
            waits.push(streak.next(RestartPolicy::Always, FAILED, SHORT));
        }
        assert_eq!(waits[0], Next::Again(Duration::from_millis(100)));
        assert_eq!(waits[3], Next::Again(Duration::from_millis(800)));
        assert_eq!(waits[8], Next::Again(LONGEST_DELAY));
        assert_eq!(
            streak.next(RestartPolicy::Always, FAILED, RECOVERED),
            Next::Again(FIRST_DELAY)
        );
    }

    #[test]
    fn a_success_is_no_failure() {
        let mut streak = Streak::default();
        let end = Exit::Status(0);
        assert_eq!(
            streak.next(RestartPolicy::OnFailure, end, SHORT),
            Next::Stay
        );
        assert_eq!(streak.next(RestartPolicy::Never, FAILED, SHORT), Next::Stay);
        let killed = Exit::Signal(9);
        assert!(matches!(
            streak.next(RestartPolicy::OnFailure, killed, SHORT),
            Next::Again(_)
        ));
    }
}
