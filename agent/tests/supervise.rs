//! The duties of PID 1, with real processes and no master.
#![allow(missing_docs, clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::fs;

use rustix::process::Signal;
use serde_json::json;
use support::{Bench, until};

#[test]
fn the_applications_status_is_the_containers() {
    for (script, status) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("kill -9 $$", 137),
        ("kill -TERM $$", 143),
    ] {
        let bench = Bench::new();
        let (code, ..) = bench.run(&["--start-anyway"], script).end();
        assert_eq!(code, Some(status), "{script}");
    }
}

#[test]
fn a_program_that_is_not_there_ends_the_container_with_127() {
    let bench = Bench::new();
    let mut command = bench.agent();
    let output = command
        .args(["run", "--start-anyway", "--", "/no/such/program"])
        .output()
        .unwrap();
    assert_eq!(support::code(&output), Some(127));
    let log = support::text(&output.stderr);
    assert!(
        log.contains("/no/such/program") && log.contains("No such file"),
        "{log}"
    );
}

#[test]
fn signals_reach_the_application_and_its_answer_counts() {
    let bench = Bench::new();
    let traps = "for s in HUP USR1 USR2 WINCH; do trap \"echo $s >> LOG\" $s; done; trap 'exit 42' TERM; \
                 echo ready > LOG; while :; do sleep 0.02; done";
    let log = bench.path("log");
    let running = bench.run(
        &["--start-anyway"],
        &traps.replace("LOG", log.to_str().unwrap()),
    );
    let last = || fs::read_to_string(&log).unwrap_or_default();
    until("the application is ready", || last() == "ready\n");
    // One at a time: the shell runs traps in an order of its own.
    for (signal, name) in [
        (Signal::HUP, "HUP\n"),
        (Signal::USR1, "USR1\n"),
        (Signal::USR2, "USR2\n"),
        (Signal::WINCH, "WINCH\n"),
    ] {
        running.signal(signal);
        until(name, || last().ends_with(name));
    }
    running.signal(Signal::TERM);
    let (code, _, log) = running.end();
    assert_eq!(code, Some(42), "{log}");
}

#[test]
fn an_application_that_ignores_the_signal_is_killed_after_its_grace() {
    let bench = Bench::new();
    let ready = bench.path("ready");
    bench.last_catalog(
        &json!([{ "type": "process", "title": "app", "params": { "stop_grace_s": 1 } }]),
        &json!([]),
    );
    let script = format!(
        "trap '' TERM; touch {}; while :; do sleep 0.1; done",
        ready.display()
    );
    let running = bench.run(&[], &script);
    until("the application is ready", || ready.exists());
    running.signal(Signal::TERM);
    let (code, _, log) = running.end();
    assert_eq!(code, Some(137));
    assert!(log.contains("did not end within 1s"), "{log}");
}

#[test]
fn a_second_signal_reaches_the_application_too() {
    let bench = Bench::new();
    let (ready, first) = (bench.path("ready"), bench.path("first"));
    let script = format!(
        "n=0; trap 'n=$((n+1)); touch {}; [ $n -lt 2 ] || exit 7' INT; touch {}; while :; do sleep 0.02; done",
        first.display(),
        ready.display()
    );
    bench.last_catalog(
        &json!([{ "type": "process", "title": "app", "params": { "stop_grace_s": 60 } }]),
        &json!([]),
    );
    let running = bench.run(&[], &script);
    until("the application is ready", || ready.exists());
    running.signal(Signal::INT);
    until("it got the first", || first.exists());
    running.signal(Signal::INT);
    let (code, _, log) = running.end();
    assert_eq!(code, Some(7), "{log}");
}

#[test]
fn a_command_that_runs_does_not_keep_the_container_from_ending() {
    let bench = Bench::new();
    let pid = bench.path("pid");
    let slow = format!("sleep 600 & echo $! > {}; wait", pid.display());
    bench.last_catalog(
        &json!([
            { "type": "process", "title": "app", "params": {} },
            { "type": "exec", "title": "slow", "params": { "command": ["/bin/sh", "-c", slow] } }
        ]),
        &json!([{ "from": "process[app]", "to": "exec[slow]", "kind": "before" }]),
    );
    let running = bench.run(&[], "trap 'exit 42' TERM; while :; do sleep 0.02; done");
    until("the command runs", || {
        fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n'))
    });
    running.signal(Signal::TERM);
    let (code, _, log) = running.end();
    assert_eq!(code, Some(42), "{log}");
    until("the command is gone with its child", || {
        !support::runs(&pid)
    });
    let report = fs::read_to_string(bench.path("run/report.json")).unwrap();
    assert!(
        report.contains("interrupted: the container was told to end by TERM"),
        "{report}"
    );
}

#[test]
fn what_failed_is_tried_again_while_the_master_is_away() {
    let bench = Bench::new();
    let (there, report) = (bench.path("there"), bench.path("run/report.json"));
    let test = json!(["/bin/sh", "-c", format!("test -e {}", there.display())]);
    bench.last_catalog(
        &json!([
            { "type": "exec", "title": "needed", "params": { "command": test } },
            { "type": "process", "title": "app", "params": {} }
        ]),
        &json!([{ "from": "exec[needed]", "to": "process[app]", "kind": "before" }]),
    );
    let running = bench.run(&[], "exit 9");
    until("the first try failed", || report.exists());
    fs::write(&there, "").unwrap();
    let (code, _, log) = running.end();
    assert_eq!(code, Some(9), "{log}");
}

#[test]
fn a_refresh_that_the_end_of_the_container_came_before_is_made_up_for_at_the_next_start() {
    let bench = Bench::new();
    let (begun, there, done) = (bench.path("begun"), bench.path("there"), bench.path("done"));
    let script = format!(
        "touch {}; until [ -e {} ]; do sleep 0.02; done; touch {}",
        begun.display(),
        there.display(),
        done.display()
    );
    bench.last_catalog(
        &json!([
            { "type": "file", "title": "/a", "params": { "content": { "inline": "x" } } },
            { "type": "exec", "title": "refresh",
              "params": { "command": ["/bin/sh", "-c", script], "refreshonly": true } },
            { "type": "process", "title": "app", "params": {} }
        ]),
        &json!([
            { "from": "file[/a]", "to": "exec[refresh]", "kind": "notify" },
            { "from": "exec[refresh]", "to": "process[app]", "kind": "before" }
        ]),
    );
    let running = bench.run(&[], "exit 9");
    until("the command runs", || begun.exists());
    running.signal(Signal::TERM);
    running.end();
    assert!(!done.exists());
    fs::write(&there, "").unwrap();
    let (code, _, log) = bench.run(&[], "exit 9").end();
    assert_eq!(code, Some(9), "{log}");
    assert!(done.exists(), "{log}");
}

#[test]
fn orphans_are_collected() {
    let bench = Bench::new();
    let ready = bench.path("ready");
    // Each subshell leaves a child behind that outlives it.
    let script = format!(
        "for i in 1 2 3 4 5; do (sleep 0.1 &) ; done; touch {}; while :; do sleep 0.1; done",
        ready.display()
    );
    let running = bench.run(&["--start-anyway"], &script);
    until("the application is ready", || ready.exists());
    let agent = running.pid();
    let children = || -> Vec<String> {
        let stats = fs::read_dir("/proc").unwrap().flatten();
        stats
            .filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok())
            .filter_map(|stat| {
                let (_, rest) = stat.rsplit_once(") ")?;
                let mut fields = rest.split(' ');
                let state = fields.next()?;
                (fields.next()? == agent.to_string()).then(|| state.to_owned())
            })
            .collect()
    };
    until("the orphans came and went, none as a zombie", || {
        let children = children();
        children.len() == 1 && children[0] != "Z"
    });
    // In order: an agent that is killed leaves its application behind.
    running.signal(Signal::TERM);
    running.end();
}

#[test]
fn without_an_application_the_agent_stays_until_it_is_told_to_go_and_that_is_no_failure() {
    for signal in [Signal::TERM, Signal::INT, Signal::QUIT] {
        let bench = Bench::new();
        let running = bench.run(&[], "");
        // Handlers come first, so they are there by then.
        until("the run dir is made", || bench.path("run").exists());
        running.signal(signal);
        let (code, _, log) = running.end();
        assert_eq!(code, Some(0), "{log}");
    }
}

#[test]
fn an_application_that_was_never_started_has_not_ended_well() {
    let bench = Bench::new();
    let running = bench.run(&[], "exit 0");
    until("the run dir is made", || bench.path("run").exists());
    running.signal(Signal::TERM);
    let (code, _, log) = running.end();
    assert_eq!(code, Some(143), "{log}");
}

#[test]
fn a_declared_process_is_started_again_and_stopped_at_the_end() {
    let bench = Bench::new();
    let count = bench.path("count");
    let script = format!("echo x >> {}; exit 3", count.display());
    bench.last_catalog(
        &json!([{ "type": "process", "title": "side", "params": { "command": ["/bin/sh", "-c", script] } }]),
        &json!([]),
    );
    let running = bench.run(&[], "trap 'exit 0' TERM; while :; do sleep 0.05; done");
    until("it was started three times", || {
        fs::read_to_string(&count).is_ok_and(|text| text.lines().count() >= 3)
    });
    running.signal(Signal::TERM);
    let (code, _, log) = running.end();
    assert_eq!(code, Some(0));
    assert!(
        log.contains("process side ended with status 3; starts again in 100ms"),
        "{log}"
    );
    assert!(log.contains("starts again in 200ms"), "{log}");
}

#[test]
fn with_the_master_away_the_last_catalog_is_applied_before_the_application_starts() {
    let bench = Bench::new();
    bench.last_catalog(
        &json!([
            { "type": "file", "title": "/motd", "params": { "content": { "inline": "hello\n" } } },
            { "type": "process", "title": "app", "params": { "env": { "WHO": "world" } } }
        ]),
        &json!([{ "from": "file[/motd]", "to": "process[app]", "kind": "notify" }]),
    );
    let motd = bench.root("motd");
    let (code, output, log) = bench
        .run(&[], &format!("cat {}; echo $WHO", motd.display()))
        .end();
    assert_eq!(
        (code, output.as_str()),
        (Some(0), "hello\nworld\n"),
        "{log}"
    );
    assert!(
        log.contains("cannot connect") && log.contains("last catalog"),
        "{log}"
    );
    let report = fs::read_to_string(bench.path("run/report.json")).unwrap();
    assert!(report.contains("process[app]"), "{report}");
}

#[test]
fn the_application_does_not_start_before_what_it_depends_on() {
    let bench = Bench::new();
    let marker = bench.path("marker");
    bench.last_catalog(
        &json!([
            { "type": "file", "title": "/no/such/dir/file", "params": { "content": { "inline": "x" } } },
            { "type": "process", "title": "app", "params": {} }
        ]),
        &json!([{ "from": "file[/no/such/dir/file]", "to": "process[app]", "kind": "before" }]),
    );
    let script = format!("touch {}", marker.display());
    let running = bench.run(&[], &script);
    until("a report was written", || {
        bench.path("run/report.json").exists()
    });
    running.signal(Signal::TERM);
    let (code, _, log) = running.end();
    assert_eq!(code, Some(143));
    assert!(!marker.exists());
    assert!(
        log.contains("process[app] skipped: file[/no/such/dir/file] was not applied"),
        "{log}"
    );
    assert!(log.contains("--start-anyway"), "{log}");
    // And with it, it does.
    let (code, ..) = bench.run(&["--start-anyway"], &script).end();
    assert_eq!(code, Some(0));
    assert!(marker.exists());
}

#[test]
fn a_required_master_that_is_away_ends_the_container_with_4() {
    let bench = Bench::new();
    bench.last_catalog(&json!([]), &json!([]));
    let (code, output, log) = bench.run(&["--require-master"], "echo started").end();
    assert_eq!((code, output.as_str()), (Some(4), ""));
    assert!(
        log.contains("127.0.0.1:1") && log.contains("dockmaster serve"),
        "{log}"
    );
}

#[test]
fn settings_that_cannot_be_used_are_told_at_once() {
    let bench = Bench::new();
    let mut command = bench.agent();
    command
        .env("DOCKMASTER_MASTER", "master.example")
        .env("DOCKMASTER_TRUST", "");
    let output = command.args(["run", "--", "true"]).output().unwrap();
    assert_eq!(support::code(&output), Some(2));
    let log = support::text(&output.stderr);
    assert!(
        log.contains("names are not looked up") && log.contains("DOCKMASTER_TRUST="),
        "{log}"
    );
}
