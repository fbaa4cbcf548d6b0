//! A token burns into a key, and is used up when that key came back with its certificate.

use std::{fs, thread, time::Duration};

use dockmaster_proto::problem::ProblemCode;
use dockmaster_tests::Machine;

use crate::stage::{Stage, is_refused, key};

#[test]
fn an_answer_that_was_lost_is_given_again_to_the_same_key_and_to_no_other() {
    let stage = Stage::new();
    let token = stage.token(&[]);
    let (machine, thief) = (Machine::numbered(20), Machine::numbered(21));
    let (own, other) = (key(), key());
    // The answer arrives, and is not kept.
    let _ = stage.redeem(&machine, &token, &own).unwrap();
    let waits = &stage.listed()["machines"][0];
    assert_eq!(waits["confirmed"], false, "{waits}");
    is_refused(stage.redeem(&thief, &token, &other));
    assert!(
        stage.fact().contains("burned into other keys"),
        "{}",
        stage.fact()
    );
    is_refused(stage.redeem(&machine, &token, &other));

    let again = stage.redeem(&machine, &token, &own).unwrap();
    assert_eq!(stage.entries("lease_opened").len(), 1);
    assert!(stage.entries("token_used").is_empty());
    stage.comes_back(&machine, &again).unwrap();
    stage.comes_back(&machine, &again).unwrap();
    assert_eq!(stage.entries("token_used").len(), 1);
    is_refused(stage.redeem(&machine, &token, &own));
    // Elsewhere the certificate is of no use.
    let problem = stage.comes_back(&thief, &again).unwrap_err();
    assert_eq!(problem.code, ProblemCode::CertificateRevoked);
}

#[test]
fn an_agent_that_cannot_keep_the_answer_asks_again_with_the_same_key() {
    let stage = Stage::new();
    let machine = Machine::numbered(22);
    machine.give(&stage.token(&[]));
    // A folder is where the file has to go.
    let kept = machine.kept("machine.pem");
    fs::create_dir_all(kept.join("in the way")).unwrap();
    let lost = machine.once(&stage.master);
    assert!(lost.fails(1).contains("cannot write"), "{lost:?}");
    assert_eq!(stage.entries("cert_issued").len(), 2, "a master's and this");
    let join_key = fs::read(machine.kept("join.key.pem")).unwrap();

    fs::remove_dir_all(&kept).unwrap();
    let _ = machine.once(&stage.master).ok();
    let key = fs::read(machine.kept("key.pem")).unwrap();
    assert_eq!(key, join_key);
    assert!(!machine.kept("join.key.pem").exists());
    assert_eq!(stage.entries("token_used").len(), 1);
}

#[test]
fn wherever_an_agent_dies_it_loses_no_token() {
    let stage = Stage::new();
    for number in 0..8 {
        let machine = Machine::numbered(30 + number);
        machine.give(&stage.token(&[]));
        let agent = machine.start(&stage.master);
        while !machine.kept("join.key.pem").exists() && !machine.kept("machine.pem").exists() {
            thread::park_timeout(Duration::from_millis(1));
        }
        thread::park_timeout(Duration::from_millis(4 * u64::from(number)));
        agent.kill();
        let again = machine.once(&stage.master);
        assert_eq!(again.code, 0, "{again:?}");
    }
    assert_eq!(stage.entries("token_used").len(), 8);
}
