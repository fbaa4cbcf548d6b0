//! Why a certificate ended before its time.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A reason by its name in RFC 5280 section 5.3.1. Those that make no sense here (a hold, another
/// kind of authority) are left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RevocationReason {
    /// Nothing particular.
    #[default]
    Unspecified,
    /// Somebody else may have the private key.
    KeyCompromise,
    /// The holder is no longer what the certificate says.
    AffiliationChanged,
    /// Newer certificates took its place.
    Superseded,
    /// The container ended or gave up an address that is in the certificate.
    CessationOfOperation,
    /// The holder may not have it any more.
    PrivilegeWithdrawn,
}

impl RevocationReason {
    /// All reasons.
    pub const ALL: [Self; 6] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::PrivilegeWithdrawn,
    ];

    /// The name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "keyCompromise",
            Self::AffiliationChanged => "affiliationChanged",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessationOfOperation",
            Self::PrivilegeWithdrawn => "privilegeWithdrawn",
        }
    }

    /// The number in a revocation list (CRLReason).
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::KeyCompromise => 1,
            Self::AffiliationChanged => 3,
            Self::Superseded => 4,
            Self::CessationOfOperation => 5,
            Self::PrivilegeWithdrawn => 9,
        }
    }
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text is no reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no reason; choose unspecified, keyCompromise, affiliationChanged, superseded, cessationOfOperation or privilegeWithdrawn"
)]
pub struct ReasonError(String);

impl FromStr for RevocationReason {
    type Err = ReasonError;

    /// Upper and lower case, and hyphens between words, are the same.
    fn from_str(text: &str) -> Result<Self, ReasonError> {
        let plain = text.replace('-', "");
        let found = Self::ALL
            .into_iter()
            .find(|reason| reason.as_str().eq_ignore_ascii_case(&plain));
        found.ok_or_else(|| ReasonError(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_the_same_word_in_json_and_on_the_command_line() {
        for reason in RevocationReason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
            assert_eq!(reason.as_str().parse(), Ok(reason));
        }
        assert_eq!(
            "key-compromise".parse(),
            Ok(RevocationReason::KeyCompromise)
        );
        assert!("certificateHold".parse::<RevocationReason>().is_err());
    }
}
