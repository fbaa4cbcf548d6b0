//! Why a node or an IP got no certificate, and whether it would get one now.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::requests::HeldRequest;
use crate::{
    address::Address,
    id::{ContainerId, Name, RequestId},
    time::UnixMs,
};

/// The answer of `GET /v1/nodes/{node}/denials`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyDenied {
    /// The container; none for an IP that no container holds, or several.
    pub container: Option<ContainerId>,
    /// Its name; empty where there is no one container.
    pub name: String,
    /// Whom the question is about: the container, or each that holds the IP; none where nobody does.
    #[serde(default)]
    pub subjects: Vec<Subject>,
    /// The IPs that were looked at.
    pub ips: Vec<IpAddr>,
    /// What was refused or held, newest first; like ones are one.
    pub refusals: Vec<Refusals>,
    /// Whether there is more than was looked at.
    pub more: bool,
    /// Requests that wait for an operator, or were decided.
    pub requests: Vec<HeldRequest>,
    /// What is so now, for each IP of each of the subjects and each way to the master.
    pub now: Vec<Foresight>,
}

/// A container that a question is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The container.
    pub container: ContainerId,
    /// Its name.
    pub name: String,
    /// The host that vouches for it, or would; `token` where a join token let it in.
    pub host: Name,
    /// The addresses that it holds, held last, or was said to hold.
    pub addresses: Vec<Address>,
    /// What it is to the master.
    pub standing: Standing,
    /// Since when, where it is not running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<UnixMs>,
}

/// What a container is to the master.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// A live node.
    Running,
    /// A node that has ended.
    Ended,
    /// None: its host reported it and may not vouch for it.
    Refused,
}

/// Like refusals, or holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusals {
    /// The problem code, `held`, or `host-refused`: the host may not vouch for the container.
    pub code: String,
    /// The failing fact, in words.
    pub detail: String,
    /// What to do next.
    pub hint: String,
    /// The policy rule; empty where none decided.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule: String,
    /// The container, where one was known to hold the address.
    pub container: Option<ContainerId>,
    /// Where the request came from.
    pub source: IpAddr,
    /// The host that relayed it, or said it; none where it came straight to the master, or was held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<Name>,
    /// The newest held request among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
    /// How many.
    pub count: u64,
    /// The first of those that were looked at.
    pub first_at_ms: UnixMs,
    /// The newest.
    pub last_at_ms: UnixMs,
    /// The index of the newest entry.
    pub last_index: u64,
}

/// What a request would come to now, by what the master knows: with host evidence, and with an
/// operator's word where the running certificate rests on one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Foresight {
    /// The IP that would ask.
    pub source: IpAddr,
    /// The host whose relay it would come by; none where it would come straight to the master.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<Name>,
    /// The container that would ask; none where nobody holds the IP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerId>,
    /// Which request that would be.
    #[serde(default)]
    pub request: ForeseenRequest,
    /// What it would come to.
    pub verdict: ForeseenVerdict,
    /// The policy rule that decides; empty where it does not come to that.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule: String,
    /// The problem code; empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// The failing fact, in words; empty where none fails.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// How long the certificate would last, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime_ms: Option<u64>,
}

/// What a request would come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForeseenVerdict {
    /// A certificate.
    Issued,
    /// It would wait for an operator.
    Held,
    /// A refusal.
    Refused,
}

/// A request that is looked ahead to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForeseenRequest {
    /// A first one.
    #[default]
    Enrollment,
    /// The next one of a holder of a certificate.
    Renewal,
    /// A first one of a machine, with the join token that let it in and a new key: what is left to it
    /// when it loses its certificate.
    Token,
}
