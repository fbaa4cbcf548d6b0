//! What happened to certificates.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{
    address::Address,
    id::{ContainerId, Digest, Name, Serial},
    revocation::RevocationReason,
    spiffe::SpiffeId,
    time::UnixMs,
};

/// An address with the epoch of its lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldAddress {
    /// The address.
    pub address: Address,
    /// The lease's epoch.
    pub epoch: u64,
}

/// What supports a claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Evidence {
    /// A host's inventory said that the peer's address is this container's.
    Host {
        /// The host.
        host: Name,
        /// SHA-256 of the facts (JSON) on which it rests.
        facts_sha256: Digest,
    },
    /// The master itself needs no other evidence than holding the key of the authority.
    Master,
}

/// A certificate was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertIssued {
    /// Who it speaks for.
    pub subject: SpiffeId,
    /// The container; none for a master's or an operator's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerId>,
    /// The host that vouched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<Name>,
    /// The addresses in it, each with its lease's epoch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<HeldAddress>,
    /// The IPs in it that are no container's: a master's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ips: Vec<IpAddr>,
    /// Its serial number.
    pub serial: Serial,
    /// The key identifier of the authority that signed it, in hex.
    pub issuer_key_id: String,
    /// Valid from.
    pub not_before_ms: UnixMs,
    /// Valid until.
    pub not_after_ms: UnixMs,
    /// SHA-256 of the subject's public key (DER SubjectPublicKeyInfo).
    pub spki_sha256: Digest,
    /// SHA-256 of the certificate (DER); a blob of this name holds it.
    pub der_sha256: Digest,
    /// What the issuance rests on.
    pub evidence: Vec<Evidence>,
    /// The policy rule that allowed it.
    pub rule: String,
    /// The index of the entry of the node's previous certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev: Option<u64>,
}

/// A request for a certificate was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertDenied {
    /// Where it came from.
    pub source: IpAddr,
    /// The container that holds the address, where one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerId>,
    /// The problem code that the requester was told.
    pub reason: String,
    /// The failing fact, in words.
    pub detail: String,
    /// How many like it came from the same source in the minute that this entry speaks for.
    pub count: u64,
}

/// A certificate ended before its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertRevoked {
    /// The certificate.
    pub serial: Serial,
    /// The container that held it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerId>,
    /// Why, in words: `lease closed`, `container ended`, or an operator's.
    pub reason: String,
    /// The same as a revocation list says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<RevocationReason>,
}
