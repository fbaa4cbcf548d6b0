//! From labels to running configuration, without I/O and without a clock.
//!
//! In scope: the classification document ([`classification`]), the site ([`site`]) with its data
//! hierarchy and templates, catalogs compiled from both ([`compile`]) once per configuration
//! ([`cache`]), and the difference between two catalogs ([`mod@diff`]).
//! Out of scope: where documents, files and facts come from and where catalogs go.
//!
//! Files arrive as values; every parser is bounded; every mistake of a document is told at once,
//! with file, line and node ([`dockmaster_document`]).
#![forbid(unsafe_code)]

pub mod cache;
pub mod classification;
pub mod compile;
pub mod diff;
pub mod fleet;
pub mod inputs;
pub mod site;

mod data;
mod deep;
mod labels;
mod names;
mod template;
#[cfg(test)]
mod testing;

use dockmaster_proto::{api::documents::NodeName, label::Tier, node::NodeView};

/// The lowest label tier that counts in selectors and data paths where a document says nothing:
/// what an agent claims about itself configures nobody.
pub const DEFAULT_TIER: Tier = Tier::Token;

fn node_name(node: &NodeView) -> NodeName {
    NodeName {
        name: node.name.clone(),
        id: node.id,
    }
}
