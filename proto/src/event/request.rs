//! What happened to requests for a certificate that a policy holds for an operator.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{
    event::{Evidence, HeldAddress},
    id::{ContainerId, Digest, Name, RequestId},
    time::UnixMs,
};

/// Another policy is in force than the ledger said so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyChanged {
    /// SHA-256 of its canonical form (JSON); a blob of this name holds it.
    pub policy_sha256: Digest,
    /// How many rules it has.
    pub rules: u64,
}

/// A request for a certificate waits for an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestHeld {
    /// The request.
    pub request: RequestId,
    /// The container that asks.
    pub container: ContainerId,
    /// Its name.
    pub name: String,
    /// The image that it runs.
    pub image: String,
    /// The image's digest; empty if unknown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub image_digest: String,
    /// The host that vouches for it.
    pub host: Name,
    /// When its process was started: another run is another request.
    pub started_at_ms: UnixMs,
    /// Where the request came from.
    pub source: IpAddr,
    /// The addresses that the certificate would hold.
    pub addresses: Vec<HeldAddress>,
    /// SHA-256 of the public key that asks (DER SubjectPublicKeyInfo).
    pub spki_sha256: Digest,
    /// What supports the claim so far.
    pub evidence: Vec<Evidence>,
    /// The policy rule that holds it.
    pub rule: String,
    /// The policy that the rule belongs to.
    pub policy_sha256: Digest,
    /// Why, in the words of the rule.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// From then on it is forgotten.
    pub expires_at_ms: UnixMs,
}

/// An operator approved a held request: one certificate for its key, in this run of the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestApproved {
    /// The request.
    pub request: RequestId,
    /// The container.
    pub container: ContainerId,
    /// The key that may be certified.
    pub spki_sha256: Digest,
    /// Who approved.
    pub operator: Name,
}

/// An operator denied a held request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestDenied {
    /// The request.
    pub request: RequestId,
    /// The container.
    pub container: ContainerId,
    /// Who denied.
    pub operator: Name,
    /// Why, in the operator's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}
