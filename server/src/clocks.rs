//! How far each node's clock is off, as its agent tells it with every question. In memory alone.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use dockmaster_proto::{id::ContainerId, time::UnixMs};

use crate::state::State;

/// From here on a difference is told, in milliseconds: certificates begin so long before they are made.
pub const MAX_SKEW_MS: u64 = 5 * 60 * 1000;

/// The clocks of nodes.
#[derive(Debug, Default)]
pub struct Clocks(Mutex<HashMap<ContainerId, i64>>);

/// What is new about a node's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// Nothing.
    None,
    /// It is off by more than [`MAX_SKEW_MS`]: milliseconds ahead of ours, or behind it if negative.
    Off(i64),
    /// It is right again.
    Right,
}

impl Clocks {
    /// Takes up what a node's clock says at our `now`.
    pub fn note(&self, node: ContainerId, its: UnixMs, now: UnixMs) -> News {
        let skew = skew(its, now);
        let before = self.all().insert(node, skew);
        let is_off = |skew: i64| skew.unsigned_abs() > MAX_SKEW_MS;
        match (before.is_some_and(is_off), is_off(skew)) {
            (false, true) => News::Off(skew),
            (true, false) => News::Right,
            _ => News::None,
        }
    }

    /// How far a node's clock is ahead of ours in milliseconds; behind it if negative.
    #[must_use]
    pub fn of(&self, node: &ContainerId) -> Option<i64> {
        self.all().get(node).copied()
    }

    /// Forgets nodes that ended.
    pub fn forget_all_but(&self, state: &State) {
        self.all().retain(|node, _| state.node(node).is_some());
    }

    fn all(&self) -> MutexGuard<'_, HashMap<ContainerId, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn skew(its: UnixMs, now: UnixMs) -> i64 {
    let (ahead, behind) = (its.since(now), now.since(its));
    let signed = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    signed(ahead) - signed(behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_news_when_a_clock_goes_wrong_and_when_it_is_right_again() {
        let clocks = Clocks::default();
        let node = ContainerId::from_bytes([1; 32]);
        let now = UnixMs(10_000_000);
        let limit = MAX_SKEW_MS;
        let at = |ms| clocks.note(node, UnixMs(ms), now);
        assert_eq!(at(now.0 + limit), News::None);
        let ahead = i64::try_from(limit + 1).unwrap();
        assert_eq!(at(now.0 + limit + 1), News::Off(ahead));
        assert_eq!(at(now.0 + limit + 2), News::None);
        assert_eq!(at(now.0), News::Right);
        assert_eq!(at(now.0 - limit - 1), News::Off(-ahead));
        assert_eq!(clocks.of(&node), Some(-ahead));
        assert_eq!(at(u64::MAX), News::None, "as wrong as before");
    }
}
