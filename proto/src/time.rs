//! Points in time, as the ledger and the API carry them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Milliseconds since 1970-01-01T00:00:00Z. JSON carries the integer; people see RFC 3339 in UTC.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct UnixMs(pub u64);

impl UnixMs {
    /// Whole seconds since the epoch.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// This time and a number of milliseconds more.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this time; zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for UnixMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i128::from(self.0) * 1_000_000;
        match OffsetDateTime::from_unix_timestamp_nanos(nanos) {
            Ok(t) => write!(
                f,
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
                t.year(),
                u8::from(t.month()),
                t.day(),
                t.hour(),
                t.minute(),
                t.second(),
                t.millisecond()
            ),
            // Past the year 9999 there is no RFC 3339; the number is still the truth.
            Err(_) => write!(f, "@{}", self.0),
        }
    }
}

/// Why a text is no point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a time; write RFC 3339 (2026-11-24T14:03:00Z) or milliseconds since 1970 (1795528980000)"
)]
pub struct TimeError(String);

impl FromStr for UnixMs {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let error = || TimeError(text.chars().take(64).collect());
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().map(Self).map_err(|_| error());
        }
        let parsed = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| error())?;
        u64::try_from(parsed.unix_timestamp_nanos() / 1_000_000)
            .map(Self)
            .map_err(|_| error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_rfc_3339_and_may_write_it() {
        let time = UnixMs(1_795_528_980_123);
        assert_eq!(time.to_string(), "2026-11-24T14:03:00.123Z");
        assert_eq!("2026-11-24T14:03:00.123Z".parse(), Ok(time));
        assert_eq!("2026-11-24T15:03:00.123+01:00".parse(), Ok(time));
        assert_eq!("1795528980123".parse(), Ok(time));
        assert!("yesterday".parse::<UnixMs>().is_err());
        assert!("1969-12-31T23:00:00Z".parse::<UnixMs>().is_err());
    }
}
