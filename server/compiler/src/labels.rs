//! Labels as templates see them.

use dockmaster_proto::node::NodeView;
use serde_json::{Value, json};

/// All labels as a mapping.
pub(crate) fn values(node: &NodeView) -> Value {
    let each = node.labels.iter();
    each.map(|(key, label)| (key.to_owned(), json!(label.value)))
        .collect()
}

/// All labels' tiers as a mapping.
pub(crate) fn tiers(node: &NodeView) -> Value {
    let each = node.labels.iter();
    each.map(|(key, label)| (key.to_owned(), json!(label.tier)))
        .collect()
}
