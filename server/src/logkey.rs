//! The log's signing key: made of a seed that lies in `ledger/log.key`.

use std::{fmt, str::FromStr};

use dockmaster_proto::id::{Digest, TrustDomain};
use dockmaster_tlog::note::{KeyError, SigningKey};

use crate::env;

/// The seed of an Ed25519 key (RFC 8032), in its file as 64 hex digits.
#[derive(Clone, PartialEq, Eq)]
pub struct LogSeed([u8; 32]);

impl LogSeed {
    /// A new one.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn random() -> Result<Self, env::NoRandomness> {
        env::random().map(Self)
    }

    /// The signing key; its name is the log's origin.
    ///
    /// # Errors
    /// When the trust domain makes no valid key name.
    pub fn key(&self, trust_domain: &TrustDomain) -> Result<SigningKey, KeyError> {
        let name = format!("{trust_domain}/dockmaster-log").parse()?;
        Ok(SigningKey::from_seed(name, &self.0))
    }

    /// The content of its file.
    #[must_use]
    pub fn to_text(&self) -> String {
        Digest::from_bytes(self.0).to_string()
    }
}

impl FromStr for LogSeed {
    type Err = <Digest as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let seed: Digest = text.trim().parse()?;
        Ok(Self(*seed.as_bytes()))
    }
}

impl fmt::Debug for LogSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogSeed(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_reads_back_and_shows_itself_nowhere_else() {
        let seed = LogSeed::random().unwrap();
        let text = seed.to_text();
        assert_eq!(text.len(), 64);
        assert_eq!(format!("{text}\n").parse::<LogSeed>(), Ok(seed.clone()));
        assert!(!format!("{seed:?}").contains(&text));
        assert!("12".parse::<LogSeed>().is_err());
    }
}
