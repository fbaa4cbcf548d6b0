//! A master that is not the one that was pinned.

use std::{fs, process::Command};

use dockmaster_tests::{Ran, binary};

use crate::stand::Stand;

fn once(stand: &Stand, pin: &str, dir: &tempfile::TempDir) -> Ran {
    let mut agent = Command::new(binary("dockmaster-agent"));
    agent.env_clear().args(["once", "--trust", pin]);
    agent.args(["--master", &stand.master.address().to_string()]);
    agent.args(["--bind", &stand.ip().to_string()]);
    agent.arg("--run-dir").arg(dir.path().join("run"));
    agent.arg("--root").arg(dir.path());
    Ran::run(&mut agent)
}

#[test]
fn an_agent_with_another_pin_tells_the_master_nothing() {
    let stand = Stand::new(4);
    let dir = tempfile::tempdir().unwrap();
    let before = stand.trace();
    let wrong = format!("sha256:{}", "07".repeat(32));
    let refused = once(&stand, &wrong, &dir);
    let said = refused.fails(1);
    for part in [&wrong, &stand.master.trust().to_string(), "pinned"] {
        assert!(said.contains(part), "{part} in {said}");
    }
    assert!(stand.trace().only_entries_since(&before).is_empty());
    let run = fs::read_dir(dir.path().join("run"));
    assert_eq!(run.map_or(0, Iterator::count), 0, "nothing is kept");

    // It is the pin that makes the difference.
    let _ = once(&stand, &stand.master.trust().to_string(), &dir).ok();
    assert!(dir.path().join("run/cert.pem").is_file());
}
