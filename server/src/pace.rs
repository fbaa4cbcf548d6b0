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
