//! How fast somebody is served who asks for more than anyone honest does: not refused, but let wait.
//!
//! What is refused without a cost to the one who asks is asked again as fast as the answers come, and
//! then everybody else waits for a processor. So the first of a burst are answered at once, and the
//! rest in turn, some milliseconds apart: each wait costs the master a timer, and nobody else anything.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::{
    env,
    origin::Origin,
    quota::{Allowance, Quota},
};

/// Refusals of one origin: 200 at once, then 200 a second.
const REFUSALS: Allowance = Allowance {
    burst: 200,
    refill_ms: 5,
};
/// TLS handshakes of one origin: as many at once as it may have connections, then 50 a second. They
/// are the most expensive thing that anyone may ask for.
const HANDSHAKES: Allowance = Allowance {
    burst: 256,
    refill_ms: 20,
};
/// The longest wait.
const MOST_MS: u64 = 2_000;

/// Lets those wait who come too fast.
#[derive(Debug)]
pub struct Pace(Mutex<Quota<Origin>>);

impl Pace {
    /// For refusals.
    #[must_use]
    pub fn of_refusals() -> Self {
        Self(Mutex::new(Quota::new(REFUSALS)))
    }

    /// For TLS handshakes.
    #[must_use]
    pub fn of_handshakes() -> Self {
        Self(Mutex::new(Quota::new(HANDSHAKES)))
    }

    /// Counts one more of an origin, and waits until it is its turn.
    pub async fn keep(&self, origin: Origin) {
        let wait_ms =
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .owe(origin, env::now(), MOST_MS);
        // A timer rounds up to the next millisecond, also none at all.
        if wait_ms > 0 {
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use tokio::time::Instant;

    use super::*;

    fn origin(last: u8) -> Origin {
        Origin::direct(IpAddr::from([10, 0, 0, last]))
    }

    async fn waited(pace: &Pace, last: u8) -> Duration {
        let begin = Instant::now();
        pace.keep(origin(last)).await;
        begin.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_served_at_once_and_a_flood_in_turn_while_others_do_not_wait() {
        let pace = Pace::of_refusals();
        let most = Duration::from_millis(MOST_MS);
        for _ in 0..REFUSALS.burst {
            assert!(waited(&pace, 1).await.is_zero());
        }
        let mut waits = Vec::new();
        for _ in 0..1000 {
            waits.push(waited(&pace, 1).await);
        }
        // The clock of the turns does not stand still: a few come due while this runs.
        let at_once = waits.iter().filter(|wait| wait.is_zero()).count();
        assert!(at_once < 500, "{at_once} of 1000 did not wait");
        assert!(waits.iter().all(|wait| *wait <= most), "{waits:?}");
        assert!(waited(&pace, 2).await.is_zero());
        let handshakes = Pace::of_handshakes();
        for _ in 0..HANDSHAKES.burst {
            assert!(waited(&handshakes, 1).await.is_zero());
        }
    }
}
