//! A master with a history: a stand-in that enrolled, an operator who changed something.

use dockmaster_tests::{Enrolled, Inventory, Master, Peer, Setup, StandIn};
use tokio::runtime::Runtime;

pub(crate) struct Scene {
    pub(crate) master: Master,
    pub(crate) inventory: Inventory,
    pub(crate) stand_ins: Vec<StandIn>,
    pub(crate) runtime: Runtime,
    pub(crate) enrolled: Enrolled,
}

impl Scene {
    /// Tests run side by side: each takes numbers of its own, from this one on. The first of three
    /// stand-ins enrolled.
    pub(crate) fn new(number: u16) -> Self {
        let stand_ins: Vec<StandIn> = (number..number + 3)
            .map(|number| StandIn::numbered(number).label("role", "web"))
            .collect();
        let inventory = Inventory::new(&stand_ins);
        let master = Setup::inventory(&inventory).start();
        let runtime = Runtime::new().unwrap();
        let enrolled = runtime
            .block_on(Peer::new(&master, &stand_ins[0]).enroll())
            .unwrap();
        master.deploy("hello");
        let _ = master
            .cli(["node", "label", &stand_ins[0].id, "tier=front"])
            .ok();
        Self {
            master,
            inventory,
            stand_ins,
            runtime,
            enrolled,
        }
    }

    pub(crate) fn peer(&self, index: usize) -> Peer {
        Peer::new(&self.master, &self.stand_ins[index])
    }

    pub(crate) fn serial(&self) -> String {
        self.enrolled.issued.serial.to_string()
    }

    pub(crate) fn ip(&self) -> String {
        self.stand_ins[0].ips[0].to_string()
    }
}
