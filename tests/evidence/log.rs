//! What the ledger says of containers' certificates.

use dockmaster_tests::{Container, Master};
use serde_json::Value;

/// The entries of a kind that are about a container, newest first.
pub(crate) fn entries(master: &Master, event: &str, container: &Container) -> Vec<Value> {
    let id = container.id().to_string();
    let listed = master.json(["audit", "list", "--event", event, "--node", &id]);
    let entries = listed["entries"].as_array().unwrap();
    entries.clone()
}

/// The kinds of evidence of an issuance, in their order.
pub(crate) fn kinds(issued: &Value) -> Vec<&str> {
    let evidence = issued["evidence"].as_array().unwrap();
    evidence
        .iter()
        .map(|it| it["kind"].as_str().unwrap())
        .collect()
}

/// The serials of the certificates that count now, newest first.
pub(crate) fn serials(master: &Master, container: &Container) -> Vec<Value> {
    let list = master.json(["cert", "list", "--node", &container.id().to_string()]);
    let list = list["certificates"].as_array().unwrap();
    list.iter().map(|it| it["serial"].clone()).collect()
}
