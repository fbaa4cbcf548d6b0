//! The classification and the site.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    id::{ContainerId, Digest, Revision},
    time::UnixMs,
};

/// Who changed a document, when and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionInfo {
    /// The revision; 0 before the first.
    pub revision: Revision,
    /// SHA-256 of the document.
    pub sha256: Option<Digest>,
    /// Who: a SPIFFE path.
    pub author: String,
    /// Why.
    pub message: String,
    /// When.
    pub at_ms: UnixMs,
}

/// The classification in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrentClassification {
    /// Its revision.
    #[serde(flatten)]
    pub info: RevisionInfo,
    /// The YAML text as it was applied.
    pub document: String,
}

/// A classification that someone would like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassificationProposal {
    /// The YAML text.
    pub document: String,
    /// The name of the file that it came from, for errors.
    pub file: String,
    /// Why.
    #[serde(default)]
    pub message: String,
    /// The revision that the author saw; refused with `conflict` when it is no longer in force.
    #[serde(default)]
    pub base: Option<Revision>,
}

/// What a change would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The revision on which it builds.
    pub base: Revision,
    /// How many nodes live.
    pub nodes: u64,
    /// Nodes that each group gains and loses; groups without a change are left out.
    pub groups: Vec<GroupChange>,
    /// The nodes whose catalog would change, grouped by identical difference.
    pub catalogs: Vec<CatalogChange>,
    /// Nodes whose catalog would no longer compile.
    pub failures: Vec<CompileFailure>,
    /// What looks like a mistake but is none for certain.
    pub warnings: Vec<String>,
}

impl Plan {
    /// How many nodes would get another catalog.
    #[must_use]
    pub fn nodes_changed(&self) -> usize {
        self.catalogs.iter().map(|change| change.nodes.len()).sum()
    }
}

/// A node by ID and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeName {
    /// The name.
    pub name: String,
    /// The container ID.
    pub id: ContainerId,
}

/// What a group gains and loses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupChange {
    /// The group.
    pub group: String,
    /// Nodes that begin to match.
    pub gained: Vec<NodeName>,
    /// Nodes that cease to match.
    pub lost: Vec<NodeName>,
}

/// Nodes whose catalogs change alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogChange {
    /// The nodes.
    pub nodes: Vec<NodeName>,
    /// The difference as text, resource by resource.
    pub diff: String,
}

/// A node whose catalog does not compile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompileFailure {
    /// The node.
    pub node: NodeName,
    /// Where and why.
    pub error: String,
}

/// A change that was put in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// The new revision.
    pub revision: Revision,
    /// How many live nodes got another catalog.
    pub nodes_changed: u64,
}

/// The files of a site by path (relative, with `/`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteManifest {
    /// SHA-256 of each file.
    pub files: BTreeMap<String, Digest>,
}

impl SiteManifest {
    /// The canonical bytes: what is stored and hashed.
    ///
    /// # Panics
    /// Never: strings and digests always serialise.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "a map of strings to strings always serialises"
    )]
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a manifest serialises")
    }
}

/// The answer of `POST /v1/site/missing`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingFiles {
    /// Digests that have to be uploaded first.
    pub missing: Vec<Digest>,
}

/// A site that someone would like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteProposal {
    /// Its files.
    pub manifest: SiteManifest,
    /// Why.
    #[serde(default)]
    pub message: String,
}

/// The site in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CurrentSite {
    /// Its revision.
    #[serde(flatten)]
    pub info: RevisionInfo,
    /// Its files.
    pub manifest: SiteManifest,
}
