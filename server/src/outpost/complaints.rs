//! What goes wrong with containers' connections, told once a minute for each reason: whoever may connect
//! must not be able to fill the log, and an operator must not look for the reason in vain.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use dockmaster_proto::problem::ProblemCode;

use super::places::NoPlace;

/// How long nothing more is told of a reason.
const EVERY: Duration = Duration::from_secs(60);

/// What complaints are gathered by; there are few.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Reason {
    /// The master does not take the connection.
    Refused(ProblemCode),
    /// It was dialled where no bridge of the engine is.
    NoBridge,
    /// There is no place for it.
    NoPlace(NoPlace),
    /// The kernel gives no more connections.
    NotAccepted,
}

/// What was told when.
#[derive(Debug, Default)]
pub(super) struct Complaints(Mutex<HashMap<Reason, Told>>);

#[derive(Debug)]
struct Told {
    at: Instant,
    /// So often since.
    kept_back: u64,
}

impl Complaints {
    /// Whether something is to be told now: with how many like it that were not, since the last was.
    pub(super) fn due(&self, reason: Reason, now: Instant) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = told.get_mut(&reason);
        let kept_back = match last {
            Some(last) if now.duration_since(last.at) < EVERY => {
                last.kept_back += 1;
                return None;
            }
            Some(last) => last.kept_back,
            None => 0,
        };
        let told_now = Told {
            at: now,
            kept_back: 0,
        };
        told.insert(reason, told_now);
        Some(kept_back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_told_once_a_minute_with_how_many_there_were() {
        let complaints = Complaints::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let refused = Reason::Refused(ProblemCode::AddressNotPermitted);
        assert_eq!(complaints.due(refused, at(0)), Some(0));
        assert_eq!(complaints.due(refused, at(1)), None);
        assert_eq!(complaints.due(refused, at(59)), None);
        assert_eq!(complaints.due(Reason::NoBridge, at(59)), Some(0));
        assert_eq!(complaints.due(refused, at(60)), Some(2));
        assert_eq!(complaints.due(refused, at(61)), None);
        assert_eq!(complaints.due(refused, at(200)), Some(1));
    }
}
