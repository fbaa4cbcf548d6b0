//! Names, identifiers and public halves of the keys that sign notes.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use crate::hash::sha256;

/// Longest key name in bytes.
pub const MAX_NAME_BYTES: usize = 255;

const PUBLIC_KEY_BYTES: usize = 32;

/// Name of a key, such as `example.org/dockmaster-log`: not empty, at most [`MAX_NAME_BYTES`], no
/// space, no control character, no plus.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

impl KeyName {
    /// Takes a name.
    ///
    /// # Errors
    ///
    /// [`KeyError::Name`] if a note could not carry it.
    pub fn new(name: impl Into<String>) -> Result<Self, KeyError> {
        let name = name.into();
        let bad = |c: char| c == '+' || c.is_whitespace() || c.is_control();
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains(bad) {
            return Err(KeyError::Name);
        }
        Ok(Self(name))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for KeyName {
    type Err = KeyError;

    fn from_str(name: &str) -> Result<Self, KeyError> {
        Self::new(name)
    }
}

/// First four bytes of a hash over name, algorithm and public key: together with the name it says which
/// key made a signature. A hint to find the key, not proof of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 4]);

impl KeyId {
    /// Takes four bytes as an identifier.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(bytes)
    }

    /// The four bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 4] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a key signs, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// Type 0x01: Ed25519 over the text. What a log signs with.
    Ed25519,
    /// Type 0x04: Ed25519 over a time and the text. What a witness signs with.
    Cosignature,
}

impl Algorithm {
    /// The byte that stands for it in key identifiers and verifier keys.
    #[must_use]
    pub const fn type_byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::Cosignature => 0x04,
        }
    }

    fn from_type_byte(byte: u8) -> Option<Self> {
        match byte {
            0x01 => Some(Self::Ed25519),
            0x04 => Some(Self::Cosignature),
            _ => None,
        }
    }
}

/// A public key with its name, as people hand it on: `NAME+KEYID+BASE64`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct VerifierKey {
    name: KeyName,
    id: KeyId,
    algorithm: Algorithm,
    public: [u8; PUBLIC_KEY_BYTES],
}

impl VerifierKey {
    /// Names a public key; the identifier follows from the rest.
    #[must_use]
    pub fn new(name: KeyName, algorithm: Algorithm, public: [u8; 32]) -> Self {
        let id = key_id(&name, algorithm, &public);
        Self {
            name,
            id,
            algorithm,
            public,
        }
    }

    /// Reads what `Display` writes.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if it is not spelled that way, has another type than 0x01 or 0x04, or the
    /// identifier is not that of the key.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        // A name has no plus, so the first two separate; base64 may have more.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError::Spelling);
        };
        let name = KeyName::new(name)?;
        // 33 bytes: the type and the key.
        if key.len() != 44 {
            return Err(KeyError::Spelling);
        }
        let key = STANDARD.decode(key).map_err(|_| KeyError::Spelling)?;
        let (type_byte, public) = key.split_first().ok_or(KeyError::Spelling)?;
        let algorithm = Algorithm::from_type_byte(*type_byte).ok_or(KeyError::Algorithm {
            type_byte: *type_byte,
        })?;
        let public = public.try_into().map_err(|_| KeyError::Spelling)?;
        let key = Self::new(name, algorithm, public);
        if id != key.id.to_string() {
            return Err(KeyError::Id { computed: key.id });
        }
        Ok(key)
    }

    /// The key's name; for a log, its origin.
    #[must_use]
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// The key's identifier.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// What it signs, and how.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public key itself, as RFC 8032 encodes it.
    #[must_use]
    pub fn public_bytes(&self) -> &[u8; 32] {
        &self.public
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![self.algorithm.type_byte()];
        key.extend(self.public);
        write!(f, "{}+{}+{}", self.name, self.id, STANDARD.encode(key))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::parse(text)
    }
}

/// Text that is not a key or its name.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum KeyError {
    /// A note could not carry the name.
    #[error(
        "a key name has 1 to {MAX_NAME_BYTES} bytes and no space, control character or plus; \
         use one like example.org/dockmaster-log"
    )]
    Name,
    /// Not spelled like a verifier key.
    #[error(
        "a verifier key looks like NAME+HEX+BASE64, with 8 hex digits and 44 characters of base64"
    )]
    Spelling,
    /// A type this crate does not verify.
    #[error("verifier key of type {type_byte:#04x}; only 0x01 and 0x04 (Ed25519) can be verified")]
    Algorithm {
        /// The type byte of the key.
        type_byte: u8,
    },
    /// The identifier belongs to another key or name.
    #[error(
        "the identifier in the verifier key does not match it (computed {computed}); copy the whole line again"
    )]
    Id {
        /// What the identifier would have to be.
        computed: KeyId,
    },
}

fn key_id(name: &KeyName, algorithm: Algorithm, public: &[u8; PUBLIC_KEY_BYTES]) -> KeyId {
    let hash = sha256(&[
        name.as_str().as_bytes(),
        &[b'\n', algorithm.type_byte()],
        public,
    ]);
    let [a, b, c, d, ..] = *hash.as_bytes();
    KeyId([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WORKED: &str =
        "dockmaster.example/log1+2840f4cd+AYQEN9E+ce+faUdAd3gop2OuMkj081gzlxvkWQ7CaABh";

    #[test]
    fn the_worked_verifier_key_reads_back() {
        let key = VerifierKey::parse(WORKED).unwrap();
        assert_eq!(key.to_string(), WORKED);
        assert_eq!(key.name().as_str(), "dockmaster.example/log1");
        assert_eq!(key.id(), KeyId::from_bytes([0x28, 0x40, 0xf4, 0xcd]));
        assert_eq!(key.algorithm(), Algorithm::Ed25519);
    }

    #[test]
    fn a_key_that_does_not_match_its_identifier_is_refused() {
        let other = WORKED.replace("log1", "log2");
        assert!(matches!(
            VerifierKey::parse(&other),
            Err(KeyError::Id { .. })
        ));
        let upper = WORKED.replace("2840f4cd", "2840F4CD");
        assert!(matches!(
            VerifierKey::parse(&upper),
            Err(KeyError::Id { .. })
        ));
    }

    #[test]
    fn keys_of_other_types_and_spellings_are_refused() {
        let ecdsa = WORKED.replace("+AYQ", "+AoQ");
        assert_eq!(
            VerifierKey::parse(&ecdsa),
            Err(KeyError::Algorithm { type_byte: 2 })
        );
        for wrong in [
            "",
            "name",
            "name+00000000",
            "name+00000000+",
            "name+00000000+AQ==",
        ] {
            assert_eq!(
                VerifierKey::parse(wrong),
                Err(KeyError::Spelling),
                "{wrong}"
            );
        }
        assert_eq!(
            VerifierKey::parse(&format!("{WORKED}\n")),
            Err(KeyError::Spelling)
        );
    }

    #[test]
    fn a_name_that_a_note_cannot_carry_is_refused() {
        for wrong in [
            "",
            "a b",
            "a+b",
            "a\nb",
            "a\u{a0}b",
            "a\u{2003}b",
            "a\0b",
            &"x".repeat(256),
        ] {
            assert_eq!(KeyName::new(wrong), Err(KeyError::Name), "{wrong:?}");
        }
        assert!(KeyName::new("x".repeat(255)).is_ok());
    }

    proptest! {
        #[test]
        fn any_key_reads_back(name in "[^\\s+\\p{Cc}]{1,40}", public: [u8; 32], witness: bool) {
            let algorithm = if witness { Algorithm::Cosignature } else { Algorithm::Ed25519 };
            let key = VerifierKey::new(KeyName::new(name).unwrap(), algorithm, public);
            prop_assert_eq!(VerifierKey::parse(&key.to_string()), Ok(key));
        }

        #[test]
        fn a_spoiled_key_is_refused(at in 0_usize..77, by: char) {
            let mut text: Vec<char> = WORKED.chars().collect();
            prop_assume!(text[at] != by);
            text[at] = by;
            let text: String = text.into_iter().collect();
            prop_assert!(VerifierKey::parse(&text).is_err(), "{}", text);
        }
    }
}
