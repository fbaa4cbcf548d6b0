//! Join tokens: made, used, taken back. None of these records holds a secret.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    id::{ContainerId, Digest, NetworkName, TokenId},
    time::UnixMs,
};

/// An operator made a token; who it was is the entry's actor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenCreated {
    /// Its public name.
    pub token: TokenId,
    /// SHA-256 of its secret.
    pub secret_sha256: Digest,
    /// The labels of the machines that it lets in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The network of their addresses.
    pub network: NetworkName,
    /// How many machines it lets in.
    pub uses: u32,
    /// Until when.
    pub until_ms: UnixMs,
}

/// A machine came back with the certificate that a token gave it: that use of the token is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUsed {
    /// The token.
    pub token: TokenId,
    /// The machine's node.
    pub container: ContainerId,
    /// SHA-256 of the key (DER SubjectPublicKeyInfo) that the token burned into.
    pub spki_sha256: Digest,
}

/// An operator took a token back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRevoked {
    /// The token.
    pub token: TokenId,
}
