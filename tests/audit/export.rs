//! The log in the hands of other systems.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use serde_json::Value;

use crate::scene::Scene;

fn indexes(text: &str) -> Vec<u64> {
    let record = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    text.lines()
        .map(|line| record(line)["index"].as_u64().unwrap())
        .collect()
}

#[test]
fn an_export_has_every_entry_once_and_goes_on_where_it_stopped() {
    let scene = Scene::new(520);
    let dir = tempfile::tempdir().unwrap();
    let position = dir.path().join("position").display().to_string();
    let export = || {
        let ran = scene
            .master
            .cli(["audit", "export", "--position", &position]);
        ran.ok()
    };
    let first = indexes(&export());
    assert_eq!(first, (0..first.len() as u64).collect::<Vec<_>>());
    let _ = scene
        .master
        .cli(["node", "label", &scene.stand_ins[1].id, "tier=back"])
        .ok();
    // What an operator was told is in the log.
    let more = export();
    assert_eq!(indexes(&more), [first.len() as u64]);
    assert!(more.contains("labels_changed"), "{more}");

    let lines = |format: &str| {
        let ran = scene.master.cli(["audit", "export", "--format", format]);
        ran.ok().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    for (format, beginning) in [("cef", "CEF:0|Dockmaster|dockmaster|"), ("syslog", "<1")] {
        let lines = lines(format);
        assert_eq!(lines.len(), first.len() + 1);
        assert!(
            lines.iter().all(|line| line.starts_with(beginning)),
            "{lines:?}"
        );
    }
}

#[test]
fn who_follows_the_log_sees_entries_as_they_are_published() {
    let scene = Scene::new(530);
    let mut export = scene
        .master
        .command(["audit", "export", "--follow"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(export.stdout.take().unwrap()).lines();
    let mut until = |event: &str| {
        let named = format!("\"event\":\"{event}\"");
        lines
            .by_ref()
            .map(Result::unwrap)
            .any(|line| line.contains(&named))
    };
    assert!(until("site_deployed"));
    scene
        .master
        .classify("groups: [ { name: front, match: tier=front, classes: [base] } ]");
    assert!(until("classification_changed"));
    export.kill().unwrap();
    export.wait().unwrap();
}

#[test]
fn a_log_that_was_put_back_is_found_out_by_whoever_exported_more() {
    let mut scene = Scene::new(540);
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("backup.tar").display().to_string();
    let position = dir.path().join("position").display().to_string();
    let _ = scene.master.cli(["backup", &old]).ok();
    for value in ["a", "b", "c", "d"] {
        let label = format!("step={value}");
        let _ = scene
            .master
            .cli(["node", "label", &scene.stand_ins[1].id, &label])
            .ok();
    }
    let _ = scene
        .master
        .cli(["audit", "export", "--position", &position])
        .ok();
    scene.master.terminate();
    fs::rename(scene.master.data(), dir.path().join("gone")).unwrap();
    let data = scene.master.data().display().to_string();
    let _ = scene.master.cli(["restore", &old, "--data", &data]).ok();
    scene.master.serve();
    let again = scene
        .master
        .cli(["audit", "export", "--position", &position]);
    assert!(
        again.fails(1).contains("the log was rewritten"),
        "{again:?}"
    );
}
