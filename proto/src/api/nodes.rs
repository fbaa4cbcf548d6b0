//! Nodes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    catalog::{Catalog, Revisions},
    event::Evidence,
    id::{Digest, Serial},
    node::NodeView,
    report::Report,
    time::UnixMs,
};

/// Whether a node lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// Its container runs and it has a certificate.
    Enrolled,
    /// Its container runs; no certificate of it is honoured.
    Running,
    /// Its container ended.
    Gone,
}

/// A node in a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeSummary {
    /// What is known for certain.
    #[serde(flatten)]
    pub view: NodeView,
    /// Whether it lives.
    pub state: NodeState,
    /// When it ended; none while it runs.
    pub gone_at_ms: Option<UnixMs>,
    /// The digest of its catalog; none where there is none.
    pub catalog: Option<Digest>,
    /// The status of its last report as a word: `changed`, `unchanged`, `failed`; none before the first.
    pub last_apply: Option<String>,
}

/// The answer of `GET /v1/nodes`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeList {
    /// The nodes, sorted by name and ID.
    pub nodes: Vec<NodeSummary>,
}

/// Everything about one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeDetail {
    /// As in a listing.
    #[serde(flatten)]
    pub summary: NodeSummary,
    /// The certificate in force.
    pub certificate: Option<Serial>,
    /// What that certificate rests on; empty where there is none.
    #[serde(default)]
    pub evidence: Vec<Evidence>,
    /// The groups that it matches, strongest first.
    pub groups: Vec<String>,
    /// Its classes.
    pub classes: Vec<String>,
    /// Why it has no catalog; empty when it has one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub catalog_error: String,
    /// The documents in force.
    pub revisions: Revisions,
    /// Its last report.
    pub report: Option<ReceivedReport>,
    /// How far its clock is ahead of the master's in milliseconds, behind it if negative; none before
    /// its agent has said it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_skew_ms: Option<i64>,
    /// Why it gets no certificate; empty unless it is banned.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub banned: String,
}

/// A report as the master keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedReport {
    /// When it came.
    pub received_at_ms: UnixMs,
    /// The report.
    #[serde(flatten)]
    pub report: Report,
}

/// A node's catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeCatalog {
    /// Its digest.
    pub digest: Digest,
    /// The documents in force.
    pub revisions: Revisions,
    /// The catalog.
    pub catalog: Catalog,
}

/// Why a node is classified as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Every group, in the order of the document.
    pub groups: Vec<GroupVerdict>,
    /// The parameters that the classification gives the node.
    pub params: BTreeMap<String, ParamOrigin>,
}

impl Explanation {
    /// Keeps what concerns a class: the groups that give it, and its parameters.
    pub fn keep_class(&mut self, class: &str) {
        self.groups
            .retain(|verdict| verdict.classes.iter().any(|given| given == class));
        self.params
            .retain(|param, _| param.split_once('.').is_some_and(|(of, _)| of == class));
    }
}

/// What one group says to a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupVerdict {
    /// The group.
    pub group: String,
    /// Its selector, the parents' included.
    pub selector: String,
    /// The first term that fails; none when the node matches.
    pub first_failure: Option<String>,
    /// The classes that it gives.
    pub classes: Vec<String>,
}

/// Where a parameter's value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParamOrigin {
    /// The value.
    pub value: serde_json::Value,
    /// The group that won.
    pub group: String,
}
