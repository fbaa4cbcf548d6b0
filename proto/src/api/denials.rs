//! Why a node or an IP got no certificate, and whether it would get one now.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::requests::HeldRequest;
use crate::{
    id::{ContainerId, RequestId},
    time::UnixMs,
};

/// The answer of `GET /v1/nodes/{node}/denials`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyDenied {
    /// The container; none for an IP that no container holds.
    pub container: Option<ContainerId>,
    /// Its name; empty where there is no container.
    pub name: String,
    /// The IPs that were looked at.
    pub ips: Vec<IpAddr>,
    /// What was refused or held, newest first; like ones are one.
    pub refusals: Vec<Refusals>,
    /// Whether there is more than was looked at.
    pub more: bool,
    /// Requests that wait for an operator, or were decided.
    pub requests: Vec<HeldRequest>,
    /// What is so now, for each IP.
    pub now: Vec<Foresight>,
}

/// Like refusals, or holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusals {
    /// The problem code, or `held`.
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
