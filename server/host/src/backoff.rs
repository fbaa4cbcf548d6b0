//! How long to wait before the next attempt to reach something local.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Doubling delays from 100 ms to 5 s. Without jitter: one watcher per engine makes no herd.
#[derive(Debug, Clone)]
pub(crate) struct Backoff(Duration);

impl Backoff {
    /// The first delay is next.
    pub(crate) const fn new() -> Self {
        Self(FIRST)
    }

    /// The delay to wait now; the next is twice as long.
    pub(crate) fn next_delay(&mut self) -> Duration {
        let delay = self.0;
        self.0 = (delay * 2).min(LONGEST);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_five_seconds() {
        let mut backoff = Backoff::new();
        let delays: Vec<_> = (0..8).map(|_| backoff.next_delay().as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    }
}
