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

impl Allowance {
    /// How long an empty bucket takes until it is full.
    const fn whole_ms(self) -> u64 {
        self.burst * self.refill_ms
    }
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
        let most = self.allowance.whole_ms();
        let full_at = self.full_at(&key, now, most);
        let after = full_at.plus_ms(self.allowance.refill_ms);
        if after.since(now) > most {
            self.full_at.insert(key, full_at);
            return Err(after.since(now) - most);
        }
        self.full_at.insert(key, after);
        Ok(())
    }

    /// Takes one from a bucket in any case, on credit where there is none left: the milliseconds until
    /// it is there. No more than `credit_ms` is ever owed, whatever was taken.
    pub fn owe(&mut self, key: K, now: UnixMs, credit_ms: u64) -> u64 {
        let whole = self.allowance.whole_ms();
        let most = whole + credit_ms;
        let after = self
            .full_at(&key, now, most)
            .plus_ms(self.allowance.refill_ms)
            .min(now.plus_ms(most));
        self.full_at.insert(key, after);
        after.since(now).saturating_sub(whole)
    }

    /// When a bucket is full again, `most_ms` from now at the latest: a clock that leapt ahead and came
    /// back must not keep anyone waiting for the day that it showed.
    fn full_at(&mut self, key: &K, now: UnixMs, most_ms: u64) -> UnixMs {
        self.prune(now);
        let known = self.full_at.get(key);
        known.map_or(now, |full_at| (*full_at).max(now).min(now.plus_ms(most_ms)))
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
    fn on_credit_each_waits_for_its_own_turn_and_never_for_ever() {
        let mut quota = Quota::new(ALLOWANCE);
        let now = UnixMs(1_000_000);
        let credit = 4 * ALLOWANCE.refill_ms;
        let waits: Vec<u64> = (0..30).map(|_| quota.owe(1, now, credit)).collect();
        let free = usize::try_from(ALLOWANCE.burst).unwrap();
        assert!(waits[..free].iter().all(|wait| *wait == 0));
        assert_eq!(
            waits[free..free + 5],
            [5_000, 10_000, 15_000, 20_000, 20_000]
        );
        assert_eq!(quota.owe(2, now, credit), 0, "another's bucket is full");
        // What was owed is paid by waiting, also where the clock leaps and comes back.
        let later = now.plus_ms(credit + ALLOWANCE.refill_ms);
        assert_eq!(quota.owe(1, later, credit), 0);
        quota.owe(1, now.plus_ms(86_400_000), credit);
        assert!(quota.owe(1, now, credit) <= credit);
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
