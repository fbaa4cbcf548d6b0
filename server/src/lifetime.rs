//! How long a certificate lasts.

use std::{fmt, str::FromStr};

/// How long a container's certificate lasts, 5 minutes to 30 days. Written as a number with `m`,
/// `h` or `d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lifetime {
    ms: u64,
}

/// The units of a lifetime in milliseconds, largest first.
const UNITS: [(u64, char); 3] = [(86_400_000, 'd'), (3_600_000, 'h'), (60_000, 'm')];

impl Lifetime {
    const MIN: Self = Self { ms: 5 * 60_000 };
    const MAX: Self = Self {
        ms: 30 * 86_400_000,
    };

    /// In milliseconds.
    #[must_use]
    pub const fn as_ms(self) -> u64 {
        self.ms
    }
}

impl Default for Lifetime {
    /// Six hours.
    fn default() -> Self {
        Self { ms: 6 * 3_600_000 }
    }
}

/// Why a text is no lifetime.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no duration from {} to {}; write a number with m, h or d, such as 6h",
    Lifetime::MIN,
    Lifetime::MAX
)]
pub struct LifetimeError {
    text: String,
}

impl FromStr for Lifetime {
    type Err = LifetimeError;

    fn from_str(text: &str) -> Result<Self, LifetimeError> {
        let parse = || {
            let unit = text.chars().last()?;
            let (factor, _) = UNITS.iter().find(|(_, name)| *name == unit)?;
            let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
            let ms = number.checked_mul(*factor)?;
            (Self::MIN.ms..=Self::MAX.ms)
                .contains(&ms)
                .then_some(Self { ms })
        };
        let text = text.to_owned();
        parse().ok_or(LifetimeError { text })
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |(factor, _): &&(u64, char)| self.ms.is_multiple_of(*factor);
        let (factor, name) = UNITS.iter().find(fits).unwrap_or(&UNITS[2]);
        write!(f, "{}{name}", self.ms / factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_reads_back_as_it_is_written() {
        for text in ["5m", "90m", "6h", "30d"] {
            assert_eq!(text.parse::<Lifetime>().unwrap().to_string(), text);
        }
        assert_eq!("48h".parse::<Lifetime>().unwrap().to_string(), "2d");
        for text in [
            "",
            "h",
            "4m",
            "31d",
            "6",
            "-6h",
            "6 h",
            "18446744073709551615d",
            "6ü",
        ] {
            assert!(text.parse::<Lifetime>().is_err(), "{text}");
        }
    }
}
