//! How often somebody may have something that costs the disk and the signer: a token bucket each.

use std::{collections::HashMap, hash::Hash};

use dockmaster_proto::time::UnixMs;

/// Buckets below this number are not worth a look for full ones.
const FEW: usize = 1024;

/// How much a bucket gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance {
    /// How much may be taken at once after a quiet time.
    pub burst: u64,
    /// Milliseconds after which one more may be taken.
    pub refill_ms: u64,
}

/// A token bucket for each `K`, kept as the time at which it is full again.
#[derive(Debug)]
pub struct Quota<K> {
    allowance: Allowance,
    full_at: HashMap<K, UnixMs>,
    /// At this number of buckets the full ones are looked for again.
    prune_at: usize,
}

impl<K: Hash + Eq> Quota<K> {
    /// Full buckets for everyone.
    #[must_use]
    pub fn new(allowance: Allowance) -> Self {
        Self {
            allowance,
            full_at: HashMap::new(),
            prune_at: FEW,
        }
    }

    /// Takes one from a bucket.
    ///
    /// # Errors
    /// When there is none left: the milliseconds until there is.
    pub fn take(&mut self, key: K, now: UnixMs) -> Result<(), u64> {
        let Allowance { burst, refill_ms } = self.allowance;
        self.prune(now);
        let most = burst * refill_ms;
        // Never later than an empty bucket takes: a clock that leapt ahead and came back must not keep
        // anyone waiting for the day that it showed.
        let full_at = self
            .full_at
            .get(&key)
            .map_or(now, |full_at| (*full_at).max(now).min(now.plus_ms(most)));
        let after = full_at.plus_ms(refill_ms);
        if after.since(now) > most {
            self.full_at.insert(key, full_at);
            return Err(after.since(now) - most);
        }
        self.full_at.insert(key, after);
        Ok(())
    }

    /// A bucket that is full needs no memory. Looked for only when there are twice as many as were
    /// left the last time, so that a thousand at once do not each go through a thousand.
    fn prune(&mut self, now: UnixMs) {
        if self.full_at.len() >= self.prune_at {
            self.full_at.retain(|_, full_at| *full_at > now);
            self.prune_at = (2 * self.full_at.len()).max(FEW);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWANCE: Allowance = Allowance {
        burst: 20,
        refill_ms: 5_000,
    };

    #[test]
    fn a_flood_from_one_costs_no_other_anything() {
        let mut quota = Quota::new(ALLOWANCE);
        let now = UnixMs(1_000_000);
        let granted = (0..1000).filter(|_| quota.take(1, now).is_ok()).count();
        assert_eq!(granted as u64, ALLOWANCE.burst);
        assert_eq!(quota.take(1, now), Err(ALLOWANCE.refill_ms));
        assert_eq!(quota.take(2, now), Ok(()));
        let later = now.plus_ms(ALLOWANCE.refill_ms);
        assert_eq!(quota.take(1, later), Ok(()));
        assert!(quota.take(1, later).is_err());
    }

    #[test]
    fn a_clock_that_leaps_and_comes_back_locks_nobody_out() {
        let mut quota = Quota::new(ALLOWANCE);
        let now = UnixMs(1_000_000);
        quota.take(1, now.plus_ms(86_400_000)).unwrap();
        assert_eq!(quota.take(1, now), Err(ALLOWANCE.refill_ms));
        let soon = now.plus_ms(ALLOWANCE.refill_ms);
        assert_eq!(quota.take(1, soon), Ok(()));
    }

    #[test]
    fn full_buckets_are_forgotten() {
        let mut quota = Quota::new(ALLOWANCE);
        for second in 0..100 {
            for key in 0..FEW {
                let now = UnixMs(1_000_000 + second * 60_000);
                quota.take((second, key), now).unwrap();
            }
        }
        assert!(quota.full_at.len() <= 2 * FEW, "{}", quota.full_at.len());
    }
}
