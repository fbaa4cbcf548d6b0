//! The authorities and their rotation.

use serde::{Deserialize, Serialize};

use crate::{
    id::{TrustDomain, TrustPin},
    time::UnixMs,
};

/// The most names in one list of an answer; what goes beyond is only counted.
pub const MAX_NAMED: usize = 50;

/// What an authority is for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Use {
    /// It signs, or is trusted alone.
    Current,
    /// A rotation is bringing it in.
    Next,
    /// It signs only lists of what it revoked.
    Retired,
}

/// One authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityInfo {
    /// `root`, `container` or `infrastructure`.
    pub kind: String,
    /// What it is for now.
    pub used: Use,
    /// Its key identifier in hex.
    pub key_id: String,
    /// Valid until.
    pub not_after_ms: UnixMs,
    /// Whether the master has its private key.
    pub has_key: bool,
}

/// How many live nodes have confirmed a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// The bundle.
    pub pin: TrustPin,
    /// The nodes.
    pub nodes: u64,
}

/// How far a rotation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The new root is trusted too, and nodes get to know it.
    Announced,
    /// Nodes and operators get certificates under the new root.
    Switched,
    /// They get certificates under the old root again.
    Withdrawing,
}

/// A rotation that goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationReport {
    /// How far it is.
    pub phase: Phase,
    /// Since when it goes on.
    pub started_at_ms: UnixMs,
    /// The pin from before: it bootstraps new containers until the end.
    pub old_pin: TrustPin,
    /// The pin of the bundle with both roots.
    pub both_pin: TrustPin,
    /// The pin at the end: it bootstraps new containers already.
    pub new_pin: TrustPin,
    /// Live nodes with a certificate that counts.
    pub nodes: u64,
    /// Those that have confirmed the bundle with both roots.
    pub acknowledged: u64,
    /// Names of some that have not.
    pub unacknowledged: Vec<String>,
    /// Those whose newest certificate is by the authority that signs now; none while the old one signs yet.
    pub renewed: u64,
    /// Names of some of which it is not.
    pub behind: Vec<String>,
    /// Operators none of whose certificates is by the authority that signs now.
    pub operators_behind: Vec<String>,
    /// Further hosts whose certificate is not by it.
    #[serde(default)]
    pub hosts_behind: Vec<String>,
}

/// The answer of `GET /v1/ca`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorityReport {
    /// The trust domain.
    pub trust_domain: TrustDomain,
    /// What agents pin now.
    pub pin: TrustPin,
    /// All authorities that are of any use.
    pub authorities: Vec<AuthorityInfo>,
    /// Which bundles live nodes have confirmed since the master started.
    pub confirmed: Vec<Confirmed>,
    /// The rotation that goes on.
    pub rotation: Option<RotationReport>,
    /// What an operator has to do, if anything.
    pub advice: String,
}

/// A step of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RotationStep {
    /// A new root is made and trusted beside the old one.
    Start,
    /// It signs from now on. The master does this by itself when all live nodes know the new root.
    Switch,
    /// The old root is dropped.
    Finish,
    /// Back by one phase.
    RollBack,
}

/// Whether a step waits for nodes and operators.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Insistence {
    /// It is refused while one of them would be left behind.
    #[default]
    Careful,
    /// It is done all the same; those that are left behind have to enroll again.
    Forced,
}

/// What `POST /v1/ca/rotation` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotationRequest {
    /// The step.
    pub step: RotationStep,
    /// Whether it waits.
    #[serde(default)]
    pub insistence: Insistence,
}
