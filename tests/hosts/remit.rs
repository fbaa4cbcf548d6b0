//! What a host may vouch for.

use std::process::Command;

use dockmaster_tests::{Agent, Host, Ran, binary, eventually, require};

use crate::stage::{container, events, node_state, setup, watched};

#[test]
fn an_address_outside_its_ranges_is_refused_and_recorded() {
    if !require("netns") {
        return;
    }
    let master = setup().start();
    let good = container(1, 2);
    let outside = {
        let mut container = container(2, 3);
        container.ips = vec![[172, 31, 0, 3].into()];
        container
    };
    let cidr = ["--cidr", "172.30.0.0/24"];
    let host = Host::start(&master, "h2", &[good, outside], &cidr);
    watched(&master, &host, 1);
    assert_eq!(node_state(&master, 1), "running");
    assert_eq!(node_state(&master, 2), "");
    let refused = events(&master, "host_refused");
    assert_eq!(refused.len(), 1, "{refused:?}");
    let text = refused[0].to_string();
    assert!(text.contains("172.31.0.3 is outside the ranges"), "{text}");
}

#[test]
fn no_host_takes_a_container_that_another_vouches_for() {
    if !require("netns") {
        return;
    }
    let master = setup().start();
    let h2 = Host::start(&master, "h2", &[container(1, 2)], &[]);
    watched(&master, &h2, 1);
    let h3 = Host::start(&master, "h3", &[container(1, 2), container(2, 3)], &[]);
    watched(&master, &h3, 1);
    watched(&master, &h2, 1);
    let refused = events(&master, "host_refused");
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(refused[0].to_string().contains("host h2 vouches for it"));
    let nodes = master.cli(["node", "list", "-o", "json"]).json();
    let hosts: Vec<_> = nodes["nodes"].as_array().unwrap().iter().collect();
    assert_eq!(hosts.len(), 2, "{nodes}");
    let first = hosts.iter().find(|node| node["name"] == "c1").unwrap();
    assert_eq!(first["host"], "h2");
}

#[test]
fn no_host_takes_the_id_of_a_container_that_ended_on_another() {
    if !require("netns") {
        return;
    }
    let mut master = setup().start();
    let h2 = Host::start(&master, "h2", &[container(1, 2), container(3, 4)], &[]);
    watched(&master, &h2, 2);
    h2.inventory().set(&[container(3, 4)]);
    watched(&master, &h2, 1);
    // Not of what the master has in its memory alone.
    master.crash_and_restart();
    watched(&master, &h2, 1);
    let mut h3 = Host::start(&master, "h3", &[container(1, 2), container(2, 3)], &[]);
    watched(&master, &h3, 1);
    let refused = events(&master, "host_refused");
    let refused = refused[0].to_string();
    assert!(
        refused.contains("it was a container of host h2"),
        "{refused}"
    );
    // Its own host starts it again; and one that is gone has no claim.
    h2.inventory().set(&[container(1, 2), container(3, 4)]);
    watched(&master, &h2, 2);
    h2.inventory().set(&[container(3, 4)]);
    watched(&master, &h2, 1);
    let _ = master.cli(["host", "evict", "h2"]).ok();
    h3.kill();
    h3.run();
    watched(&master, &h3, 2);
    let node = master.json(["node", "show", "c1"]);
    assert_eq!(node["host"], "h3", "{node}");
}

#[test]
fn a_name_is_enrolled_once_and_never_the_masters_own() {
    let master = setup().start();
    let dir = tempfile::tempdir().unwrap();
    let enroll = |name: &str, file: &str| {
        let file = dir.path().join(file);
        let file = file.to_str().unwrap();
        master.cli(["host", "enroll", name, "-o", file])
    };
    let _ = enroll("h2", "a").ok();
    assert!(dir.path().join("a").exists());
    let again = enroll("h2", "b");
    assert!(again.fails(1).contains("is enrolled already"));
    assert!(!dir.path().join("b").exists(), "nothing of use is in it");
    let over = enroll("h3", "a");
    assert!(over.fails(1).contains("cannot be made"));
    let own = enroll("h1", "c");
    assert!(own.fails(1).contains("the master's own machine"));
}

#[test]
fn a_connection_from_outside_the_ranges_is_told_on_the_host_with_what_to_do() {
    if !require("netns") {
        return;
    }
    let master = setup().start();
    let host = Host::start(&master, "h2", &[], &["--cidr", "172.30.0.0/30"]);
    watched(&master, &host, 0);
    let space = host.machine().container(9);
    let agent = Agent::start_in(&space, &master);
    let (line, _) = eventually("why a connection was closed", || {
        let log = host.log();
        let mut lines = log.lines();
        let told = lines.find(|line| line.contains("a container's connection was closed"));
        told.map(str::to_owned)
    });
    for words in [
        "WARN",
        "origin=172.30.0.9",
        "172.30.0.9 is outside 172.30.0.0/30",
        "dockmaster host evict h2",
        "host enroll h2 --cidr 172.30.0.0/30 --cidr RANGE",
    ] {
        assert!(line.contains(words), "{words}: {line}");
    }
    drop(agent);
}

#[test]
fn an_enrollment_says_what_its_ranges_mean_and_takes_whole_networks_only() {
    let master = setup().start();
    let dir = tempfile::tempdir().unwrap();
    let enroll = |name: &str, cidr: &str| {
        let file = dir.path().join(name);
        master.cli([
            "host",
            "enroll",
            name,
            "--cidr",
            cidr,
            "-o",
            file.to_str().unwrap(),
        ])
    };
    let part = enroll("h2", "172.30.0.1/24");
    let told = part.fails(2);
    assert!(
        told.contains("lies within 172.30.0.0/24; write that"),
        "{told}"
    );
    let plain = enroll("h2", "172.30.0.0/25");
    let _ = plain.ok();
    for word in ["certifies", "SPIFFE"] {
        assert!(!plain.stderr.contains(word), "{}", plain.stderr);
    }
    let foreign = enroll("h3", "192.0.2.0/24");
    let _ = foreign.ok();
    let told = &foreign.stderr;
    assert!(
        told.contains("192.0.2.0/24 is not wholly in what the master certifies"),
        "{told}"
    );
    assert!(!told.contains("SPIFFE"), "{told}");
    let shared = enroll("h4", "172.30.0.0/24");
    let _ = shared.ok();
    let told = &shared.stderr;
    assert!(told.contains("of containers of h2 too"), "{told}");
    assert!(!told.contains("certifies"), "{told}");

    // A host's file is no operator's, and what is missing is said.
    let run = |args: &[&str]| Ran::run(Command::new(binary("dockmaster")).args(args));
    let file = dir.path().join("h2");
    let file = file.to_str().unwrap();
    let list = run(&["--context", file, "host", "list"]);
    assert!(
        list.fails(3)
            .contains("hint: show an operator's certificate"),
        "{list:?}"
    );
    let nothing = run(&["--context", file, "host", "run"]);
    assert!(
        nothing.fails(2).contains("--docker or --inventory FILE"),
        "{nothing:?}"
    );
    let nowhere = run(&["--context", file, "host", "run", "--docker=/nope.sock"]);
    assert!(
        nowhere.fails(1).contains("hint: name the engine's socket"),
        "{nowhere:?}"
    );
}
