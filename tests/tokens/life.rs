//! Tokens and what happens to the whole installation.

use std::{fs, process::Command, time::Duration};

use dockmaster_tests::{Machine, Peer, Ran, binary};

use crate::stage::{Stage, is_refused, key};

#[test]
fn no_token_of_before_a_restore_lets_anyone_in() {
    let mut stage = Stage::new();
    let token = stage.token(&["--uses", "2"]);
    let machine = Machine::numbered(100);
    let own = key();
    let _ = stage.redeem(&machine, &token, &own).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let backup = dir.path().join("backup.tar").display().to_string();
    let _ = stage.master.cli(["backup", &backup]).ok();
    stage.master.terminate();
    fs::remove_dir_all(stage.master.data()).unwrap();
    let data = stage.master.data().display().to_string();
    let mut restore = Command::new(binary("dockmaster"));
    let _ = Ran::run(restore.args(["restore", &backup, "--data", &data])).ok();
    stage.master.serve();

    assert_eq!(stage.listed()["state"], "restored");
    let other = Machine::numbered(101);
    is_refused(stage.redeem(&other, &token, &key()));
    assert!(stage.fact().contains("restored from a backup"));
    // Not even to the key that it burned into: it may have come back since.
    is_refused(stage.redeem(&machine, &token, &own));
    // Nor does that key bring the machine back: it may have been put out since.
    let peer = Peer::of(&stage.master, &machine);
    let returned = stage.runtime.block_on(peer.ask(&own, Duration::ZERO));
    let refused = returned.unwrap_err().to_string();
    assert!(refused.contains("restored from a backup"), "{refused}");
    let new = stage.token(&[]);
    let _ = stage.redeem(&other, &new, &key()).unwrap();
}
