//! Further hosts: enrollment, and what a host and the master say to each other on the watch stream.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{
    event::{LeaseCause, Reach},
    facts::ContainerFacts,
    id::{ContainerId, Name, Serial},
    range::Range,
    time::UnixMs,
};

/// The most ranges that a host may be enrolled with.
pub const MAX_CIDRS: usize = 64;
/// The protocol of the watch stream, as `Upgrade` names it.
pub const WATCH_PROTOCOL: &str = "dockmaster-watch/1";
/// The protocol of a relayed connection: bytes as they are.
pub const RELAY_PROTOCOL: &str = "dockmaster-relay/1";

/// `POST /v1/hosts`: a host that is to vouch for containers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostProposal {
    /// Its name.
    pub name: Name,
    /// A PKCS#10 request in base64, bound to the connection as a container's is.
    #[serde(with = "crate::base64_bytes")]
    pub csr: Vec<u8>,
    /// The only ranges that it may vouch for; any where there are none.
    #[serde(default)]
    pub cidrs: Vec<Range>,
    /// How its containers reach the master.
    #[serde(default)]
    pub reach: Reach,
}

/// The answer of `POST /v1/hosts`: the certificate, and what an operator should know of the ranges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostEnrollment {
    /// The host's certificate.
    #[serde(flatten)]
    pub certificate: HostCertificate,
    /// Those of its ranges that do not lie wholly in what the master certifies.
    #[serde(default)]
    pub uncertified: Vec<IpNet>,
    /// The ranges that the master certifies.
    #[serde(default)]
    pub certified: Vec<IpNet>,
    /// The other hosts that may vouch for some of the same IPs.
    #[serde(default)]
    pub overlapping: Vec<Name>,
}

/// `POST /v1/host/renew`: a new key for a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostRenewal {
    /// A PKCS#10 request in base64, bound to the connection.
    #[serde(with = "crate::base64_bytes")]
    pub csr: Vec<u8>,
}

/// A host's certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostCertificate {
    /// The leaf and the intermediate in PEM.
    pub chain: String,
    /// The trust bundle in PEM.
    pub bundle: String,
    /// The serial number.
    pub serial: Serial,
    /// Valid until.
    pub not_after_ms: UnixMs,
    /// When to ask for the next one.
    pub renew_at_ms: UnixMs,
}

/// Whether the master hears of a host's containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchState {
    /// It does.
    Watched,
    /// It did, and does not for the moment.
    Lost,
    /// It has not since the master started.
    Unseen,
}

/// A host in a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSummary {
    /// Its name.
    pub name: Name,
    /// When it was enrolled; none for the master's own machine.
    pub enrolled_at_ms: Option<UnixMs>,
    /// Whether the master hears of its containers.
    pub state: WatchState,
    /// Since when it is so.
    pub since_ms: Option<UnixMs>,
    /// Why it is lost; empty where it is not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// How many containers it vouches for.
    pub containers: u64,
    /// The only ranges that it may vouch for; any where there are none.
    pub cidrs: Vec<IpNet>,
    /// How its containers reach the master.
    pub reach: Reach,
    /// Its newest certificate is valid until; none for the master's own machine.
    pub not_after_ms: Option<UnixMs>,
}

/// The answer of `GET /v1/hosts`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostList {
    /// The hosts, sorted by name.
    pub hosts: Vec<HostSummary>,
}

/// The answer of `DELETE /v1/hosts/{host}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Eviction {
    /// How many containers it vouched for.
    pub containers: u64,
}

/// What a host says on the watch stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum HostSays {
    /// A snapshot begins; what was known before is replaced when it ends.
    SnapshotBegins,
    /// A container of the snapshot.
    Container {
        /// What is known of it.
        facts: Box<ContainerFacts>,
    },
    /// A container of the snapshot that runs, and of which nothing can be told.
    Unclear {
        /// The container.
        id: ContainerId,
    },
    /// The snapshot is whole.
    SnapshotEnds,
    /// A container started, or what is known of it changed.
    Up {
        /// What is known of it.
        facts: Box<ContainerFacts>,
    },
    /// A container ended.
    Down {
        /// The container.
        id: ContainerId,
        /// How that is known.
        cause: LeaseCause,
    },
    /// The engine cannot be watched at the moment.
    Lost {
        /// Why.
        reason: String,
    },
    /// An answer to a question.
    Answer {
        /// The question's number.
        number: u64,
        /// The containers that were found; at most [`MAX_FOUND`].
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        found: Vec<FoundContainer>,
        /// The containers that share a namespace; at most [`MAX_SHARING`].
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        sharing: Vec<ContainerId>,
        /// What the host's kernel says of a connection.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        socket: Option<SocketAnswer>,
        /// Why there is no answer; empty where there is one.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        error: String,
    },
    /// It lives.
    Beat,
}

/// The most containers in an answer: an IP in more networks than that is no evidence of anything.
pub const MAX_FOUND: usize = 16;

/// The most containers that share a network namespace.
pub const MAX_SHARING: usize = 64;

/// A container by a fresh look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundContainer {
    /// All that is told of it.
    pub facts: ContainerFacts,
    /// Its first process, as the host counts; none where the host has no processes to tell of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub main_pid: Option<u32>,
}

/// A network namespace that containers may share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub enum SharedNamespace {
    /// The host's.
    Host,
    /// A container's.
    Container {
        /// Its ID.
        id: ContainerId,
        /// Its name.
        name: String,
    },
}

/// A container whose processes may hold a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketSubject {
    /// The container.
    pub id: ContainerId,
    /// Its first process, as the host counts.
    pub main_pid: u32,
}

/// What a host's kernel says of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum SocketAnswer {
    /// A process of this container holds it.
    Owned {
        /// The container.
        container: ContainerId,
        /// The process.
        pid: u32,
    },
    /// It is not in the network namespace.
    NotThere,
    /// It is there, and none of the containers holds it.
    Foreign,
    /// The first container's process is not that container's any more.
    Ended,
    /// The kernel cannot be asked.
    Unavailable {
        /// Why.
        why: String,
    },
}

/// What the master says on the watch stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case")]
pub enum MasterSays {
    /// The fresh truth about one container is wanted.
    Inspect {
        /// The question's number.
        number: u64,
        /// The container.
        id: ContainerId,
    },
    /// The running containers that hold an IP are wanted.
    Find {
        /// The question's number.
        number: u64,
        /// The IP.
        ip: IpAddr,
    },
    /// The running containers that share a network namespace are wanted.
    Sharing {
        /// The question's number.
        number: u64,
        /// The namespace.
        namespace: SharedNamespace,
    },
    /// What the kernel says of a connection to the relay is wanted.
    Look {
        /// The question's number.
        number: u64,
        /// The container's end.
        source: SocketAddr,
        /// The relay's end.
        local: SocketAddr,
        /// The containers that may hold it; the namespace is the first one's.
        subjects: Vec<SocketSubject>,
    },
    /// It lives.
    Beat,
}

/// Where a relayed connection came from: the query of `POST /v1/host/relay`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayedFrom {
    /// The agent's address, as the host's kernel has it.
    pub origin: SocketAddr,
    /// The address that the agent dialled.
    pub dialled: SocketAddr,
}

impl RelayedFrom {
    /// As a query.
    #[must_use]
    pub fn query(&self) -> [(&'static str, Option<String>); 2] {
        [
            ("origin", Some(self.origin.to_string())),
            ("dialled", Some(self.dialled.to_string())),
        ]
    }
}
