//! What happened to certificates.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use crate::{
    address::Address,
    id::{ContainerId, Digest, IdError, Name, RequestId, Serial, TokenId},
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
        /// Why the host's kernel could not be asked about the connection; empty where it was.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        no_socket: String,
    },
    /// Whoever sent the request held a join token, renews what a join token began, or came back by the
    /// key that it was handed on to.
    Token {
        /// The token's public name.
        token: TokenId,
        /// The certificate whose key the machine came back by, without a token; none at a first use and
        /// at a renewal.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        returned_with: Option<Serial>,
    },
    /// An operator approved the request, or the first one of this run of the container.
    Operator {
        /// Who.
        operator: Name,
        /// The request that was approved.
        request: RequestId,
    },
    /// The host's kernel said that the other end of the request's very connection is held by a process
    /// of this container.
    Socket {
        /// The host.
        host: Name,
        /// The container's end of the connection.
        source: SocketAddr,
        /// The master's end.
        local: SocketAddr,
        /// The process, as the host counts.
        pid: u32,
    },
    /// The master itself needs no other evidence than holding the key of the authority.
    Master,
}

/// What kind of evidence it is: what a policy asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceKind {
    /// A host's inventory.
    Host,
    /// The host, asked about this very connection.
    Socket,
    /// A join token.
    Token,
    /// An operator.
    Operator,
    /// The master, for its own certificates.
    Master,
}

impl EvidenceKind {
    /// The kinds that can support a container's claim.
    pub const OF_CONTAINERS: [Self; 4] = [Self::Host, Self::Socket, Self::Token, Self::Operator];

    /// The kind as it stands in documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Socket => "socket",
            Self::Token => "token",
            Self::Operator => "operator",
            Self::Master => "master",
        }
    }
}

impl fmt::Display for EvidenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EvidenceKind {
    type Err = IdError;

    /// Reads a kind that can support a container's claim.
    fn from_str(text: &str) -> Result<Self, IdError> {
        let mut kinds = Self::OF_CONTAINERS.into_iter();
        kinds.find(|kind| kind.as_str() == text).ok_or_else(|| {
            IdError::new(
                "a kind of evidence",
                "host, socket, token or operator",
                text,
            )
        })
    }
}

impl Evidence {
    /// What kind it is.
    #[must_use]
    pub const fn kind(&self) -> EvidenceKind {
        match self {
            Self::Host { .. } => EvidenceKind::Host,
            Self::Token { .. } => EvidenceKind::Token,
            Self::Operator { .. } => EvidenceKind::Operator,
            Self::Socket { .. } => EvidenceKind::Socket,
            Self::Master => EvidenceKind::Master,
        }
    }
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
    /// The policy that the rule belongs to: SHA-256 of its canonical form, which is a blob of this
    /// name. None for certificates that no policy is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_sha256: Option<Digest>,
}

/// A machine that a join token let in came back with a renewed certificate: from then on the keys before
/// it bring nobody back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertConfirmed {
    /// The certificate.
    pub serial: Serial,
    /// The machine's node.
    pub container: ContainerId,
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
    /// The host that relayed it; none where it came straight to the master.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<Name>,
    /// The policy rule that refused it; empty where none did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule: String,
    /// What the requester was told to do next.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
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
