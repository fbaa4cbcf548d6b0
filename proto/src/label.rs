//! Labels and where they come from.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::id::IdError;

/// Who said it, from the least to the most trusted. A stronger tier hides a weaker one's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// The agent inside the container said so.
    Agent,
    /// The join token was bound to it.
    Token,
    /// The container's host said so (engine labels).
    Host,
    /// An operator said so (`dockmaster node label`).
    Operator,
}

impl Tier {
    /// The name as written in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Token => "token",
            Self::Host => "host",
            Self::Operator => "operator",
        }
    }
}

impl FromStr for Tier {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let tiers = [Self::Operator, Self::Host, Self::Token, Self::Agent];
        tiers
            .into_iter()
            .find(|tier| tier.as_str() == text)
            .ok_or_else(|| IdError::new("a tier", "operator, host, token or agent", text))
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One label's value and its origin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LabelValue {
    /// The value, at most [`MAX_VALUE`] bytes.
    pub value: String,
    /// Who said it.
    pub tier: Tier,
}

/// The longest label key, in bytes.
pub const MAX_KEY: usize = 253;
/// The longest label value, in bytes. Engine labels longer than this are cut off by the host watcher.
pub const MAX_VALUE: usize = 4096;

/// A key that an operator may set: what engines accept, without characters that a selector needs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelKey(String);

impl LabelKey {
    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LabelKey {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let fits = (1..=MAX_KEY).contains(&text.len())
            && text
                .bytes()
                .next()
                .is_some_and(|b| b.is_ascii_alphanumeric())
            && text.bytes().all(is_key_byte);
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError::new(
                "a label key",
                "1 to 253 of a-z, A-Z, 0-9, '.', '-', '_', '/', beginning with a letter or digit",
                text,
            ))
        }
    }
}

pub(crate) const fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'/')
}

impl fmt::Display for LabelKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

crate::id::serde_as_text!(LabelKey);

/// The labels of a node: one value per key, the strongest tier's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, LabelValue>);

impl Labels {
    /// No labels.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says that `tier` gives `key` this value. A weaker tier does not displace a stronger one.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>, tier: Tier) {
        let (key, value) = (
            key.into(),
            LabelValue {
                value: value.into(),
                tier,
            },
        );
        match self.0.get_mut(&key) {
            Some(old) if old.tier > tier => {}
            Some(old) => *old = value,
            None => {
                self.0.insert(key, value);
            }
        }
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&LabelValue> {
        self.0.get(key)
    }

    /// All labels, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &LabelValue)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// The number of labels.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What an operator asks for: keys to set and keys to take away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelChange {
    /// Keys that get a value of tier `operator`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<LabelKey, String>,
    /// Keys whose operator value goes; a host's value of the same key shows again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<LabelKey>,
}

impl LabelChange {
    /// Reads the arguments of `node label`: `key=value` sets, `key-` removes.
    ///
    /// # Errors
    /// When an argument is neither, names a key twice, or its value is too long.
    pub fn parse<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Result<Self, IdError> {
        let mut change = Self::default();
        for argument in arguments {
            let error = |expected| IdError::new("a label change", expected, argument);
            let key = if let Some((key, value)) = argument.split_once('=') {
                if value.len() > MAX_VALUE {
                    return Err(error("a value of at most 4096 bytes"));
                }
                let key: LabelKey = key.parse()?;
                if change.set.insert(key.clone(), value.to_owned()).is_some() {
                    return Err(error("each key once"));
                }
                key
            } else if let Some(key) = argument.strip_suffix('-') {
                let key: LabelKey = key.parse()?;
                change.remove.push(key.clone());
                key
            } else {
                return Err(error("KEY=VALUE to set or KEY- to remove"));
            };
            if change.set.contains_key(&key) && change.remove.contains(&key) {
                return Err(error("each key once"));
            }
        }
        Ok(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weaker_tier_never_displaces_a_stronger_one() {
        let mut labels = Labels::new();
        labels.set("role", "web", Tier::Operator);
        labels.set("role", "db", Tier::Host);
        assert_eq!(labels.get("role").unwrap().value, "web");
        labels.set("role", "cache", Tier::Operator);
        assert_eq!(labels.get("role").unwrap().value, "cache");
    }

    #[test]
    fn label_arguments_set_and_remove() {
        let change = LabelChange::parse(["tier=front", "canary-", "note=a=b"]).unwrap();
        assert_eq!(change.set[&"note".parse().unwrap()], "a=b");
        assert_eq!(change.remove, ["canary".parse().unwrap()]);
        for bad in [
            &["tier"][..],
            &["=x"],
            &["a=1", "a=2"],
            &["a=1", "a-"],
            &["a b=1"],
        ] {
            assert!(LabelChange::parse(bad.iter().copied()).is_err(), "{bad:?}");
        }
    }
}
