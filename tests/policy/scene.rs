//! A master with a policy and stand-in containers.

use dockmaster_tests::{Inventory, Master, Peer, Setup, StandIn, eventually};
use serde_json::{Value, json};

/// The master, its inventory, and the containers in it.
pub(crate) struct Scene {
    pub(crate) master: Master,
    pub(crate) inventory: Inventory,
    pub(crate) containers: Vec<StandIn>,
}

impl Scene {
    /// With these containers and this policy.
    pub(crate) fn new(containers: Vec<StandIn>, policy: &str) -> Self {
        let inventory = Inventory::new(&containers);
        let master = Setup::inventory(&inventory).policy(policy).start();
        let scene = Self {
            master,
            inventory,
            containers,
        };
        scene.is_watched();
        scene
    }

    /// Waits until the master knows its containers.
    pub(crate) fn is_watched(&self) {
        let count = self.containers.len();
        eventually("the containers are known", || {
            let nodes = self.master.json(["node", "list"]);
            (nodes["nodes"].as_array().unwrap().len() == count).then_some(())
        });
    }

    pub(crate) fn peer(&self, number: usize) -> Peer {
        Peer::new(&self.master, &self.containers[number])
    }

    /// The requests that the master keeps.
    pub(crate) fn requests(&self) -> Vec<Value> {
        let list = self.master.json(["request", "list"]);
        list["requests"].as_array().unwrap().clone()
    }

    /// Waits until this many requests wait, and gives their IDs, oldest first.
    pub(crate) fn held(&self, count: usize) -> Vec<String> {
        let what = format!("{count} requests wait");
        let (held, _) = eventually(&what, || {
            let held = self.requests();
            (held.len() == count).then_some(held)
        });
        held.iter()
            .map(|one| one["request"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The entries of this kind, newest first.
    pub(crate) fn entries(&self, event: &str) -> Vec<Value> {
        let list = self.master.json(["audit", "list", "--event", event]);
        list["entries"].as_array().unwrap().clone()
    }

    /// The containers' issuances, newest first.
    pub(crate) fn issuances(&self) -> Vec<Value> {
        let mut issued = self.entries("cert_issued");
        issued.retain(|entry| entry["container"] != json!(null));
        issued
    }
}

/// A stand-in whose start has a time, so that it is the same run when the master starts again.
pub(crate) fn container(number: u16) -> StandIn {
    StandIn::numbered(number).started("2026-11-24T14:03:00Z")
}

/// A policy that holds everything.
pub(crate) const HOLD: &str =
    "policy:\n  - {name: look, verdict: hold, reason: somebody has to look at it, lifetime: 2h}\n";
