//! When a certificate is renewed and when it ends. Pure.

use std::time::{Duration, Instant};

use dockmaster_proto::api::identity::IssuedCertificate;

/// Times of a certificate by our own steady clock, so that a wrong time of day does no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Schedule {
    /// From then on a new one is asked for.
    pub renew_at: Instant,
    /// It does not count any more.
    pub expires_at: Instant,
    /// It was asked for, and there was none to be had.
    put_off: bool,
}

impl Schedule {
    /// The times of a certificate that was issued just now: what the master says, reckoned from the
    /// master's own time.
    pub(super) fn of(issued: &IssuedCertificate, now: Instant) -> Self {
        let left = issued.not_after_ms.since(issued.master_time_ms);
        // However the master reckons, a certificate that was just issued is not renewed at once.
        let renew_in = issued
            .renew_at_ms
            .since(issued.master_time_ms)
            .max(left / 10);
        let after = |ms: u64| now + Duration::from_millis(ms.min(FAR));
        Self {
            put_off: false,
            renew_at: after(renew_in),
            expires_at: after(left),
        }
    }

    /// It is renewed then, unless it would be before.
    pub(super) fn bring_forward(&mut self, renew_at: Instant) {
        self.renew_at = self.renew_at.min(renew_at);
    }

    /// The times of a certificate of an earlier start, with so many milliseconds left: it is renewed at
    /// once, so that the master's clock counts again.
    pub(super) fn kept(left_ms: u64, now: Instant) -> Self {
        Self {
            put_off: false,
            renew_at: now,
            expires_at: now + Duration::from_millis(left_ms.min(FAR)),
        }
    }

    /// Renewal failed; it is tried again then.
    pub(super) fn put_off(&mut self, renew_at: Instant) {
        self.renew_at = renew_at;
        self.put_off = true;
    }

    /// Whether renewal failed and is to be tried again later.
    pub(super) const fn is_put_off(&self) -> bool {
        self.put_off
    }

    /// The master says that it is time.
    pub(super) const fn renew_now(&mut self, now: Instant) {
        self.renew_at = now;
    }
}

/// A hundred years in milliseconds: what a steady clock can surely count to.
const FAR: u64 = 100 * 365 * 24 * 3_600_000;

#[cfg(test)]
mod tests {
    use dockmaster_proto::{
        id::{ContainerId, Serial},
        time::UnixMs,
    };

    use super::*;

    const HOUR: u64 = 3_600_000;
    const NOW: UnixMs = UnixMs(1_795_528_980_000);

    fn issued(renew_at_ms: UnixMs, not_after_ms: UnixMs) -> IssuedCertificate {
        IssuedCertificate {
            chain: String::new(),
            bundle: String::new(),
            container_id: ContainerId::from_bytes([5; 32]),
            addresses: vec![],
            serial: "01".repeat(16).parse::<Serial>().unwrap(),
            not_after_ms,
            renew_at_ms,
            entry: String::new(),
            proof: String::new(),
            consistency: vec![],
            master_time_ms: NOW,
        }
    }

    fn in_ms(schedule: Schedule, now: Instant) -> (u128, u128) {
        let ms = |at: Instant| at.duration_since(now).as_millis();
        (ms(schedule.renew_at), ms(schedule.expires_at))
    }

    #[test]
    fn times_count_from_the_masters_clock_and_not_from_the_containers() {
        let now = Instant::now();
        let schedule = Schedule::of(&issued(NOW.plus_ms(HOUR), NOW.plus_ms(2 * HOUR)), now);
        assert_eq!(
            in_ms(schedule, now),
            (u128::from(HOUR), u128::from(2 * HOUR))
        );
    }

    #[test]
    fn a_fresh_certificate_is_not_renewed_at_once() {
        let now = Instant::now();
        let schedule = Schedule::of(&issued(UnixMs(0), NOW.plus_ms(HOUR)), now);
        assert_eq!(in_ms(schedule, now).0, u128::from(HOUR / 10));
    }

    #[test]
    fn one_that_has_ended_has_ended_and_no_time_is_too_far() {
        let now = Instant::now();
        assert_eq!(
            in_ms(Schedule::of(&issued(NOW, UnixMs(0)), now), now),
            (0, 0)
        );
        let far = Schedule::of(&issued(UnixMs(u64::MAX), UnixMs(u64::MAX)), now);
        assert!(far.renew_at > now && far.expires_at > now);
    }
}
