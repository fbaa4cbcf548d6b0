//! Machines beside containers: what a host vouches for counts more.

use std::fs;

use dockmaster_client::ClientError;
use dockmaster_proto::problem::ProblemCode;
use dockmaster_tests::{Inventory, Machine, Peer, Setup, StandIn, eventually};

use crate::stage::{Stage, key};

#[test]
fn no_token_takes_the_address_of_a_watched_container() {
    let container = StandIn::numbered(900);
    let inventory = Inventory::new(std::slice::from_ref(&container));
    let stage = Stage::with(Setup::inventory(&inventory));
    let token = stage.token(&[]);
    let peer = Peer::new(&stage.master, &container);
    stage.runtime.block_on(peer.enroll()).unwrap();
    let intruder = Machine::at(container.ips[0], 900);
    let refused = stage.redeem(&intruder, &token, &key());
    let Err(ClientError::Problem(problem)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(problem.code, ProblemCode::TokenRefused);
    assert!(problem.detail.contains("cannot take it"), "{problem}");
    assert_eq!(stage.listed()["uses_left"], 1, "the token is not spent");
}

#[test]
fn a_container_that_gets_the_address_of_a_machine_has_it() {
    let container = StandIn::numbered(901);
    let inventory = Inventory::new(&[]);
    let stage = Stage::with(Setup::inventory(&inventory));
    let token = stage.token(&[]);
    let machine = Machine::at(container.ips[0], 901);
    let enrolled = stage.redeem(&machine, &token, &key()).unwrap();
    stage.comes_back(&machine, &enrolled).unwrap();
    inventory.set(std::slice::from_ref(&container));
    eventually("the end of the machine", || {
        stage.comes_back(&machine, &enrolled).err()
    });
    let peer = Peer::new(&stage.master, &container);
    let now = stage.runtime.block_on(peer.enroll()).unwrap();
    assert_eq!(now.issued.container_id.to_string(), container.id);
    let closed = &stage.entries("lease_closed")[0];
    assert_eq!(closed["cause"], "superseded", "{closed}");
    assert_eq!(closed["container"], machine.node().to_string());
    let _ = stage.master.cli(["audit", "verify"]).ok();
}

#[test]
fn without_its_token_a_machine_is_told_what_it_lacks() {
    let stage = Stage::new();
    let machine = Machine::numbered(70);
    let token = stage.token(&[]);
    let enrolled = stage.redeem(&machine, &token, &key()).unwrap();
    let refused = stage
        .runtime
        .block_on(Peer::of(&stage.master, &machine).enroll());
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("which a join token let in"), "{refused}");
    stage.comes_back(&machine, &enrolled).unwrap();
}

#[test]
fn a_machine_that_a_host_vouches_for_by_now_is_what_the_host_says() {
    let container = StandIn::numbered(902);
    let inventory = Inventory::new(&[]);
    let stage = Stage::with(Setup::inventory(&inventory));
    let machine = Machine::at(container.ips[0], 902);
    machine.give(&stage.token(&[]));
    let _ = machine.once(&stage.master).ok();
    fs::remove_file(machine.token_file()).unwrap();
    inventory.set(std::slice::from_ref(&container));
    eventually("the end of the machine", || {
        (!stage.entries("node_gone").is_empty()).then_some(())
    });
    let agent = machine.start(&stage.master);
    agent.says("renewed as");
    let ip = machine.ip.to_string();
    let node = stage.master.json(["node", "show", &ip]);
    assert_eq!(node["id"], container.id.as_str(), "{node}");
    assert_eq!(node["evidence"][0]["kind"], "host");
    // What it kept as a machine is of no use to it any more.
    assert!(!machine.kept("machine.pem").exists());
}
