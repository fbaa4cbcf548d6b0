//! The clock and chance of the agent: the one place that reads them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dockmaster_proto::time::UnixMs;
use ring::rand::SecureRandom;

/// The container's time.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is where the agent reads its clock"
)]
pub fn now() -> UnixMs {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    UnixMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A random number.
#[must_use]
pub fn chance(random: &dyn SecureRandom) -> u32 {
    let mut bytes = [0; 4];
    // Without randomness there is no key and no TLS either; here it only spreads load.
    let _ = random.fill(&mut bytes);
    u32::from_ne_bytes(bytes)
}

/// A point between half of a duration and the whole of it, so that a fleet does not come at once.
/// `chance` is any random number.
#[must_use]
pub fn jitter(duration: Duration, chance: u32) -> Duration {
    let half = duration / 2;
    half + half.mul_f64(f64::from(chance) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_keeps_between_half_and_the_whole() {
        let second = Duration::from_secs(1);
        assert_eq!(jitter(second, 0), second / 2);
        assert_eq!(jitter(second, u32::MAX), second);
    }
}
