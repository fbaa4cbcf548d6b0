//! `apply` and `facts` as commands.
#![allow(missing_docs, clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::{fs, io::Write as _, os::unix::fs::MetadataExt as _, process::Stdio};

use dockmaster_proto::id::Digest;
use rustix::process::Signal;
use serde_json::json;
use support::{Bench, Running, catalog, code, text, until};

#[test]
fn a_catalog_is_applied_without_a_master() {
    let bench = Bench::new();
    let large = "x".repeat(5000);
    let digest = Digest::of(large.as_bytes());
    let resources = json!([
        { "type": "directory", "title": "/etc", "params": { "mode": "0750" } },
        { "type": "file", "title": "/etc/motd", "params": { "content": { "inline": "hi\n" }, "mode": "0600" } },
        { "type": "file", "title": "/large", "params": { "content": { "blob": { "sha256": digest, "size": 5000 } } } },
        { "type": "symlink", "title": "/link", "params": { "target": "etc/motd" } },
        { "type": "process", "title": "app", "params": {} }
    ]);
    let file = bench.path("catalog.json");
    fs::write(&file, catalog(&resources, &json!([]))).unwrap();
    fs::create_dir(bench.path("catalog.json.blobs")).unwrap();
    fs::write(
        bench.path("catalog.json.blobs").join(digest.to_string()),
        &large,
    )
    .unwrap();
    let output = bench.agent().arg("apply").arg(&file).output().unwrap();
    let log = text(&output.stderr);
    assert_eq!(code(&output), Some(0), "{log}");
    assert!(log.contains("applied: 4 changed, 1 unchanged"), "{log}");
    assert_eq!(fs::read_to_string(bench.root("etc/motd")).unwrap(), "hi\n");
    assert_eq!(
        fs::metadata(bench.root("etc/motd")).unwrap().mode() & 0o7777,
        0o600
    );
    assert_eq!(
        fs::metadata(bench.root("etc")).unwrap().mode() & 0o7777,
        0o750
    );
    assert_eq!(fs::read_to_string(bench.root("link")).unwrap(), "hi\n");
    assert_eq!(fs::read_to_string(bench.root("large")).unwrap(), large);
    let again = bench.agent().arg("apply").arg(&file).output().unwrap();
    assert!(text(&again.stderr).contains("applied: 5 unchanged"));
}

#[test]
fn a_dry_run_from_standard_input_shows_the_difference_and_changes_nothing() {
    let bench = Bench::new();
    fs::write(bench.root("a"), "old\n").unwrap();
    let resources =
        json!([{ "type": "file", "title": "/a", "params": { "content": { "inline": "new\n" } } }]);
    let mut child = bench
        .agent()
        .args(["apply", "-", "--noop"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let input = catalog(&resources, &json!([]));
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), Some(0));
    let shown = text(&output.stdout);
    assert!(
        shown.contains("file[/a]: contents replaced") && shown.contains("    -old\n    +new"),
        "{shown}"
    );
    assert_eq!(fs::read_to_string(bench.root("a")).unwrap(), "old\n");
}

#[test]
fn what_is_no_catalog_is_refused_with_a_reason() {
    let bench = Bench::new();
    let file = bench.path("catalog.json");
    let loose = catalog(
        &json!([]),
        &json!([{ "from": "file[/a]", "to": "process[app]", "kind": "notify" }]),
    );
    for (input, word) in [
        ("{}".to_owned(), "no catalog"),
        (loose, "file[/a]"),
        (
            catalog(&json!([]), &json!([])).replace("\"version\":1", "\"version\":9"),
            "version 9",
        ),
    ] {
        fs::write(&file, &input).unwrap();
        let output = bench.agent().arg("apply").arg(&file).output().unwrap();
        assert_eq!(code(&output), Some(1), "{input}");
        assert!(
            text(&output.stderr).contains(word),
            "{}",
            text(&output.stderr)
        );
    }
    let output = bench
        .agent()
        .args(["apply", "/no/such/file"])
        .output()
        .unwrap();
    assert!(text(&output.stderr).contains("/no/such/file"));
}

#[test]
fn one_failure_is_a_failed_apply_that_still_did_the_rest() {
    let bench = Bench::new();
    let resources = json!([
        { "type": "exec", "title": "bad", "params": { "command": ["/bin/false"] } },
        { "type": "file", "title": "/a", "params": { "content": { "inline": "x" } } }
    ]);
    let file = bench.path("catalog.json");
    fs::write(&file, catalog(&resources, &json!([]))).unwrap();
    let output = bench.agent().arg("apply").arg(&file).output().unwrap();
    assert_eq!(code(&output), Some(1));
    assert!(bench.root("a").exists());
}

#[test]
fn an_apply_that_is_told_to_end_takes_its_command_with_it() {
    let bench = Bench::new();
    let pid = bench.path("pid");
    let slow = format!("sleep 600 & echo $! > {}; wait", pid.display());
    let resources = json!([
        { "type": "exec", "title": "slow", "params": { "command": ["/bin/sh", "-c", slow] } }
    ]);
    let file = bench.path("catalog.json");
    fs::write(&file, catalog(&resources, &json!([]))).unwrap();
    let running = Running::start(bench.agent().arg("apply").arg(&file));
    until("the command runs", || {
        fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n'))
    });
    running.signal(Signal::INT);
    let (code, _, log) = running.end();
    assert_eq!(code, Some(130), "{log}");
    assert!(log.contains("told to end by signal INT"), "{log}");
    until("the command is gone with its child", || {
        !support::runs(&pid)
    });
}

#[test]
fn facts_come_as_a_table_and_as_json() {
    let bench = Bench::new();
    let table = bench.agent().arg("facts").output().unwrap();
    assert!(text(&table.stdout).contains("memory_bytes"));
    let output = bench
        .agent()
        .args(["facts", "-o", "json"])
        .output()
        .unwrap();
    let facts: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for fact in ["memory_bytes", "cpus", "cpu_millis", "ips", "kernel"] {
        assert!(facts[fact]["source"].is_string(), "{fact}: {facts}");
    }
}

#[test]
fn status_without_an_agent_says_so() {
    let bench = Bench::new();
    let output = bench.agent().arg("status").output().unwrap();
    assert_eq!(code(&output), Some(1));
    assert!(text(&output.stderr).contains("no agent has enrolled here"));
}
