//! How many certificates one container may ask for: enough for every honest agent, too few to fill
//! a disk or to keep the master busy with signing.

use std::collections::HashMap;

use dockmaster_proto::{id::ContainerId, time::UnixMs};

/// Certificates that a container may have at once after a quiet time.
const BURST: u64 = 20;
/// Milliseconds after which a container may have one more.
const REFILL_MS: u64 = 5_000;

/// A token bucket per container, kept as the time at which it is full again.
#[derive(Debug, Default)]
pub struct Quota {
    full_at: HashMap<ContainerId, UnixMs>,
}

impl Quota {
    /// Takes one of the container's certificates. When there is none left: the milliseconds until
    /// there is.
    ///
    /// # Errors
    /// The wait.
    pub fn take(&mut self, container: ContainerId, now: UnixMs) -> Result<(), u64> {
        // A bucket that is full needs no memory.
        self.full_at.retain(|_, full_at| *full_at > now);
        let full_at = self
            .full_at
            .get(&container)
            .map_or(now, |full_at| (*full_at).max(now));
        let after = full_at.plus_ms(REFILL_MS);
        let most = BURST * REFILL_MS;
        if after.since(now) > most {
            return Err(after.since(now) - most);
        }
        self.full_at.insert(container, after);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::id;

    #[test]
    fn a_flood_from_one_container_costs_no_other_anything() {
        let mut quota = Quota::default();
        let now = UnixMs(1_000_000);
        let granted = (0..1000).filter(|_| quota.take(id(1), now).is_ok()).count();
        assert_eq!(granted as u64, BURST);
        assert_eq!(quota.take(id(1), now), Err(REFILL_MS));
        assert_eq!(quota.take(id(2), now), Ok(()));
        assert_eq!(quota.take(id(1), now.plus_ms(REFILL_MS)), Ok(()));
        assert!(quota.take(id(1), now.plus_ms(REFILL_MS)).is_err());
        quota
            .take(id(2), now.plus_ms(BURST * REFILL_MS * 2))
            .unwrap();
        assert_eq!(quota.full_at.len(), 1, "full buckets are forgotten");
    }
}
