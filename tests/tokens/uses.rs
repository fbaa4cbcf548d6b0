//! What a token gives, and to how many.

use std::{fs, os::unix::fs::PermissionsExt as _};

use dockmaster_tests::Machine;

use crate::stage::{Stage, halves, holding};

#[test]
fn a_token_for_two_lets_in_two_machines_and_refuses_the_third() {
    let stage = Stage::new();
    let token = stage.token(&["--label", "role=db", "--uses", "2", "--network", "lan"]);
    let (id, secret) = halves(&token);
    let machines = [1, 2, 3].map(Machine::numbered);
    for machine in &machines {
        machine.give(&token);
    }
    for machine in &machines[..2] {
        let _ = machine.once(&stage.master).ok();
        assert!(!machine.kept("join.key.pem").exists());
    }
    let refused = machines[2].once(&stage.master);
    let told = refused.fails(3);
    assert!(told.contains("the join token is not accepted"), "{told}");
    assert!(
        stage.fact().contains("it lets 2 machines in"),
        "{}",
        stage.fact()
    );

    let listed = stage.listed();
    assert_eq!(listed["uses_left"], 0, "{listed}");
    assert_eq!(listed["state"], "used_up");
    assert_eq!(listed["created_by"], "/operator/admin");
    assert_eq!(stage.entries("token_used").len(), 2);

    // Its certificate goes on; a machine that loses it needs another token.
    let ip = machines[0].ip.to_string();
    let why = stage.master.json(["node", "why-denied", &ip]);
    let [renewal, again] = [0, 1].map(|at| &why["now"][at]);
    assert_eq!(renewal["request"], "renewal", "{why}");
    assert_eq!(renewal["verdict"], "issued");
    assert_eq!(again["request"], "token", "{why}");
    assert_eq!(again["code"], "token-refused");
    let detail = again["detail"].as_str().unwrap();
    assert!(detail.contains("is used up"), "{detail}");
    assert!(again["hint"].as_str().unwrap().contains("token create"));

    let node = stage.master.json(["node", "show", &ip]);
    assert_eq!(node["id"], machines[0].node().to_string());
    assert_eq!(node["state"], "enrolled");
    assert_eq!(node["labels"]["role"]["value"], "db");
    assert_eq!(node["labels"]["role"]["tier"], "token");
    assert_eq!(node["evidence"][0]["kind"], "token");
    assert_eq!(node["evidence"][0]["token"], id);
    let serial = node["certificate"].as_str().unwrap().to_owned();
    let shown = stage.master.cli(["cert", "show", &serial]).ok();
    assert!(
        shown.contains(&format!("evidence    token {id}\n")),
        "{shown}"
    );
    let who = stage.master.json(["audit", "who", &ip, "--network", "lan"]);
    let holder = &who["holders"][0];
    assert_eq!(holder["container"], node["id"]);
    assert_eq!(holder["opened_cause"], "enrolled");
    assert_eq!(holder["certificates"][0], serial.as_str());
    assert_eq!(who["certainty"], "authorised");
    let _ = stage.master.cli(["audit", "verify"]).ok();
    let answer = machines[0].kept("answer.json");
    let file = answer.display().to_string();
    let _ = stage
        .master
        .cli(["audit", "who", &ip, "--prove", &file])
        .ok();
    let _ = stage.master.cli(["audit", "check", &file]).ok();

    // The secret is with those that were given it, and nowhere else.
    assert_eq!(holding(stage.master.data(), secret), [""; 0]);
    assert!(!stage.master.log().join("\n").contains(secret));
    assert!(!refused.stderr.contains(secret));
    let list = stage.master.cli(["token", "list", "-o", "json"]).ok();
    assert!(!list.contains(secret));
    let uuid = machines[0].id.expose();
    assert_eq!(holding(stage.master.data(), &uuid), [""; 0]);
}

#[test]
fn a_token_that_is_written_into_a_file_is_shown_to_nobody() {
    let stage = Stage::new();
    let machine = Machine::numbered(4);
    let file = machine.token_file();
    let path = file.display().to_string();
    let shown = stage.master.cli(["token", "create", "--out", &path]).ok();
    let token = fs::read_to_string(&file).unwrap();
    assert!(!shown.contains(halves(token.trim()).1), "{shown}");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = stage.master.cli(["token", "create", "--out", &path]);
    assert!(again.fails(1).contains("cannot be written"), "{again:?}");
    assert_eq!(stage.entries("token_created").len(), 1, "no second token");
    let _ = machine.once(&stage.master).ok();
}

#[test]
fn a_token_file_that_others_can_read_is_not_used() {
    let stage = Stage::new();
    let machine = Machine::numbered(5);
    machine.give(&stage.token(&[]));
    fs::set_permissions(machine.token_file(), fs::Permissions::from_mode(0o640)).unwrap();
    let refused = machine.once(&stage.master);
    assert!(refused.fails(1).contains("chmod 600"), "{refused:?}");
    assert_eq!(stage.listed()["uses_left"], 1);
    assert!(stage.entries("cert_denied").is_empty());
}

#[test]
fn a_site_reaches_a_machine_by_its_tokens_labels() {
    let stage = Stage::new();
    stage.master.deploy("hello");
    stage
        .master
        .classify("groups: [ { name: db, match: role=db, classes: [base] } ]");
    let machine = Machine::numbered(6);
    machine.give(&stage.token(&["--label", "role=db"]));
    let _ = machine.once(&stage.master).ok();
    let node = stage
        .master
        .json(["node", "show", &machine.node().to_string()]);
    assert_eq!(node["groups"][0], "db", "{node}");
    // A label of the token's tier is weaker than an operator's.
    let id = machine.node().to_string();
    let _ = stage.master.cli(["node", "label", &id, "role=front"]).ok();
    let node = stage.master.json(["node", "show", &id]);
    assert_eq!(node["labels"]["role"]["tier"], "operator");
    assert_eq!(node["groups"].as_array().unwrap().len(), 0, "{node}");
}
