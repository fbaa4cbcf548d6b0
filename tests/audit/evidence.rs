//! Evidence that is checked without the master that it came from.

use std::{fs, path::Path, process::Command};

use dockmaster_tests::{Ran, binary};
use serde_json::Value;

use crate::scene::Scene;

/// `audit check` with nothing but the key.
fn check(file: &Path, key: &str) -> Ran {
    let mut check = Command::new(binary("dockmaster"));
    check.args(["audit", "check", "-o", "json", "--log-key", key]);
    Ran::run(check.arg(file))
}

fn log_key(scene: &Scene) -> String {
    let bundle = fs::read_to_string(scene.master.data().join("ca/bundle.pem")).unwrap();
    let first = bundle.lines().next().unwrap();
    first.split_once(": ").unwrap().1.to_owned()
}

#[test]
fn a_certificate_is_shown_with_a_proof_that_was_checked() {
    let scene = Scene::new(600);
    let serial = scene.serial();
    let shown = scene.master.cli(["cert", "show", &serial, "--proof"]).ok();
    let name = log_key(&scene);
    let name = name.split('+').next().unwrap();
    assert!(
        shown.contains(&format!("proven      by {name}'s signed head of ")),
        "{shown}"
    );
    assert!(shown.contains("\n  c2sp.org/tlog-proof@v1\n"), "{shown}");
}

#[test]
fn a_certificate_and_any_entry_are_proved_in_a_file_that_needs_no_master() {
    let mut scene = Scene::new(500);
    let key = log_key(&scene);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("proof");
    let path = file.display().to_string();
    let serial = scene.serial();
    for subject in [serial.as_str(), "0", "1"] {
        let _ = scene
            .master
            .cli(["audit", "prove", subject, "-o", &path])
            .ok();
        let shown = check(&file, &key).json();
        let entry = &shown["entries"][0];
        match subject.parse::<u64>() {
            Ok(index) => assert_eq!(entry["index"], index),
            Err(_) => assert_eq!(entry["entry"]["serial"], serial.as_str()),
        }
    }
    let absent = scene.master.cli(["audit", "prove", "100000", "-o", &path]);
    assert!(absent.fails(1).contains("there is no entry 100000"));

    scene.master.terminate();
    let good = fs::read_to_string(&file).unwrap();
    let _ = check(&file, &key).json();
    // With the context at hand no key has to be given.
    let _ = scene.master.cli(["audit", "check", &path]).ok();
    let extra = good.lines().nth(1).unwrap();
    for bad in [
        good.replacen(&extra[10..14], "AAAA", 1),
        good.replacen("index 1\n", "index 2\n", 1),
        good[..good.len() - 40].to_owned(),
    ] {
        fs::write(&file, bad).unwrap();
        let refused = check(&file, &key);
        assert!(refused.fails(1).contains("proves nothing"), "{refused:?}");
    }
}

#[test]
fn who_held_an_address_is_proved_and_a_changed_answer_is_found_out() {
    let scene = Scene::new(510);
    let key = log_key(&scene);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("holder.json");
    let path = file.display().to_string();
    // Once while it holds the address, once when it is over.
    let at_1 = scene
        .master
        .json(["audit", "who", &scene.ip(), "--prove", &path])["at_ms"]
        .clone();
    let shown = check(&file, &key).json();
    assert_eq!(
        shown["answer"]["holders"][0]["container"],
        scene.stand_ins[0].id.as_str()
    );
    assert_eq!(
        shown["answer"]["holders"][0]["certificates"][0],
        scene.serial().as_str()
    );
    let note = shown["notes"][0].as_str().unwrap();
    assert!(note.contains("had not ended by then"), "{note}");

    scene.inventory.set(&scene.stand_ins[1..]);
    dockmaster_tests::eventually("the end of the lease", || {
        let closed = scene
            .master
            .json(["audit", "list", "--event", "lease_closed"]);
        (!closed["entries"].as_array().unwrap().is_empty()).then_some(())
    });
    let at = at_1.to_string();
    let _ = scene
        .master
        .cli(["audit", "who", &scene.ip(), "--at", &at, "--prove", &path])
        .ok();
    let shown = check(&file, &key).json();
    assert_eq!(shown["notes"], Value::Null, "{shown}");
    let good = fs::read_to_string(&file).unwrap();
    for (word, other) in [
        ("stand-in-510", "stand-in-511"),
        ("\"epoch\": 1", "\"epoch\": 2"),
    ] {
        assert!(good.contains(word), "{good}");
        fs::write(&file, good.replacen(word, other, 1)).unwrap();
        let refused = check(&file, &key);
        assert!(refused.fails(1).contains("no entry shows"), "{refused:?}");
    }
    // Of nobody there is no such proof.
    let nobody = scene
        .master
        .cli(["audit", "who", "127.9.9.9", "--prove", &path]);
    assert!(nobody.fails(1).contains("no single entry can show that"));
}
