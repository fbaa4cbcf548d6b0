//! What happened to the installation itself: authorities, masters, operators, documents.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    id::{Digest, Name, Revision, Serial, TrustDomain},
    time::UnixMs,
};

/// A new certificate authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaCreated {
    /// The trust domain of the installation.
    pub trust_domain: TrustDomain,
    /// SHA-256 of the trust bundle: what agents pin.
    pub bundle_sha256: Digest,
    /// SHA-256 of each authority's DER certificate by its role: `root`, `intermediate`, `infra`.
    pub certificates: BTreeMap<String, Digest>,
}

/// A master began to serve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasterStarted {
    /// The program's version.
    pub version: String,
    /// The log's size that it found.
    pub log_size: u64,
}

/// A document is in force from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentChanged {
    /// Its revision.
    pub revision: Revision,
    /// SHA-256 of it; a blob of this name holds it.
    pub sha256: Digest,
    /// What its author said about it.
    pub message: String,
}

/// An operator got a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorGranted {
    /// The operator.
    pub operator: Name,
    /// What the operator may do: `admin`.
    pub role: String,
    /// The certificate's serial number.
    pub serial: Serial,
    /// Valid until.
    pub not_after_ms: UnixMs,
    /// SHA-256 of the certificate (DER).
    pub der_sha256: Digest,
    /// The key identifier of the authority that signed it, in hex.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub issuer_key_id: String,
}

/// An operator fetched the keys for a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupTaken {
    /// The size of the log at that time.
    pub log_size: u64,
}

/// A data directory was made from a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// The size of the log in the backup.
    pub log_size: u64,
    /// Its root.
    pub root: Digest,
    /// When the backup was made.
    pub backup_at_ms: UnixMs,
    /// The verifier key of the log that this one took the entries from, where it is a new log.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub previous_log: String,
}
