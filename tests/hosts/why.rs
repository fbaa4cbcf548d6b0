//! Why a container of a further host got no certificate.

use std::path::Path;

use dockmaster_tests::{Agent, FarMachine, Host, Master, Setup, Space, eventually, require};
use serde_json::Value;

use crate::stage::{container, listed, node_state, setup, watched};

/// The IP of both.
const IP: &str = "172.30.0.2";

fn why(master: &Master, subject: &str) -> Value {
    master.json(["node", "why-denied", subject])
}

/// The refusals that are told of a subject: code, relay and the next step.
fn refusals(master: &Master, subject: &str) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let why = why(master, subject);
    let all = why["refusals"].as_array().unwrap().iter();
    all.map(|one| (text(&one["code"]), text(&one["relay"]), text(&one["hint"])))
        .collect()
}

/// Asks for a certificate by the relay, with what is no certificate request.
fn garbage(space: &Space) {
    let url = format!("https://{}:8140/v1/enroll", FarMachine::GATEWAY);
    let body = r#"{"csr": "Z2FyYmFnZQ==", "agent_version": "0"}"#;
    let mut curl = space.command(Path::new("curl"));
    let asked = curl.args(["-sk", "--data", body, &url]).output().unwrap();
    let answer = String::from_utf8_lossy(&asked.stdout);
    assert!(answer.contains("bad-csr"), "{answer}");
}

#[test]
fn one_ip_on_two_hosts_is_told_of_each_and_what_one_did_is_not_told_of_the_other() {
    if !require("netns") {
        return;
    }
    let master = setup().start();
    let h2 = Host::start(&master, "h2", &[container(1, 2)], &[]);
    let h3 = Host::start(&master, "h3", &[container(2, 2)], &[]);
    watched(&master, &h2, 1);
    watched(&master, &h3, 1);
    let (space_2, space_3) = (h2.machine().container(2), h3.machine().container(2));
    let agent = Agent::start_in(&space_2, &master);
    let _ = agent.credentials();
    garbage(&space_3);

    // By name: from where its connections come, and nothing of the other's.
    let first = why(&master, "c1");
    assert_eq!(first["now"].as_array().unwrap().len(), 1, "{first}");
    let now = &first["now"][0];
    assert_eq!(
        (&now["verdict"], &now["relay"], &now["request"]),
        (&"issued".into(), &"h2".into(), &"renewal".into()),
        "{now}"
    );
    assert_eq!(refusals(&master, "c1"), []);
    let second = why(&master, "c2");
    assert_eq!(second["now"][0]["verdict"], "issued");
    assert_eq!(second["now"][0]["request"], "enrollment");
    let told = refusals(&master, "c2");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&told[0].0[..], &told[0].1[..]), ("bad-csr", "h3"));

    // By the IP: both, with host and network, and all that came from it.
    let both = why(&master, IP);
    let hosts: Vec<&Value> = (0..2).map(|at| &both["subjects"][at]["host"]).collect();
    assert_eq!(hosts, ["h2", "h3"], "{both}");
    let relays: Vec<&Value> = (0..2).map(|at| &both["now"][at]["relay"]).collect();
    assert_eq!(relays, ["h2", "h3"], "{both}");
    let text = master.cli(["node", "why-denied", IP]).ok();
    for part in [
        "172.30.0.2, of 2 containers",
        "c1 (000000000000) on host h2 at h2/file/172.30.0.2",
        "c2 (000000000000) on host h3 at h3/file/172.30.0.2",
        "from 172.30.0.2 by host h3: a certificate would be issued",
        "from 172.30.0.2 by host h3 (entry ",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(!text.contains("ambiguous"), "{text}");

    // Where one node is asked for, an IP says too little.
    for ask in [
        &["node", "show", IP][..],
        &["cert", "revoke", "--node", IP, "--yes"],
    ] {
        let refused = master.cli(ask.iter().copied());
        let told = refused.fails(1);
        assert!(told.contains("c1 (000000000000) on host h2"), "{told}");
        assert!(told.contains("name or its ID"), "{told}");
    }
}

#[test]
fn what_no_range_has_room_for_is_told_with_the_range_that_it_lacks() {
    if !require("netns") {
        return;
    }
    // The master certifies eight addresses, the host may vouch for sixteen.
    let master = Setup::hosts(&["172.30.0.0/29"]).start();
    let mut outside = container(3, 20);
    outside.name = "stray".to_owned();
    let cidr = ["--cidr", "172.30.0.0/28"];
    let host = Host::start(&master, "h2", &[container(1, 9), outside], &cidr);
    watched(&master, &host, 1);

    let stray = "172.30.0.20";
    for subject in [stray, "stray", &format!("{:064x}", 3)] {
        let why = why(&master, subject);
        assert_eq!(why["subjects"][0]["standing"], "refused", "{why}");
        assert_eq!(why["subjects"][0]["name"], "stray");
        let now = &why["now"][0];
        assert_eq!(now["code"], "address-not-permitted", "{why}");
        let detail = now["detail"].as_str().unwrap();
        assert!(detail.contains("outside the ranges that host h2"), "{now}");
        assert!(now["hint"].as_str().unwrap().contains("--cidr"), "{now}");
        let told = refusals(&master, subject);
        assert_eq!(told[0].0, "host-refused", "{told:?}");
    }
    // Its connection is refused to the relay, so that the container itself hears nothing.
    let space = host.machine().container(20);
    let _agent = Agent::start_in(&space, &master);
    eventually("the relay's refusal", || {
        let told = refusals(&master, stray);
        let of_relay = told.iter().find(|one| one.0 == "address-not-permitted")?;
        assert_eq!(of_relay.1, "h2");
        Some(())
    });

    let space = host.machine().container(9);
    let agent = Agent::start_in(&space, &master);
    agent.says("lies outside the ranges");
    let told = refusals(&master, "c1");
    assert_eq!(told[0].0, "address-not-permitted", "{told:?}");
    assert!(told[0].2.contains("--permit"), "{told:?}");
    assert_eq!(
        why(&master, "c1")["now"][0]["code"],
        "address-not-permitted"
    );
}

#[test]
fn a_host_that_is_lost_or_evicted_is_named_as_the_reason() {
    if !require("netns") {
        return;
    }
    let master = setup().start();
    let mut host = Host::start(&master, "h2", &[container(1, 2)], &[]);
    watched(&master, &host, 1);
    assert_eq!(why(&master, "c1")["now"][0]["verdict"], "issued");
    host.kill();
    eventually("the host to be lost", || {
        (listed(&master, "h2")["state"] == "lost").then_some(())
    });
    assert_eq!(node_state(&master, 1), "running", "its lease stays");
    let now = why(&master, "c1")["now"][0].clone();
    assert_eq!(now["code"], "unavailable", "{now}");
    assert!(now["detail"].as_str().unwrap().contains("h2 is lost"));
    assert!(now["hint"].as_str().unwrap().contains("host run"), "{now}");

    let _ = master.cli(["host", "evict", "h2"]).ok();
    let text = master.cli(["node", "why-denied", "c1"]).ok();
    for part in [
        "c1 (000000000000) on host h2 at h2/file/172.30.0.2, ended ",
        "from 172.30.0.2 by host h2: it would be refused: no-lease: host h2 was evicted at ",
        "hint: enroll the host anew: \"dockmaster host enroll h2\"",
    ] {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    let nobody = master.cli(["node", "why-denied", ""]);
    assert!(nobody.fails(2).contains("it is empty"), "{nobody:?}");
}
