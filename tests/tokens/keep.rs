//! What a machine keeps from one start to the next.

use std::{fs, time::Duration};

use dockmaster_tests::{Machine, clock, eventually, require_all};

use crate::stage::{Stage, halves};

#[test]
fn a_machine_that_kept_its_run_dir_renews_and_needs_no_token() {
    let mut stage = Stage::new();
    let machine = Machine::numbered(80);
    machine.give(&stage.token(&[]));
    let agent = machine.start(&stage.master);
    agent.says("enrolled as");
    agent.says("nothing to apply");
    agent.kill();
    fs::remove_file(machine.token_file()).unwrap();
    stage.master.crash_and_restart();

    let agent = machine.start(&stage.master);
    agent.says("of an earlier start");
    agent.says("renewed as");
    assert!(!agent.log().contains("enrolled as"), "{}", agent.log());
    // A master that is away for a while costs a machine nothing.
    stage.master.kill();
    agent.says("cannot connect");
    stage.master.serve();
    stage.master.deploy("hello");
    stage
        .master
        .classify("groups: [ { name: all, match: '', classes: [base] } ]");
    agent.says("applied: 1 changed");
    agent.kill();
    let again = machine.once(&stage.master);
    assert!(again.stderr.contains("renewed as"), "{again:?}");
    assert!(!again.stderr.contains("enrolled as"), "{again:?}");
    assert_eq!(stage.entries("lease_opened").len(), 1);
}

#[test]
fn a_machine_that_lost_its_run_dir_needs_another_token_and_is_the_same_node() {
    let stage = Stage::new();
    let machine = Machine::numbered(81);
    let first = stage.token(&[]);
    machine.give(&first);
    let _ = machine.once(&stage.master).ok();
    fs::remove_dir_all(machine.kept("")).unwrap();
    let refused = machine.once(&stage.master);
    assert!(refused.fails(3).contains("not accepted"), "{refused:?}");
    fs::remove_file(machine.token_file()).unwrap();
    let refused = machine.once(&stage.master);
    assert!(refused.fails(3).contains("token create"), "{refused:?}");

    machine.give(&stage.token(&["--label", "role=web"]));
    let _ = machine.once(&stage.master).ok();
    let nodes = stage.master.json(["node", "list", "--all"]);
    assert_eq!(nodes["nodes"].as_array().unwrap().len(), 1, "{nodes}");
    assert_eq!(nodes["nodes"][0]["labels"]["role"]["value"], "web");
    let denied = stage.entries("cert_denied");
    assert!(!denied.is_empty());
    let _ = halves(&first);
}

#[test]
fn a_machine_that_was_put_out_joins_again_with_a_new_token() {
    let stage = Stage::new();
    let machine = Machine::numbered(82);
    let token = stage.token(&[]);
    machine.give(&token);
    let agent = machine.start(&stage.master);
    agent.says("nothing to apply");
    let _ = stage
        .master
        .cli(["token", "revoke", halves(&token).0, "--nodes"])
        .ok();
    agent.says("not accepted any more");
    agent.says("the join token is not accepted");
    machine.give(&stage.token(&[]));
    eventually("another enrollment", || {
        (agent.log().matches("enrolled as").count() == 2).then_some(())
    });
}

#[test]
fn a_machine_that_does_not_come_back_ends_with_its_certificate() {
    if !require_all(&["vdso"]) {
        return;
    }
    let stage = Stage::new();
    let machine = Machine::numbered(84);
    machine.give(&stage.token(&[]));
    let _ = machine.once(&stage.master).ok();
    clock::pass(stage.master.pid(), Duration::from_secs(7 * 3600));
    let ((), _) = eventually("the end of the lease", || {
        let closed = stage.entries("lease_closed");
        (closed.first()?["cause"] == "expired").then_some(())
    });
    // What is behind the log may wait by the clock that leapt, as no clock of a real machine does.
    let gone = stage.entries("node_gone");
    assert_eq!(gone.len(), 1, "{gone:?}");
    assert_eq!(gone[0]["container"], machine.node().to_string());
}
