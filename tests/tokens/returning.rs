//! A machine whose certificate has expired comes back by its key, without a token.

use std::{fs, time::Duration};

use dockmaster_certs::key::KeyPair;
use dockmaster_client::ClientError;
use dockmaster_proto::problem::ProblemCode;
use dockmaster_tests::{
    Asked, Enrolled, Machine, Peer,
    clock::{self, Clocks},
    eventually, require_all,
};

use crate::stage::{Stage, halves, key};

const HOUR: u32 = 3600;
const DAY: u32 = 24 * HOUR;

/// The machine joins, so many seconds ago by the master's clock: what it keeps is of a time that is over.
fn joined_ago(stage: &Stage, machine: &Machine, seconds: u32, token: &str) {
    machine.give(token);
    let back = -i32::try_from(seconds).unwrap();
    clock::shift(stage.master.pid(), Clocks::TimeOfDay, back);
    // By that clock the authority is not valid yet, so that it does not get far with what it has.
    let first = machine.once(&stage.master);
    clock::shift(stage.master.pid(), Clocks::TimeOfDay, 0);
    assert!(first.stderr.contains("enrolled as"), "{first:?}");
    fs::remove_file(machine.token_file()).unwrap();
}

/// For the master it is so many seconds later. Its steady clock stays as it is: what is behind the log waits
/// by that.
fn expired(stage: &Stage, seconds: u32) {
    let later = i32::try_from(seconds).unwrap();
    clock::shift(stage.master.pid(), Clocks::TimeOfDay, later);
}

/// Waits until the leases of so many machines have ended with their certificates.
fn all_gone(stage: &Stage, count: usize) {
    eventually("the end of the leases", || {
        let closed = stage.entries("lease_closed");
        let expired = closed.iter().filter(|entry| entry["cause"] == "expired");
        (expired.count() == count).then_some(())
    });
}

/// A machine's agent asks with its key and is refused; the operator is told why.
#[track_caller]
fn is_turned_away(stage: &Stage, machine: &Machine, why: &str) {
    let refused = machine.once(&stage.master);
    let told = refused.fails(3);
    assert!(told.contains(why), "{told}");
    let node = machine.node().to_string();
    for of in [&machine.ip.to_string(), &node] {
        is_told(stage, of, why);
    }
    // Not of what was just refused alone.
    let foreseen = stage.master.json(["node", "why-denied", &node]);
    assert_ne!(foreseen["now"][0]["verdict"], "issued", "{foreseen}");
}

/// Why-denied says this. It reads what follows the log, soon.
fn is_told(stage: &Stage, of: &str, why: &str) {
    eventually(&format!("why-denied of {of} to say \"{why}\""), || {
        let answer = stage.master.cli(["node", "why-denied", of]).ok();
        answer.contains(why).then_some(())
    });
}

fn asks(stage: &Stage, machine: &Machine, key: &KeyPair) -> Result<Enrolled, ClientError> {
    let peer = Peer::of(&stage.master, machine);
    match stage.runtime.block_on(peer.ask(key, Duration::ZERO))? {
        Asked::Issued(enrolled) => Ok(*enrolled),
        held @ Asked::Held(_) => panic!("{held:?}"),
    }
}

fn renews(stage: &Stage, machine: &Machine, before: &Enrolled) -> Enrolled {
    let peer = Peer::of(&stage.master, machine);
    match stage.runtime.block_on(peer.renew(before)).unwrap() {
        Asked::Issued(enrolled) => *enrolled,
        held @ Asked::Held(_) => panic!("{held:?}"),
    }
}

fn key_of(enrolled: &Enrolled) -> KeyPair {
    KeyPair::from_pem(&enrolled.identity.key).unwrap()
}

#[test]
fn a_machine_that_was_off_past_its_certificates_life_comes_back_without_a_token() {
    if !require_all(&["vdso"]) {
        return;
    }
    let mut stage = Stage::new();
    let machine = Machine::numbered(160);
    let token = stage.token(&["--label", "role=db", "--network", "lan"]);
    joined_ago(&stage, &machine, 7 * HOUR, &token);
    let first = fs::read(machine.kept("key.pem")).unwrap();
    all_gone(&stage, 1);
    // What is known of it is in the log alone.
    stage.master.kill();
    fs::remove_dir_all(stage.master.data().join("index.sled")).unwrap();
    stage.master.serve();

    for of in [machine.ip.to_string(), machine.node().to_string()] {
        let foreseen = stage.master.json(["node", "why-denied", &of]);
        assert_eq!(foreseen["now"][0]["verdict"], "issued", "{foreseen}");
    }
    let back = machine.once(&stage.master);
    assert_eq!(back.code, 0, "{back:?}");
    assert!(back.stderr.contains("back as"), "{back:?}");
    assert!(back.stderr.contains("renewed as"), "{back:?}");
    assert_ne!(
        fs::read(machine.kept("key.pem")).unwrap(),
        first,
        "a new key"
    );

    let node = stage.master.json(["node", "show", &machine.ip.to_string()]);
    assert_eq!(node["id"], machine.node().to_string());
    assert_eq!(node["labels"]["role"]["value"], "db");
    assert_eq!(node["labels"]["role"]["tier"], "token");
    assert_eq!(node["addresses"][0], format!("lan/{}", machine.ip));
    // The log tells a return from a first use.
    let opened = stage.entries("lease_opened");
    assert_eq!(opened[0]["cause"], "returned", "{opened:?}");
    assert_eq!(opened[1]["cause"], "enrolled");
    let issued = stage.entries("cert_issued");
    let of_it: Vec<_> = issued
        .iter()
        .filter(|entry| entry["container"] == machine.node().to_string())
        .collect();
    assert_eq!(of_it.len(), 2, "{issued:?}");
    let evidence = |number: usize| &of_it[number]["evidence"][0];
    assert_eq!(evidence(0)["token"], halves(&token).0);
    assert_eq!(evidence(0)["returned_with"], of_it[1]["serial"]);
    assert!(evidence(1).get("returned_with").is_none());
    assert_eq!(of_it[0]["spki_sha256"], of_it[1]["spki_sha256"]);
    assert_eq!(stage.listed()["uses_left"], 0);
    assert_eq!(stage.listed()["machines"].as_array().unwrap().len(), 1);
    let serial = of_it[0]["serial"].as_str().unwrap().to_owned();
    let shown = stage.master.cli(["cert", "show", &serial]).ok();
    assert!(shown.contains("back by the key of certificate"), "{shown}");
    let _ = stage.master.cli(["audit", "verify"]).ok();
    // And it goes on from there.
    let again = machine.once(&stage.master);
    assert!(again.stderr.contains("of an earlier start"), "{again:?}");
}

#[test]
fn a_machine_that_was_cut_off_while_it_ran_comes_back_by_itself() {
    if !require_all(&["vdso"]) {
        return;
    }
    let mut stage = Stage::new();
    let machine = Machine::numbered(161);
    machine.give(&stage.token(&[]));
    let agent = machine.start(&stage.master);
    agent.says("nothing to apply");
    fs::remove_file(machine.token_file()).unwrap();
    stage.master.kill();
    agent.says("cannot connect");
    let time = Duration::from_secs(u64::from(7 * HOUR));
    clock::pass(agent.pid(), time);
    stage.master.serve();
    clock::pass(stage.master.pid(), time);
    agent.says("back as");
    agent.says("renewed as");
    assert_eq!(agent.log().matches("enrolled as").count(), 1);
    eventually("the machine to be seen with its new key", || {
        (!stage.entries("cert_confirmed").is_empty()).then_some(())
    });
}

#[test]
fn whoever_may_not_come_back_is_refused_and_the_operator_is_told_why() {
    if !require_all(&["vdso"]) {
        return;
    }
    let stage = Stage::new();
    let machines: Vec<Machine> = (170..175).map(Machine::numbered).collect();
    let [evicted, revoked, banned, superseded, late] = &machines[..] else {
        panic!("five");
    };
    let tokens: Vec<String> = machines.iter().map(|_| stage.token(&[])).collect();
    for (machine, token) in machines.iter().zip(&tokens) {
        let ago = if machine.ip == late.ip {
            31 * DAY
        } else {
            7 * HOUR
        };
        joined_ago(&stage, machine, ago, token);
    }
    all_gone(&stage, machines.len());

    let id = halves(&tokens[0]).0;
    let out = stage.master.json(["token", "revoke", id, "--nodes"]);
    assert_eq!(out["evicted"][0], evicted.node().to_string(), "{out}");
    let node = revoked.node().to_string();
    let _ = stage
        .master
        .cli(["cert", "revoke", "--node", &node, "--yes"])
        .ok();
    let node = banned.node().to_string();
    let ban = ["cert", "revoke", "--node", &node, "--ban", "--yes"];
    let _ = stage.master.cli(ban).ok();
    let heir = Machine::at(superseded.ip, 176);
    heir.give(&stage.token(&[]));
    let _ = heir.once(&stage.master).ok();

    is_turned_away(&stage, evicted, "an operator put it out");
    is_turned_away(&stage, revoked, "an operator revoked a certificate of it");
    is_turned_away(&stage, banned, "banned it at");
    is_turned_away(&stage, superseded, "has been another's since");
    is_turned_away(&stage, late, "more than 30 days ago");
    assert_eq!(stage.entries("lease_opened").len(), machines.len() + 1);
    // With a new token it is back at once, though what it kept is tried first.
    late.give(&stage.token(&[]));
    let joined = late.once(&stage.master);
    assert_eq!(joined.code, 0, "{joined:?}");
    assert!(
        joined.stderr.contains("more than 30 days ago"),
        "{joined:?}"
    );
    assert!(joined.stderr.contains("enrolled as"), "{joined:?}");
}

#[test]
fn a_thief_with_an_older_key_or_at_another_address_is_refused() {
    if !require_all(&["vdso"]) {
        return;
    }
    let stage = Stage::new();
    let (machine, elsewhere) = (Machine::numbered(180), Machine::numbered(181));
    let old = key();
    let enrolled = stage.redeem(&machine, &stage.token(&[]), &old).unwrap();
    stage.comes_back(&machine, &enrolled).unwrap();
    let renewed = renews(&stage, &machine, &enrolled);
    stage.comes_back(&machine, &renewed).unwrap();
    assert_eq!(stage.entries("cert_confirmed").len(), 1);
    expired(&stage, 7 * HOUR);
    all_gone(&stage, 1);

    let refused = asks(&stage, &machine, &old).unwrap_err().to_string();
    assert!(refused.contains("not that of its newest"), "{refused}");
    is_told(&stage, &machine.ip.to_string(), "not that of its newest");
    let own = key_of(&renewed);
    let refused = asks(&stage, &elsewhere, &own);
    let Err(ClientError::Problem(problem)) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(problem.code, ProblemCode::TokenRefused);
    assert!(problem.detail.contains("its own address"), "{problem}");
    let back = asks(&stage, &machine, &own).unwrap();
    stage.comes_back(&machine, &back).unwrap();
    let _ = stage.master.cli(["audit", "verify"]).ok();
}

#[test]
fn a_renewal_whose_answer_was_lost_locks_nobody_out() {
    if !require_all(&["vdso"]) {
        return;
    }
    let stage = Stage::new();
    let (first, second) = (Machine::numbered(182), Machine::numbered(183));
    let mut kept = Vec::new();
    for machine in [&first, &second] {
        let enrolled = stage.redeem(machine, &stage.token(&[]), &key()).unwrap();
        stage.comes_back(machine, &enrolled).unwrap();
        let renewed = renews(&stage, machine, &enrolled);
        kept.push([enrolled, renewed]);
    }
    assert!(stage.entries("cert_confirmed").is_empty());
    expired(&stage, 10 * HOUR);
    all_gone(&stage, 2);
    // One has the certificate from before, the other the new one, which it never showed.
    let back = asks(&stage, &first, &key_of(&kept[0][0])).unwrap();
    // That answer may be lost too.
    let again = asks(&stage, &first, &key_of(&kept[0][0])).unwrap();
    assert_ne!(back.issued.serial, again.issued.serial);
    stage.comes_back(&first, &again).unwrap();
    let back = asks(&stage, &second, &key_of(&kept[1][1])).unwrap();
    stage.comes_back(&second, &back).unwrap();
}
