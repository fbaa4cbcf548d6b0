//! Certificates.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{
    event::{Evidence, HeldAddress},
    id::{ContainerId, Digest, Serial},
    revocation::RevocationReason,
    spiffe::SpiffeId,
    time::UnixMs,
};

/// Whether a certificate counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificateState {
    /// It is honoured.
    Valid,
    /// Its time is over.
    Expired,
    /// It was ended before its time.
    Revoked,
}

/// A certificate in a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateSummary {
    /// Its serial number.
    pub serial: Serial,
    /// Who it speaks for.
    pub subject: SpiffeId,
    /// The container.
    pub container: Option<ContainerId>,
    /// The container's name.
    pub name: String,
    /// The addresses in it.
    pub addresses: Vec<HeldAddress>,
    /// IPs in it that are no container's.
    pub ips: Vec<IpAddr>,
    /// Valid from.
    pub not_before_ms: UnixMs,
    /// Valid until.
    pub not_after_ms: UnixMs,
    /// Whether it counts.
    pub state: CertificateState,
    /// Why it was revoked; empty if it was not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub revoked_reason: String,
    /// The index of its entry in the ledger.
    pub index: u64,
    /// SHA-256 of its DER.
    pub der_sha256: Digest,
    /// The certificate itself, where it was asked for (`pem=true`) and the master has it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pem: String,
}

/// The answer of `GET /v1/certs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateList {
    /// The certificates, newest first.
    pub certificates: Vec<CertificateSummary>,
    /// What to give as `before` for the next page; none at the end.
    pub next_before: Option<u64>,
}

/// Everything about one certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateDetail {
    /// As in a listing, with the certificate in PEM.
    #[serde(flatten)]
    pub summary: CertificateSummary,
    /// The ledger entry of the issuance: the raw line.
    pub entry: String,
    /// The proof that the entry is in the log (C2SP tlog-proof).
    pub proof: String,
    /// What the issuance rests on.
    #[serde(default)]
    pub evidence: Vec<Evidence>,
}

/// Whose certificates are to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevocationTarget {
    /// One certificate.
    Serial(Serial),
    /// All certificates of a live node that count: a reference as everywhere.
    Node(String),
}

/// Whether the container may enroll again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Afterwards {
    /// Its host's word gets it a new certificate, for a new key.
    #[default]
    MayEnroll,
    /// It gets none until the ban is lifted.
    Banned,
}

/// What `POST /v1/revocations` takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevocationRequest {
    /// Whose certificates.
    pub target: RevocationTarget,
    /// Why.
    #[serde(default)]
    pub reason: RevocationReason,
    /// Why, in words; at most [`MAX_REVOCATION_MESSAGE`] bytes.
    #[serde(default)]
    pub message: String,
    /// Whether the container may enroll again.
    #[serde(default)]
    pub afterwards: Afterwards,
}

/// The longest message of a revocation in bytes.
pub const MAX_REVOCATION_MESSAGE: usize = 500;

/// What was revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// The certificates; none where a node without one was banned.
    pub serials: Vec<Serial>,
    /// The container, where it is a container's.
    pub container: Option<ContainerId>,
    /// Its name; an operator's name where it is an operator's.
    pub name: String,
    /// Whether it may enroll again.
    pub afterwards: Afterwards,
}
