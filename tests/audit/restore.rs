//! Backups of a serving master, and what a restored one may and may not do.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use dockmaster_proto::route::Route;
use dockmaster_tests::{Agent, Answer, Master, Ran, binary, eventually, require_all};
use serde_json::Value;

use crate::scene::Scene;

/// Stops the master, takes its data away, and puts a restored one in its place.
fn restore(scene: &mut Scene, backup: &str, more: &[&str]) -> Value {
    if scene.master.is_running() {
        scene.master.terminate();
    }
    fs::remove_dir_all(scene.master.data()).unwrap();
    let data = scene.master.data().display().to_string();
    let mut restore = Command::new(binary("dockmaster"));
    restore.args(["restore", backup, "--data", &data, "-o", "json"]);
    Ran::run(restore.args(more)).json()
}

/// All that an operator can ask about the time before an entry.
fn answers(master: &Master, node: &str, bound: &str) -> Vec<Value> {
    [
        vec!["node", "show", node],
        vec!["classify", "show"],
        vec!["catalog", "show", node],
        vec!["audit", "list", "--limit", "1000", "--before", bound],
        vec!["cert", "list", "--all", "--node", node],
    ]
    .map(|question| master.json(question))
    .to_vec()
}

fn watched(master: &Master) {
    eventually("a look at the host", || {
        let started = master.json(["audit", "list", "--limit", "1", "--event", "master_started"]);
        let watched = master.json(["audit", "list", "--limit", "1", "--event", "host_watched"]);
        let index = |list: &Value| list["entries"][0]["index"].as_u64();
        (index(&watched) > index(&started)).then_some(())
    });
}

#[test]
fn a_backup_of_a_serving_master_brings_all_of_it_back() {
    let mut scene = Scene::new(550);
    scene
        .master
        .classify("groups: [ { name: front, match: tier=front, classes: [base] } ]");
    let dir = tempfile::tempdir().unwrap();
    let backup = dir.path().join("backup.tar").display().to_string();
    // Others go on meanwhile.
    let busy = scene.peer(1);
    let enrolling = scene.runtime.spawn(async move {
        let mut count = 0;
        for _ in 0..10 {
            count += u32::from(busy.enroll().await.is_ok());
        }
        count
    });
    let _ = scene.master.cli(["backup", &backup]).ok();
    assert!(scene.runtime.block_on(enrolling).unwrap() > 0);
    let mode = fs::metadata(&backup).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let taken = scene
        .master
        .json(["audit", "list", "--event", "backup_taken"]);
    let taken = taken["entries"][0]["index"].to_string();
    let node = scene.stand_ins[0].id.clone();
    let before = answers(&scene.master, &node, &taken);
    let restored = restore(&mut scene, &backup, &[]);
    assert_eq!(restored["trust_pin"], scene.master.trust().to_string());
    scene.master.serve();
    watched(&scene.master);
    for (before, after) in before.iter().zip(answers(&scene.master, &node, &taken)) {
        assert_eq!(*before, after);
    }
    let events = scene.master.json(["audit", "list", "--event", "restored"]);
    assert_eq!(events["entries"][0]["log_size"], restored["log_size"]);
    let _ = scene.master.cli(["audit", "verify"]).ok();
    // A certificate of before counts, and the same keys issue the next.
    let peer = scene.peer(0);
    let catalog = scene.runtime.block_on(peer.catalog(&scene.enrolled, None));
    assert_eq!(catalog.unwrap().status, 200);
    scene.runtime.block_on(scene.peer(2).enroll()).unwrap();
}

#[test]
fn a_restored_master_that_lags_behind_what_containers_saw_ends_its_issuing() {
    if !require_all(&["curl"]) {
        return;
    }
    let mut scene = Scene::new(560);
    let dir = tempfile::tempdir().unwrap();
    let backup = dir.path().join("backup.tar").display().to_string();
    let _ = scene.master.cli(["backup", &backup]).ok();
    // Far more than a start of the restored master will write.
    for number in 0..12 {
        let label = format!("step=n{number}");
        let _ = scene
            .master
            .cli(["node", "label", &scene.stand_ins[1].id, &label])
            .ok();
    }
    let agent = Agent::start(&scene.master, &scene.stand_ins[1]);
    agent.says("enrolled as");

    let _ = restore(&mut scene, &backup, &[]);
    scene.master.serve();
    // Its certificate is of a time that never was; the next one it asks for with what it saw.
    agent.says("has seen the log at");
    let refused = scene.runtime.block_on(scene.peer(2).enroll()).unwrap_err();
    assert!(
        refused.to_string().contains("put back to an older state"),
        "{refused}"
    );
    let bundle = scene.master.data().join("ca/bundle.pem");
    let url = format!(
        "https://{}{}",
        scene.master.address(),
        Route::Readyz.path("")
    );
    let readyz = Answer::of(Command::new("curl"), &bundle, &url);
    assert_eq!(readyz.status, 503);
    assert!(readyz.body.contains("nothing is issued"), "{readyz:?}");
    scene.master.terminate();
    let refused = scene.master.fails_to_serve();
    assert!(refused.stderr.contains("must not go on"), "{refused:?}");
    drop(agent);

    // The way out: the same entries under another key.
    let restored = restore(&mut scene, &backup, &["--new-log"]);
    assert_ne!(restored["trust_pin"], scene.master.trust().to_string());
    scene.master.serve();
    watched(&scene.master);
    scene.runtime.block_on(scene.peer(2).enroll()).unwrap();
    let _ = scene.master.cli(["audit", "verify"]).ok();
    let events = scene.master.json(["audit", "list", "--event", "restored"]);
    let previous = events["entries"][0]["previous_log"].as_str().unwrap();
    assert!(
        previous.starts_with("dockmaster.internal/dockmaster-log+"),
        "{previous}"
    );
    // Who pins the old installation does not take it for that.
    let old = Agent::once(&scene.master, &scene.stand_ins[1]);
    assert!(old.stderr.contains("is pinned"), "{old:?}");
}

#[test]
fn a_damaged_backup_restores_nothing() {
    let scene = Scene::new(570);
    let dir = tempfile::tempdir().unwrap();
    let backup = dir.path().join("backup.tar");
    let _ = scene
        .master
        .cli(["backup", &backup.display().to_string()])
        .ok();
    let good = fs::read(&backup).unwrap();
    let find = |text: &[u8]| good.windows(text.len()).position(|at| at == text).unwrap();
    let flipped = |at: usize| {
        let mut bad = good.clone();
        bad[at] ^= 1;
        bad
    };
    let mut without_end = good.clone();
    without_end.truncate(good.len() / 2);
    let data = dir.path().join("data");
    for (bad, told) in [
        (flipped(find(b"\"event\":\"lease_opened\"") + 10), "entr"),
        (flipped(find(b"BEGIN CERTIFICATE") + 100), "ca/"),
        (without_end, "nothing was restored"),
        (b"garbage".repeat(100), "no backup"),
    ] {
        fs::write(&backup, bad).unwrap();
        let mut restore = Command::new(binary("dockmaster"));
        restore.arg("restore").arg(&backup).arg("--data").arg(&data);
        let refused = Ran::run(&mut restore);
        assert!(refused.fails(1).contains(told), "{told}: {refused:?}");
        assert!(!data.exists(), "{told}");
    }
    fs::write(&backup, good).unwrap();
    let mut restore = Command::new(binary("dockmaster"));
    restore.arg("restore").arg(&backup).arg("--data").arg(&data);
    let _ = Ran::run(&mut restore).ok();
    let again = Ran::run(&mut restore);
    assert!(
        again.fails(1).contains("exists and is not empty"),
        "{again:?}"
    );
}

#[test]
fn a_certificate_that_the_disk_spoiled_is_told_and_put_back_from_a_backup() {
    let mut scene = Scene::new(610);
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let backup = path("backup.tar");
    let _ = scene.master.cli(["backup", &backup]).ok();
    // No frame of the write-ahead log has it any more: what one has is mended by itself at a start.
    let _ = restore(&mut scene, &backup, &[]);
    // Its name stands in the certificate.
    let id = scene.stand_ins[0].id.clone();
    let pack = scene.master.data().join("blobs/packs/0000000000.pack");
    let mut bytes = fs::read(&pack).unwrap();
    let at = bytes.windows(id.len()).position(|it| it == id.as_bytes());
    bytes[at.unwrap()] ^= 1;
    fs::write(&pack, bytes).unwrap();
    scene.master.serve();

    let serial = scene.serial();
    let shown = scene.master.cli(["cert", "show", &serial]);
    let told = shown.fails(1);
    assert!(told.contains("0000000000.pack is damaged"), "{told}");
    let again = path("again.tar");
    assert_eq!(scene.master.cli(["backup", &again]).code, 1);
    let mended = told.split_whitespace().find(|word| {
        word.contains("/blobs/") && !word.contains("/packs/") && !word.starts_with("blobs/")
    });
    let mended = std::path::PathBuf::from(mended.unwrap());
    let parent = mended.parent().unwrap();
    let digest: String = [parent, &mended]
        .map(|path| path.file_name().unwrap().to_str().unwrap())
        .concat();
    let member = format!("blobs/{digest}");
    let mut extract = Command::new("tar");
    let _ = Ran::run(extract.args(["-C", &path(""), "-xf", &backup, &member])).ok();
    fs::create_dir_all(parent).unwrap();
    fs::copy(dir.path().join(&member), &mended).unwrap();
    let _ = scene.master.cli(["cert", "show", &serial]).ok();
    let _ = scene.master.cli(["backup", &again]).ok();
    let _ = scene.master.cli(["audit", "verify"]).ok();
}
