//! Trust, enrollment, renewal.

use serde::{Deserialize, Serialize};

use crate::{
    address::Address,
    api::tokens::Redemption,
    id::{ContainerId, RequestId, Serial},
    time::UnixMs,
};

/// What anyone may know of an installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// The trust bundle in PEM: a line `# dockmaster-log-key: VERIFIER-KEY`, then the root
    /// certificates. Its SHA-256 is the trust pin, so the pin covers the log key too.
    pub bundle: String,
    /// The master's time.
    pub master_time_ms: UnixMs,
    /// The authorities below the roots whose revocation lists are served, in PEM.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub authorities: Vec<String>,
    /// The key identifier in hex of the authority that signs operators' certificates now.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub operator_issuer: String,
}

/// A request for a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateRequest {
    /// A PKCS#10 request (RFC 2986), DER in base64. Only its key and its proof of possession count.
    /// Its challengePassword attribute holds the base64 of the TLS exporter value of this connection
    /// (RFC 9266 `tls-exporter`, as RFC 7030 section 3.5 does it), so it cannot be replayed.
    #[serde(with = "crate::base64_bytes")]
    pub csr: Vec<u8>,
    /// The agent's version.
    pub agent_version: String,
    /// The newest signed head of the log (C2SP checkpoint) that the agent has verified; none at its
    /// first request. The answer has to show that the log goes on from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
    /// The join token of a machine that no container engine vouches for; none from a container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Redemption>,
}

/// A certificate that was issued and logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedCertificate {
    /// The leaf and the intermediate in PEM.
    pub chain: String,
    /// The trust bundle in PEM.
    pub bundle: String,
    /// The node's identity.
    pub container_id: ContainerId,
    /// The addresses in the certificate.
    pub addresses: Vec<Address>,
    /// The certificate's serial number.
    pub serial: Serial,
    /// Valid until.
    pub not_after_ms: UnixMs,
    /// When to ask for the next one.
    pub renew_at_ms: UnixMs,
    /// The ledger entry of the issuance: the raw line.
    pub entry: String,
    /// The proof that the entry is in the log (C2SP tlog-proof).
    pub proof: String,
    /// The proof that the log of that checkpoint goes on from the one in the request: hashes in base64
    /// (RFC 6962 section 2.1.2). Empty where there was none, or it is the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub consistency: Vec<String>,
    /// The master's time.
    pub master_time_ms: UnixMs,
}

/// An operator's new certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorCertificate {
    /// The leaf and the intermediate in PEM.
    pub chain: String,
    /// The trust bundle in PEM.
    pub bundle: String,
    /// The certificate's serial number.
    pub serial: Serial,
    /// Valid until.
    pub not_after_ms: UnixMs,
    /// The master's time.
    pub master_time_ms: UnixMs,
}

/// The answer 202: the policy wants an operator to look at the request first. Asked again with the
/// same key, the master says how it stands; with `Prefer: wait=SECONDS` as soon as that is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldAnswer {
    /// The request, for `dockmaster request approve`.
    pub request: RequestId,
    /// Why it is held, in the words of the rule; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// When to ask again, in milliseconds from now.
    pub retry_after_ms: u64,
    /// From then on the request is forgotten.
    pub expires_at_ms: UnixMs,
    /// The master's time.
    pub master_time_ms: UnixMs,
}
