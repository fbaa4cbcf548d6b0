//! Questions to the ledger.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{
    event::{Entry, LeaseCause},
    id::{ContainerId, Name, NetworkName, Serial},
    time::UnixMs,
};

/// Which entries. Every condition given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntryQuery {
    /// About this IP.
    pub ip: Option<IpAddr>,
    /// About the container with this ID, ID prefix or name.
    pub node: Option<String>,
    /// About this certificate.
    pub serial: Option<Serial>,
    /// Of this kind.
    pub event: Option<String>,
    /// Not before.
    pub since: Option<UnixMs>,
    /// Before.
    pub until: Option<UnixMs>,
    /// Below this index: the next page.
    pub before: Option<u64>,
    /// At most this many; 100 where none is given, 1000 at most.
    pub limit: Option<u32>,
}

impl EntryQuery {
    /// As the pairs of a query.
    #[must_use]
    pub fn to_pairs(&self) -> Vec<(&'static str, Option<String>)> {
        let Self {
            ip,
            node,
            serial,
            event,
            since,
            until,
            before,
            limit,
        } = self;
        vec![
            ("ip", ip.map(|ip| ip.to_string())),
            ("node", node.clone()),
            ("serial", serial.map(|serial| serial.to_string())),
            ("event", event.clone()),
            ("since", since.map(|time| time.0.to_string())),
            ("until", until.map(|time| time.0.to_string())),
            ("before", before.map(|index| index.to_string())),
            ("limit", limit.map(|limit| limit.to_string())),
        ]
    }
}

/// An entry with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexedEntry {
    /// Its index in the log.
    pub index: u64,
    /// The entry.
    #[serde(flatten)]
    pub entry: Entry,
}

/// The answer of `GET /v1/audit`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryList {
    /// The entries, newest first.
    pub entries: Vec<IndexedEntry>,
    /// What to give as `before` for the next page; none at the end.
    pub next_before: Option<u64>,
}

/// Who held an IP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HolderQuery {
    /// The IP.
    pub ip: IpAddr,
    /// In this network only.
    pub network: Option<NetworkName>,
    /// At this time; now where none is given.
    pub at: Option<UnixMs>,
}

/// How certain an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// A lease, bounded by host events on both sides (or still open).
    Held,
    /// A lease of which one bound is only known to lie in some interval.
    Authorised,
    /// A host watched then, and nobody held it.
    Nobody,
    /// No host was watching then.
    Unknown,
}

/// One holder of an IP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The network.
    pub network: NetworkName,
    /// The container.
    pub container: ContainerId,
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// Its host.
    pub host: Name,
    /// The lease's epoch.
    pub epoch: u64,
    /// From.
    pub opened_at_ms: UnixMs,
    /// How that is known.
    pub opened_cause: LeaseCause,
    /// Until; none while it holds.
    pub closed_at_ms: Option<UnixMs>,
    /// How that is known.
    pub closed_cause: Option<LeaseCause>,
    /// The certificates that were issued on this lease: the newest hundred.
    pub certificates: Vec<Serial>,
    /// The indexes of the entries that say all this, in order.
    pub entries: Vec<u64>,
    /// How certain it is.
    pub certainty: Certainty,
}

/// The answer of `GET /v1/audit/who`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holders {
    /// The IP.
    pub ip: IpAddr,
    /// The time that the answer is about.
    pub at_ms: UnixMs,
    /// The verdict as a whole: the holders' where there is one, else `nobody` or `unknown`.
    pub certainty: Certainty,
    /// What to know about the verdict, such as since when a host has been watching.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// The holders: at most one per network.
    pub holders: Vec<Holder>,
}

/// An entry with the proof that it is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvenEntry {
    /// Its index.
    pub index: u64,
    /// The raw line.
    pub entry: String,
    /// The proof (C2SP tlog-proof).
    pub proof: String,
}
