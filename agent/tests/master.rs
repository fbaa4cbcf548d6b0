//! The agent and its master: what is reported when a container ends, and what a refusal leads to.
#![allow(missing_docs, clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::fs;

use dockmaster_proto::{
    problem::ProblemCode,
    report::{ApplyStatus, Outcome, Report},
};
use rustix::process::Signal;
use serde_json::{Value, json};
use support::{
    Bench, catalog,
    master::{Master, Twist},
    until,
};

const HOUR: u64 = 3_600_000;

fn app_and(more: &[Value]) -> Value {
    let mut resources = vec![json!({ "type": "process", "title": "app", "params": {} })];
    resources.extend_from_slice(more);
    Value::Array(resources)
}

fn outcome<'r>(report: &'r Report, resource: &str) -> &'r Outcome {
    let mut resources = report.resources.iter();
    let found = resources.find(|it| it.resource.to_string() == resource);
    &found.unwrap().outcome
}

#[test]
fn the_report_of_an_application_that_dies_at_once_arrives_although_the_connection_is_stuck() {
    // The answer to the report is still to come when the application dies, or has just begun.
    for twist in [Twist::Hold, Twist::Trickle] {
        the_report_arrives(twist);
    }
}

fn the_report_arrives(twist: Twist) {
    let file = json!({ "type": "file", "title": "/a", "params": { "content": { "inline": "x" } } });
    let master = Master::start(
        catalog(&app_and(&[file]), &json!([])),
        HOUR,
        move |path, earlier| (path == "/v1/reports" && earlier == 0).then_some(twist),
    );
    let bench = Bench::of(&master);
    let dies = bench.path("dies");
    let script = format!(
        "until [ -e {} ]; do sleep 0.02; done; exit 5",
        dies.display()
    );
    let running = bench.run(&[], &script);
    until("the report is under way", || {
        master.count("/v1/reports") == 1
    });
    fs::write(dies, "").unwrap();
    let (code, _, log) = running.end();
    assert_eq!(code, Some(5), "{log}");
    let reports = master.reports();
    assert_eq!(reports.len(), 1, "{log}");
    assert_eq!(reports[0].status, ApplyStatus::Changed);
    assert_eq!(reports[0].processes[0].pid, None, "it has ended by now");
}

#[test]
fn an_apply_that_the_end_of_the_application_cuts_short_is_reported() {
    let pid = "sleep 600 & echo $! > PID; wait";
    let bench_pid = tempfile::tempdir().unwrap();
    let pid_file = bench_pid.path().join("pid");
    let slow = pid.replace("PID", pid_file.to_str().unwrap());
    let resources = app_and(&[
        json!({ "type": "exec", "title": "slow", "params": { "command": ["/bin/sh", "-c", slow] } }),
        json!({ "type": "file", "title": "/after", "params": { "content": { "inline": "x" } } }),
    ]);
    let edges = json!([
        { "from": "process[app]", "to": "exec[slow]", "kind": "before" },
        { "from": "exec[slow]", "to": "file[/after]", "kind": "before" },
    ]);
    let master = Master::start(catalog(&resources, &edges), HOUR, |_, _| None);
    let bench = Bench::of(&master);
    let script = format!(
        "until [ -s {} ]; do sleep 0.02; done; exit 6",
        pid_file.display()
    );
    let (code, _, log) = bench.run(&[], &script).end();
    assert_eq!(code, Some(6), "{log}");
    let reports = master.reports();
    assert_eq!(reports.len(), 1, "{log}");
    let report = &reports[0];
    assert_eq!(report.status, ApplyStatus::Failed);
    assert!(matches!(
        outcome(report, "process[app]"),
        Outcome::Changed { .. }
    ));
    let Outcome::Failed { error } = outcome(report, "exec[slow]") else {
        panic!("{report:?}");
    };
    assert!(
        error.contains("interrupted: the application ended with status 6"),
        "{error}"
    );
    assert!(matches!(
        outcome(report, "file[/after]"),
        Outcome::Skipped { .. }
    ));
    until("the command is gone with its child", || {
        !support::runs(&pid_file)
    });
}

#[test]
fn contents_that_do_not_come_do_not_keep_a_container_from_ending() {
    for twist in [Twist::Hold, Twist::Trickle] {
        it_ends_without_its_contents(twist);
    }
}

fn it_ends_without_its_contents(twist: Twist) {
    let blob = json!({ "blob": { "sha256": "ab".repeat(32), "size": 5000 } });
    let resources =
        app_and(&[json!({ "type": "file", "title": "/large", "params": { "content": blob } })]);
    let edges = json!([{ "from": "process[app]", "to": "file[/large]", "kind": "before" }]);
    let master = Master::start(catalog(&resources, &edges), HOUR, move |path, _| {
        path.starts_with("/v1/blobs/").then_some(twist)
    });
    let bench = Bench::of(&master);
    let running = bench.run(&[], "trap 'exit 7' TERM; while :; do sleep 0.02; done");
    let blob = format!("/v1/blobs/{}", "ab".repeat(32));
    until("the contents were asked for", || master.count(&blob) == 1);
    running.signal(Signal::TERM);
    let (code, _, log) = running.end();
    assert_eq!(code, Some(7), "{log}");
    let reports = master.reports();
    let Outcome::Skipped { reason } = outcome(&reports[0], "file[/large]") else {
        panic!("{reports:?}");
    };
    assert_eq!(reason, "not reached: the container was told to end by TERM");
}

#[test]
fn a_certificate_that_is_not_honoured_is_replaced_and_the_application_goes_on() {
    for (code, path) in [
        (ProblemCode::NoCertificate, "/v1/catalog"),
        (ProblemCode::CertificateRevoked, "/v1/catalog"),
        (ProblemCode::CertificateRevoked, "/v1/reports"),
    ] {
        let master = Master::start(
            catalog(&app_and(&[]), &json!([])),
            HOUR,
            move |asked, earlier| (asked == path && earlier == 0).then_some(Twist::Refuse(code)),
        );
        let bench = Bench::of(&master);
        let starts = bench.path("starts");
        let script = format!(
            "echo x >> {}; trap 'exit 0' TERM; while :; do sleep 0.02; done",
            starts.display()
        );
        let running = bench.run(&[], &script);
        until("it enrolled again and reported", || {
            master.count("/v1/enroll") == 2 && master.reports().len() == 1
        });
        until("the application started", || starts.exists());
        running.signal(Signal::TERM);
        let (status, _, log) = running.end();
        assert_eq!(status, Some(0), "{log}");
        assert_eq!(fs::read_to_string(&starts).unwrap(), "x\n", "{log}");
        assert!(log.contains("not accepted any more"), "{log}");
    }
}

#[test]
fn a_certificate_that_cannot_be_renewed_now_still_gets_catalogs() {
    let master = Master::start(catalog(&app_and(&[]), &json!([])), 10_000, |path, _| {
        (path == "/v1/renew").then_some(Twist::Refuse(ProblemCode::TooManyRequests))
    });
    let bench = Bench::of(&master);
    let running = bench.run(&[], "trap 'exit 0' TERM; while :; do sleep 0.02; done");
    until("a catalog was asked for after the refusal", || {
        let seen = master.seen();
        let refused = seen.iter().position(|path| path == "/v1/renew");
        refused.is_some_and(|at| seen[at..].iter().any(|path| path == "/v1/catalog"))
    });
    assert_eq!(master.count("/v1/enroll"), 1);
    running.signal(Signal::TERM);
    let (_, _, log) = running.end();
    assert!(log.contains("cannot be renewed now"), "{log}");
}

#[test]
fn a_certificate_that_cannot_be_kept_is_used_all_the_same() {
    let master = Master::start(catalog(&app_and(&[]), &json!([])), 6_000, |_, _| None);
    let bench = Bench::of(&master);
    let running = bench.run(&[], "trap 'exit 0' TERM; while :; do sleep 0.02; done");
    until("the first report arrived", || master.reports().len() == 1);
    // Nothing can be renamed over a directory.
    fs::remove_file(bench.path("run/cert.pem")).unwrap();
    fs::create_dir(bench.path("run/cert.pem")).unwrap();
    until("a catalog was asked for after the renewal", || {
        let seen = master.seen();
        let renewed = seen.iter().position(|path| path == "/v1/renew");
        renewed.is_some_and(|at| seen[at + 1..].iter().any(|path| path == "/v1/catalog"))
    });
    let seen = master.seen();
    let renewed = seen.iter().position(|path| path == "/v1/renew").unwrap();
    assert_eq!(seen[renewed + 1], "/v1/catalog", "{seen:?}");
    assert_eq!(master.count("/v1/enroll"), 1);
    running.signal(Signal::TERM);
    let (_, _, log) = running.end();
    assert!(log.contains("is the certificate before"), "{log}");
}

#[test]
fn a_log_that_is_rewritten_raises_the_alarm_and_the_application_goes_on() {
    let master = Master::start(catalog(&app_and(&[]), &json!([])), 4_000, |_, _| None);
    let bench = Bench::of(&master);
    let running = bench.run(&[], "trap 'exit 0' TERM; while :; do sleep 0.02; done");
    until("it renewed", || master.count("/v1/renew") >= 1);
    assert!(
        master
            .reports()
            .iter()
            .all(|report| report.alarm.is_empty())
    );
    master.rewrite_history();
    until("the master hears the alarm", || {
        let reports = master.reports();
        reports.last().is_some_and(|last| !last.alarm.is_empty())
    });
    // What was seen before stays: the next renewals tell it again.
    let heads = fs::read_to_string(bench.path("run/log.fork")).unwrap();
    let seen = fs::read_to_string(bench.path("run/log.checkpoint")).unwrap();
    assert!(heads.starts_with(&seen), "{heads}");
    assert_eq!(master.count("/v1/enroll"), 1);
    running.signal(Signal::TERM);
    let (status, _, log) = running.end();
    assert_eq!(status, Some(0), "{log}");
    assert!(
        log.contains("ALARM: the master's log of 1 entries"),
        "{log}"
    );
}

#[test]
fn an_agent_that_starts_again_holds_the_master_to_what_it_saw_before() {
    let master = Master::start(catalog(&app_and(&[]), &json!([])), HOUR, |_, _| None);
    let bench = Bench::of(&master);
    let once = || {
        let output = bench.agent().arg("once").output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    for _ in 0..2 {
        let log = once();
        assert!(!log.contains("ALARM"), "{log}");
    }
    master.rewrite_history();
    let log = once();
    assert!(log.contains("ALARM"), "{log}");
}
