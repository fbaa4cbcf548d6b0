//! Join tokens: how a machine enrolls that no container engine vouches for.
//!
//! The text of a token is `dockmaster-token-ID-SECRET`: 16 hex digits that name it, and 64 that prove
//! it. Only the first part may ever be shown; the second part has no `Display` and no readable `Debug`.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id::{ContainerId, Digest, IdError, TokenId, decode_hex, write_hex};

/// The host name under which machines are known that a token let in. No container host may have it.
pub const TOKEN_HOST: &str = "token";
/// The network of a token that names none.
pub const DEFAULT_NETWORK: &str = "token/direct";
/// How many machines one token may let in at most.
pub const MAX_USES: u32 = 100;
/// Labels of one token at most, and their bytes as JSON.
pub const MAX_LABELS: usize = 32;
/// See [`MAX_LABELS`].
pub const MAX_LABEL_BYTES: usize = 8 << 10;
/// The largest token file in bytes.
pub const MAX_FILE_BYTES: usize = 4 << 10;

const PREFIX: &str = "dockmaster-token-";
/// What a machine's UUID is hashed with: the digest is a node's ID and nothing else.
const NODE_LABEL: &str = "dockmaster node of machine\n";

/// The secret half of a token: 256 random bits.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenSecret([u8; 32]);

impl TokenSecret {
    /// Wraps random bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// What a master keeps of it. A plain digest is enough: nobody tries 256 random bits.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSecret(…)")
    }
}

/// A token: its public name and its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// Its name.
    pub id: TokenId,
    /// What proves it.
    pub secret: TokenSecret,
}

impl JoinToken {
    /// The text of the token, secret included: for the token's own file and the one request that
    /// redeems it.
    #[must_use]
    pub fn expose(&self) -> String {
        struct Hex<'a>(&'a [u8; 32]);
        impl fmt::Display for Hex<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(self.0, f)
            }
        }
        format!("{PREFIX}{}-{}", self.id, Hex(&self.secret.0))
    }
}

/// A text is no token. It does not show the text, which may be a token with a typo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this is no join token; expected {PREFIX}ID-SECRET as \"dockmaster token create\" printed it"
)]
pub struct NoToken;

impl FromStr for JoinToken {
    type Err = NoToken;

    fn from_str(text: &str) -> Result<Self, NoToken> {
        let rest = text.strip_prefix(PREFIX).ok_or(NoToken)?;
        let (id, hex) = rest.split_once('-').ok_or(NoToken)?;
        let id = id.parse().map_err(|_| NoToken)?;
        let mut secret = [0; 32];
        decode_hex(hex, &mut secret).ok_or(NoToken)?;
        Ok(Self {
            id,
            secret: TokenSecret(secret),
        })
    }
}

impl Serialize for JoinToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.expose())
    }
}

impl<'de> Deserialize<'de> for JoinToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The 128 bits by which a machine is known to itself: `/etc/machine-id` (machine-id(5)) or the
/// `product_uuid` of its firmware. Not public: who knows it can claim to be that machine, given a
/// token too. So it has no readable `Debug`, and the ledger never sees it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MachineId([u8; 16]);

impl MachineId {
    /// Wraps random bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The ID of this machine's node: SHA-256 of a fixed label and the 32 hex digits.
    #[must_use]
    pub fn node(&self) -> ContainerId {
        let text = format!("{NODE_LABEL}{}", self.expose());
        ContainerId::from_bytes(*Digest::of(text.as_bytes()).as_bytes())
    }

    /// The 32 hex digits.
    #[must_use]
    pub fn expose(&self) -> String {
        struct Hex<'a>(&'a [u8; 16]);
        impl fmt::Display for Hex<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(self.0, f)
            }
        }
        Hex(&self.0).to_string()
    }
}

impl fmt::Debug for MachineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MachineId(…)")
    }
}

impl FromStr for MachineId {
    type Err = IdError;

    /// 32 hex digits of either case, also with the hyphens of a UUID.
    fn from_str(text: &str) -> Result<Self, IdError> {
        // The text is not shown: an error goes into logs.
        let error = || {
            IdError::new(
                "a machine ID",
                "32 hex digits that are not all zero",
                "(not shown)",
            )
        };
        let hyphens = [8, 13, 18, 23];
        let is_uuid = text.len() == 36 && hyphens.iter().all(|at| text.as_bytes()[*at] == b'-');
        let hex: String = if is_uuid {
            let parts = text.char_indices().filter(|(at, _)| !hyphens.contains(at));
            parts.map(|(_, digit)| digit).collect()
        } else {
            text.to_owned()
        };
        let mut bytes = [0; 16];
        decode_hex(&hex.to_ascii_lowercase(), &mut bytes).ok_or_else(error)?;
        if bytes == [0; 16] {
            return Err(error());
        }
        Ok(Self(bytes))
    }
}

impl Serialize for MachineId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.expose())
    }
}

impl<'de> Deserialize<'de> for MachineId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// How long a token may be used: 1 minute to 24 hours. Written as a number with `m` or `h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ttl(u64);

impl Ttl {
    /// In milliseconds.
    #[must_use]
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// Of so many milliseconds, where a token may live that long.
    #[must_use]
    pub const fn from_ms(ms: u64) -> Option<Self> {
        match ms {
            60_000..=86_400_000 => Some(Self(ms)),
            _ => None,
        }
    }
}

impl Default for Ttl {
    /// Ten minutes.
    fn default() -> Self {
        Self(600_000)
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.0 / 60_000;
        if minutes.is_multiple_of(60) {
            write!(f, "{}h", minutes / 60)
        } else {
            write!(f, "{minutes}m")
        }
    }
}

impl FromStr for Ttl {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = || IdError::new("the life of a token", "1m to 24h, such as 10m", text);
        let (number, unit) = match (text.strip_suffix('m'), text.strip_suffix('h')) {
            (Some(number), _) => (number, 60_000),
            (None, Some(number)) => (number, 3_600_000),
            (None, None) => return Err(error()),
        };
        let plain = number.bytes().all(|byte| byte.is_ascii_digit());
        let number: Option<u64> = number.parse().ok().filter(|_| plain);
        let ms = number.and_then(|number| number.checked_mul(unit));
        ms.and_then(Self::from_ms).ok_or_else(error)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token() -> JoinToken {
        JoinToken {
            id: TokenId::from_bytes([0x1f; 8]),
            secret: TokenSecret::from_bytes([0xab; 32]),
        }
    }

    #[test]
    fn debug_output_has_no_secret_and_no_machine() {
        let machine = MachineId::from_bytes([0xab; 16]);
        let text = format!("{:?} {machine:?}", token());
        assert!(!text.contains("abab"), "{text}");
        assert!(text.contains(&"1f".repeat(8)), "{text}");
    }

    #[test]
    fn an_error_shows_nothing_of_what_may_be_a_token_with_a_typo() {
        let typo = token().expose().replace("ab", "aB");
        let error = typo.parse::<JoinToken>().unwrap_err().to_string();
        assert!(!error.contains("aB"), "{error}");
        let json = serde_json::to_string(&typo).unwrap();
        let error = serde_json::from_str::<JoinToken>(&json).unwrap_err();
        assert!(!error.to_string().contains("aB"), "{error}");
        let error = "abababab".parse::<MachineId>().unwrap_err().to_string();
        assert!(!error.contains("abab"), "{error}");
    }

    #[test]
    fn a_machine_is_the_same_node_however_its_uuid_is_written() {
        let plain: MachineId = "4c4c4544005310318036b7c04f333333".parse().unwrap();
        let firmware: MachineId = "4C4C4544-0053-1031-8036-B7C04F333333".parse().unwrap();
        assert_eq!(plain.node(), firmware.node());
        // Fixed for ever: nodes are known by it.
        assert_eq!(
            plain.node().to_string(),
            Digest::of(b"dockmaster node of machine\n4c4c4544005310318036b7c04f333333").to_string()
        );
        for none in ["", "uninitialized", &"0".repeat(32), &"4".repeat(31)] {
            assert!(none.parse::<MachineId>().is_err(), "{none}");
        }
    }

    #[test]
    fn a_life_is_a_minute_to_a_day() {
        for (text, ms) in [("1m", 60_000), ("90m", 5_400_000), ("24h", 86_400_000)] {
            let ttl: Ttl = text.parse().unwrap();
            assert_eq!(ttl.as_ms(), ms);
            assert_eq!(ttl.to_string(), text);
        }
        for none in ["0m", "25h", "10", "10s", "+1m", "m", "99999999999999999h"] {
            assert!(none.parse::<Ttl>().is_err(), "{none}");
        }
    }

    proptest! {
        #[test]
        fn a_token_reads_back_as_written(id: [u8; 8], secret: [u8; 32]) {
            let token = JoinToken { id: TokenId::from_bytes(id), secret: TokenSecret::from_bytes(secret) };
            prop_assert_eq!(token.expose().parse::<JoinToken>().unwrap(), token);
        }

        #[test]
        fn garbage_is_no_token_and_no_machine(text in "(dockmaster-token-)?[0-9a-f-]{0,90}|\\PC{0,40}") {
            let _ = text.parse::<JoinToken>();
            let _ = text.parse::<MachineId>();
            let _ = text.parse::<Ttl>();
        }
    }
}
