//! A master without a machine of its own, and what it knows of hosts.

use dockmaster_tests::{FarMachine, Host, Master, Setup, StandIn, eventually};
use serde_json::Value;

/// A container at the address of this number on its host's bridge.
pub(crate) fn container(id: u16, number: u8) -> StandIn {
    StandIn {
        id: format!("{id:064x}"),
        name: format!("c{id}"),
        labels: vec![],
        ips: vec![[172, 30, 0, number].into()],
        network: None,
        started_at: None,
    }
}

/// A master that certifies the bridges' range.
pub(crate) fn setup() -> Setup {
    Setup::hosts(&[FarMachine::RANGE])
}

/// A host in `host list`.
pub(crate) fn listed(master: &Master, host: &str) -> Value {
    let list = master.cli(["host", "list", "-o", "json"]).json();
    let hosts = list["hosts"].as_array().unwrap();
    let found = hosts.iter().find(|listed| listed["name"] == host);
    found.cloned().unwrap_or(Value::Null)
}

/// Waits until the master hears of so many containers of a host.
pub(crate) fn watched(master: &Master, host: &Host, containers: u64) {
    eventually("a host that is watched", || {
        let listed = listed(master, host.name());
        (listed["state"] == "watched" && listed["containers"] == containers).then_some(())
    });
}

/// The events of this name in the ledger.
pub(crate) fn events(master: &Master, event: &str) -> Vec<Value> {
    let list = master
        .cli(["audit", "list", "--event", event, "-o", "json"])
        .json();
    list["entries"].as_array().unwrap().clone()
}

/// The state of a node, by its container's number.
pub(crate) fn node_state(master: &Master, id: u16) -> String {
    let list = master.cli(["node", "list", "--all", "-o", "json"]).json();
    let nodes = list["nodes"].as_array().unwrap();
    let id = format!("{id:064x}");
    let node = nodes.iter().find(|node| node["id"] == id.as_str());
    node.map_or_else(String::new, |node| {
        node["state"].as_str().unwrap().to_owned()
    })
}
