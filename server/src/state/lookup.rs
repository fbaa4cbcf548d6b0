//! From what an operator types to a node.

use std::net::IpAddr;

use super::{NodeRecord, State};

/// What an operator may name a node by: a container-ID prefix, an IP, or a container name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeReference<'a>(pub &'a str);

/// Why a reference names no node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// Nothing fits.
    #[error("no live node has the name, IP or container-ID prefix {0:?}")]
    Unknown(String),
    /// Several fit.
    #[error("{reference:?} fits several nodes: {}", .candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        reference: String,
        /// `NAME (short ID)` of each.
        candidates: Vec<String>,
    },
}

/// The shortest ID prefix that counts: `a` or `db` is rather a name with a typo.
const MIN_PREFIX: usize = 3;

impl NodeReference<'_> {
    /// Whether the reference may mean this node.
    #[must_use]
    pub fn fits(self, node: &NodeRecord) -> bool {
        let text = self.0;
        if node.facts.name == text {
            return true;
        }
        if let Ok(ip) = text.parse::<IpAddr>() {
            return node
                .addresses
                .iter()
                .any(|held| held.address.ip == ip.to_canonical());
        }
        text.len() >= MIN_PREFIX && node.id().to_string().starts_with(text)
    }
}

impl State {
    /// The one live node that a reference means. A name that fits exactly wins over an ID prefix.
    ///
    /// # Errors
    /// When none or several fit.
    pub fn find(&self, reference: NodeReference<'_>) -> Result<&NodeRecord, LookupError> {
        let fitting: Vec<&NodeRecord> = self.nodes().filter(|node| reference.fits(node)).collect();
        let named: Vec<&NodeRecord> = fitting
            .iter()
            .copied()
            .filter(|node| node.facts.name == reference.0)
            .collect();
        match (&named[..], &fitting[..]) {
            ([node], _) | ([], [node]) => Ok(node),
            ([], []) => Err(LookupError::Unknown(reference.0.to_owned())),
            _ => Err(LookupError::Ambiguous {
                reference: reference.0.to_owned(),
                candidates: fitting
                    .iter()
                    .map(|node| format!("{} ({})", node.facts.name, node.id().short()))
                    .collect(),
            }),
        }
    }
}
