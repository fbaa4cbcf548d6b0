//! Join tokens.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    id::{ContainerId, NetworkName, TokenId},
    label::LabelKey,
    time::UnixMs,
    token::{JoinToken, MachineId},
};

/// The part of a request for a certificate that redeems a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redemption {
    /// The token.
    pub token: JoinToken,
    /// The machine that redeems it. Its node's ID is a digest of this.
    pub machine: MachineId,
}

/// A token that an operator wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenProposal {
    /// The labels of the machines that it lets in, of tier `token`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<LabelKey, String>,
    /// The network of their addresses; [`crate::token::DEFAULT_NETWORK`] where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkName>,
    /// How long it may be used, in milliseconds: a minute to a day.
    pub ttl_ms: u64,
    /// How many machines it lets in: 1 to [`crate::token::MAX_USES`].
    pub uses: u32,
}

/// A token that was made. The only answer that ever holds its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedToken {
    /// The token, secret included.
    pub secret: JoinToken,
    /// What is known of it.
    #[serde(flatten)]
    pub summary: TokenSummary,
}

/// Whether a token still lets anyone in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenState {
    /// It does.
    Live,
    /// As many machines as it lets in have asked with it.
    UsedUp,
    /// Its time is over.
    Expired,
    /// An operator took it back.
    Revoked,
    /// It is of before a restore from a backup.
    Restored,
}

/// A token in a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenSummary {
    /// Its public name.
    pub id: TokenId,
    /// The labels that it gives.
    pub labels: BTreeMap<String, String>,
    /// The network of the addresses.
    pub network: NetworkName,
    /// How many machines it lets in.
    pub uses: u32,
    /// How many more may ask with it.
    pub uses_left: u32,
    /// The machines that asked with it.
    pub machines: Vec<TokenMachine>,
    /// Until when.
    pub until_ms: UnixMs,
    /// When it was made.
    pub created_at_ms: UnixMs,
    /// Who made it, such as `/operator/ada`.
    pub created_by: String,
    /// Whether it still lets anyone in.
    pub state: TokenState,
}

/// A machine that asked with a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenMachine {
    /// Its node.
    pub node: ContainerId,
    /// Whether it came back with the certificate.
    pub confirmed: bool,
}

/// The answer of `GET /v1/tokens`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenList {
    /// Tokens that live, or ended within the last hour; newest first.
    pub tokens: Vec<TokenSummary>,
}

/// The answer of `DELETE /v1/tokens/{token}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokedToken {
    /// The token.
    pub id: TokenId,
    /// The machines that it had let in and that were put out with it.
    pub evicted: Vec<ContainerId>,
    /// Whether it had been taken back before.
    #[serde(default)]
    pub was_revoked: bool,
}
