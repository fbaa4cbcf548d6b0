//! How long a host may be lost.

use std::{fmt, str::FromStr, time::Duration};

/// How long a host may be lost before its leases end, one second to 24 hours. Written as a number
/// with `s`, `m` or `h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    seconds: u64,
}

/// The units in seconds, largest first.
const UNITS: [(u64, char); 3] = [(3600, 'h'), (60, 'm'), (1, 's')];
const MAX_SECONDS: u64 = 24 * 3600;

impl Patience {
    /// As a span of time.
    #[must_use]
    pub const fn span(self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

impl Default for Patience {
    /// Five minutes.
    fn default() -> Self {
        Self { seconds: 300 }
    }
}

/// Why a text is no such time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no time from 1s to 24h; write a number with s, m or h, such as 5m")]
pub struct PatienceError(String);

impl FromStr for Patience {
    type Err = PatienceError;

    fn from_str(text: &str) -> Result<Self, PatienceError> {
        let parse = || {
            let unit = text.chars().last()?;
            let (factor, _) = UNITS.iter().find(|(_, name)| *name == unit)?;
            let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
            let seconds = number.checked_mul(*factor)?;
            (1..=MAX_SECONDS)
                .contains(&seconds)
                .then_some(Self { seconds })
        };
        parse().ok_or_else(|| PatienceError(text.to_owned()))
    }
}

impl fmt::Display for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(factor, _): &&(u64, char)| self.seconds.is_multiple_of(*factor);
        let (factor, name) = UNITS.iter().find(fits).unwrap_or(&UNITS[2]);
        write!(f, "{}{name}", self.seconds / factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_reads_back_as_it_is_written() {
        for text in ["1s", "90s", "5m", "24h"] {
            assert_eq!(text.parse::<Patience>().unwrap().to_string(), text);
        }
        assert_eq!("300s".parse::<Patience>().unwrap(), Patience::default());
        for text in [
            "",
            "0s",
            "25h",
            "5",
            "5d",
            "-1s",
            "1 s",
            "99999999999999999999h",
        ] {
            assert!(text.parse::<Patience>().is_err(), "{text}");
        }
    }
}
