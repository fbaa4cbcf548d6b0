//! Identifiers: small checked types, so that a serial is never taken for a container ID.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Why a text is not the identifier that it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {what}; expected {expected}")]
pub struct IdError {
    what: &'static str,
    expected: &'static str,
    text: String,
}

impl IdError {
    pub(crate) fn new(what: &'static str, expected: &'static str, text: &str) -> Self {
        // An error must not carry a megabyte of somebody's garbage into a log line.
        let text = text.chars().take(96).collect();
        Self {
            what,
            expected,
            text,
        }
    }
}

/// Serde by way of `Display` and `FromStr`.
macro_rules! serde_as_text {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use serde_as_text;

/// Declares a fixed number of bytes that are written as lowercase hexadecimal digits.
macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $len:literal, $what:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Wraps raw bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The raw bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let mut bytes = [0; $len];
                decode_hex(text, &mut bytes)
                    .ok_or_else(|| IdError::new($what, $expected, text))?;
                Ok(Self(bytes))
            }
        }

        serde_as_text!($name);
    };
}

hex_id!(
    /// The ID that a container engine gave a container: 32 bytes, written as 64 hex digits.
    /// It is the node's identity in certificates, the ledger and the API.
    ContainerId, 32, "a container ID", "64 lowercase hex digits"
);
hex_id!(
    /// A certificate serial number: 128 random bits, the highest bit clear (RFC 5280 section 4.1.2.2).
    Serial, 16, "a certificate serial", "32 lowercase hex digits"
);
hex_id!(
    /// A SHA-256 digest, written as 64 hex digits.
    Digest, 32, "a SHA-256 digest", "64 lowercase hex digits"
);
hex_id!(
    /// The public name of a join token.
    TokenId, 8, "the ID of a token", "16 lowercase hex digits"
);

hex_id!(
    /// A request for a certificate that waits for an operator: the beginning of a digest of the
    /// container, its start and the key that asks, so that the same request has the same ID.
    RequestId, 8, "the ID of a held request", "16 lowercase hex digits"
);

impl ContainerId {
    /// The first twelve hex digits, as container engines print them.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

impl Digest {
    /// The digest of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(bytes).into())
    }
}

/// Writes all digits at once: identifiers are most of what a ledger entry is made of.
pub(crate) fn write_hex<const N: usize>(
    bytes: &[u8; N],
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let pairs = bytes.map(|byte| [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]));
    // Digits are ASCII, so this never fails.
    f.write_str(str::from_utf8(pairs.as_flattened()).map_err(|_| fmt::Error)?)
}

pub(crate) fn decode_hex(text: &str, into: &mut [u8]) -> Option<()> {
    let text = text.as_bytes();
    if text.len() != into.len() * 2 {
        return None;
    }
    for (byte, pair) in into.iter_mut().zip(text.chunks_exact(2)) {
        *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
    }
    Some(())
}

const fn hex_digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

/// The pin that an agent holds: the SHA-256 of the whole PEM trust bundle, as `sha256:HEX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrustPin(pub Digest);

impl TrustPin {
    /// The pin of a trust bundle.
    #[must_use]
    pub fn of(bundle_pem: &str) -> Self {
        Self(Digest::of(bundle_pem.as_bytes()))
    }
}

impl fmt::Display for TrustPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

impl FromStr for TrustPin {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let digest = text
            .strip_prefix("sha256:")
            .and_then(|hex| hex.parse().ok());
        digest.map(Self).ok_or_else(|| {
            IdError::new(
                "a trust pin",
                "sha256: and 64 lowercase hex digits, as \"dockmaster init\" printed it",
                text,
            )
        })
    }
}

serde_as_text!(TrustPin);

/// Declares a name: a checked string.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:path, $what:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                if $check(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(IdError::new($what, $expected, text))
                }
            }
        }

        serde_as_text!($name);
    };
}

name!(
    /// A SPIFFE trust domain (SPIFFE-ID section 2.1): `[a-z0-9._-]`, at most 255 bytes.
    TrustDomain, is_trust_domain, "a trust domain", "1 to 255 of a-z, 0-9, '.', '-', '_'"
);
name!(
    /// The name of a host, a master or an operator: one SPIFFE path segment.
    Name, is_name, "a name", "1 to 63 of a-z, A-Z, 0-9, '.', '-', '_', beginning with a letter or digit"
);
name!(
    /// A set of addresses in which an IP is unique: `HOST/NETWORK` when local to one host
    /// (a bridge), `NETWORK` when shared by several (an overlay, a macvlan).
    NetworkName, is_network, "a network", "NAME or HOST/NAME of a-z, A-Z, 0-9, '.', '-', '_'"
);

fn is_trust_domain(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_'))
}

fn is_name(text: &str) -> bool {
    text.len() <= 63
        && text
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

fn is_network(text: &str) -> bool {
    let local = match text.split_once('/') {
        Some((host, local)) if is_name(host) => local,
        Some(_) => return false,
        None => text,
    };
    local.len() <= 128
        && local
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_alphanumeric())
        && local
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

impl NetworkName {
    /// A network that only `host` has.
    ///
    /// # Errors
    /// When the engine's name for it has a character that no network name may have.
    pub fn local(host: &Name, network: &str) -> Result<Self, IdError> {
        format!("{host}/{network}").parse()
    }
}

/// A revision number of a classification, a site or a label set: grows by one at each change.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_id_is_exactly_64_lowercase_hex_digits() {
        let text = "ab".repeat(32);
        assert_eq!(text.parse::<ContainerId>().unwrap().to_string(), text);
        assert!(text.to_uppercase().parse::<ContainerId>().is_err());
        assert!(text[1..].parse::<ContainerId>().is_err());
        assert!(format!("{text}0").parse::<ContainerId>().is_err());
    }

    #[test]
    fn an_error_is_short_even_when_the_input_is_not() {
        let error = "x".repeat(1 << 20).parse::<Serial>().unwrap_err();
        assert!(error.to_string().len() < 256);
    }

    #[test]
    fn a_local_network_names_its_host() {
        let host: Name = "h1".parse().unwrap();
        assert_eq!(
            NetworkName::local(&host, "bridge").unwrap().as_str(),
            "h1/bridge"
        );
        assert!("h1/a/b".parse::<NetworkName>().is_err());
        assert!("/bridge".parse::<NetworkName>().is_err());
        assert!("".parse::<Name>().is_err());
    }

    #[test]
    fn identifiers_travel_as_json_strings() {
        let serial = Serial::from_bytes([0x1f; 16]);
        let json = serde_json::to_string(&serial).unwrap();
        assert_eq!(json, format!("\"{}\"", "1f".repeat(16)));
        assert_eq!(serde_json::from_str::<Serial>(&json).unwrap(), serial);
    }
}
