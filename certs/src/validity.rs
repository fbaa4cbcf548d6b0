//! From when until when.

use dockmaster_proto::time::UnixMs;

/// How far the beginning of a validity lies in the past, in milliseconds: 5 minutes, for relying
/// parties whose clock is behind.
pub const BACKDATE_MS: u64 = 5 * 60 * 1000;

/// An interval in which a certificate counts. Certificates carry whole seconds; the fraction is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Its first second.
    pub not_before: UnixMs,
    /// Its last second.
    pub not_after: UnixMs,
}

impl Validity {
    /// From [`BACKDATE_MS`] ago until `lifetime_ms` from now.
    #[must_use]
    pub const fn backdated(now: UnixMs, lifetime_ms: u64) -> Self {
        Self {
            not_before: UnixMs(now.0.saturating_sub(BACKDATE_MS)),
            not_after: now.plus_ms(lifetime_ms),
        }
    }

    /// The validity of a container's certificate: backdated, but never to before the container
    /// started, when its address may have been another's.
    ///
    /// A start in the future (the host's clock is ahead of ours) counts as now, so that the
    /// certificate can be used at once.
    #[must_use]
    pub fn of_container(now: UnixMs, started_at: UnixMs, lifetime_ms: u64) -> Self {
        let backdated = Self::backdated(now, lifetime_ms);
        Self {
            not_before: backdated.not_before.max(started_at.min(now)),
            ..backdated
        }
    }

    /// The same, ending no later than this: the end of the authority that is to sign.
    #[must_use]
    pub fn within(self, end: UnixMs) -> Self {
        Self {
            not_after: self.not_after.min(end),
            ..self
        }
    }
}

/// Times as certificates carry them.
pub(crate) trait WholeSecond {
    fn whole_second(self) -> UnixMs;
}

impl WholeSecond for UnixMs {
    fn whole_second(self) -> UnixMs {
        UnixMs(self.0 - self.0 % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMs = UnixMs(1_795_528_980_123);
    const HOUR: u64 = 3_600_000;

    #[test]
    fn a_certificate_is_backdated_but_not_before_its_container_started() {
        let long_ago = Validity::of_container(NOW, UnixMs(NOW.0 - HOUR), HOUR);
        assert_eq!(long_ago.not_before, UnixMs(NOW.0 - BACKDATE_MS));
        assert_eq!(long_ago.not_after, NOW.plus_ms(HOUR));

        let started = UnixMs(NOW.0 - 300);
        let just_now = Validity::of_container(NOW, started, HOUR);
        assert_eq!(just_now.not_before, started);
    }

    #[test]
    fn a_host_whose_clock_is_ahead_gives_no_certificate_of_the_future() {
        let validity = Validity::of_container(NOW, NOW.plus_ms(9_000), HOUR);
        assert_eq!(validity.not_before, NOW);
    }

    #[test]
    fn certificates_carry_whole_seconds() {
        assert_eq!(NOW.whole_second(), UnixMs(1_795_528_980_000));
    }
}
