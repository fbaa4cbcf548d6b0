//! The supervisor itself: reloads that must not kill, restarts, orders to processes that are down.
#![allow(missing_docs, clippy::unwrap_used, reason = "helpers of tests")]

use std::{fs, path::Path, sync::Mutex, sync::PoisonError, time::Duration};

use dockmaster_agent::supervise::{
    APP, Brought, Refresh, Spec, SuperviseError, Supervisor,
    reaper::{Exit, Reaper},
};
use dockmaster_proto::resource::{Reload, RestartPolicy};
use rustix::process::Signal;

/// Runs a test alone: reapers of several tests in one process would collect each other's children.
fn alone<F: Future<Output = ()>>(test: impl FnOnce(Supervisor) -> F) {
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let supervisor = Supervisor::new(Reaper::start().unwrap());
        tokio::time::timeout(Duration::from_secs(30), test(supervisor))
            .await
            .unwrap();
    });
}

fn script(title: &str, script: &str) -> Spec {
    Spec::new(title, ["/bin/sh", "-c", script].map(str::to_owned).to_vec())
}

async fn until(path: &Path, text: &str) {
    while fs::read_to_string(path).unwrap_or_default() != text {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn a_reload_waits_for_the_handler_of_a_process_that_just_started() {
    alone(|supervisor| async move {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let text = format!(
            "sleep 0.4; trap 'echo reloaded >> {0}' HUP; while :; do sleep 0.02; done",
            log.display()
        );
        let mut spec = script(APP, &text);
        spec.reload = Reload::Signal("HUP".into());
        assert_eq!(
            supervisor.bring(APP, spec.clone(), Refresh::Yes).await,
            Ok(Brought::Started)
        );
        assert_eq!(
            supervisor.bring(APP, spec.clone(), Refresh::No).await,
            Ok(Brought::Unchanged)
        );
        assert_eq!(
            supervisor.bring(APP, spec, Refresh::Yes).await,
            Ok(Brought::Reloaded)
        );
        until(&log, "reloaded\n").await;
        let report = supervisor.report();
        assert_eq!((report[0].restarts, report[0].reloads), (0, 1));
        supervisor.shutdown(Signal::KILL).await;
    });
}

#[test]
fn a_process_without_a_handler_is_spared_the_signal() {
    alone(|supervisor| async move {
        let mut spec = script(APP, "while :; do sleep 0.05; done");
        spec.reload = Reload::Signal("USR1".into());
        supervisor
            .bring(APP, spec.clone(), Refresh::No)
            .await
            .unwrap();
        let refused = supervisor.bring(APP, spec, Refresh::Yes).await;
        assert_eq!(refused, Err(SuperviseError::Uncaught("USR1".into())));
        assert!(supervisor.report()[0].pid.is_some(), "it still runs");
        supervisor.shutdown(Signal::KILL).await;
    });
}

#[test]
fn a_new_environment_means_a_restart() {
    alone(|supervisor| async move {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let text = format!("echo $WHO >> {}; exec sleep 60", log.display());
        let mut spec = script("side", &text);
        spec.env.insert("WHO".into(), "one".into());
        supervisor
            .bring("side", spec.clone(), Refresh::No)
            .await
            .unwrap();
        until(&log, "one\n").await;
        spec.env.insert("WHO".into(), "two".into());
        assert_eq!(
            supervisor.bring("side", spec, Refresh::No).await,
            Ok(Brought::Restarted)
        );
        until(&log, "one\ntwo\n").await;
        assert_eq!(supervisor.report()[0].restarts, 1);
        supervisor.remove("side").await;
        assert!(supervisor.report().is_empty());
    });
}

#[test]
fn a_process_that_is_down_takes_up_new_configuration_by_a_start() {
    alone(|supervisor| async move {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut spec = script("job", &format!("echo x >> {}", log.display()));
        spec.restart = RestartPolicy::Never;
        supervisor
            .bring("job", spec.clone(), Refresh::No)
            .await
            .unwrap();
        until(&log, "x\n").await;
        while supervisor.report()[0].pid.is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        supervisor.bring("job", spec, Refresh::Yes).await.unwrap();
        until(&log, "x\nx\n").await;
    });
}

/// A process whose reload command takes longer than anyone waits, and tells the ID of its child.
fn slow_to_reload(app: &str, pid: &Path) -> Spec {
    let mut spec = script(APP, app);
    let slow = format!("sleep 600 & echo $! > {}; wait", pid.display());
    spec.reload = Reload::Command(["/bin/sh", "-c", &slow].map(str::to_owned).to_vec());
    spec
}

async fn written(path: &Path) {
    while !fs::read_to_string(path).is_ok_and(|text| text.ends_with('\n')) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn gone(pid_file: &Path) {
    let pid = fs::read_to_string(pid_file).unwrap();
    let stat = format!("/proc/{}/stat", pid.trim());
    while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z")) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn a_reload_command_does_not_keep_a_process_from_stopping() {
    alone(|supervisor| async move {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let spec = slow_to_reload("trap 'exit 4' TERM; while :; do sleep 0.02; done", &pid);
        supervisor
            .bring(APP, spec.clone(), Refresh::No)
            .await
            .unwrap();
        let (reload, exit) = tokio::join!(supervisor.bring(APP, spec, Refresh::Yes), async {
            written(&pid).await;
            supervisor.shutdown(Signal::TERM).await
        });
        assert_eq!(reload, Err(SuperviseError::Interrupted));
        assert!(exit.is_some());
        gone(&pid).await;
    });
}

#[test]
fn a_process_that_ends_does_not_wait_for_its_reload_command() {
    alone(|supervisor| async move {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let app = format!(
            "until [ -s {} ]; do sleep 0.02; done; exit 8",
            pid.display()
        );
        let spec = slow_to_reload(&app, &pid);
        supervisor
            .bring(APP, spec.clone(), Refresh::No)
            .await
            .unwrap();
        let reload = supervisor.bring(APP, spec, Refresh::Yes).await;
        assert_eq!(reload, Err(SuperviseError::Ended(Exit::Status(8))));
        assert_eq!(supervisor.app_ended().await, Exit::Status(8));
        gone(&pid).await;
    });
}

#[test]
fn a_process_that_did_not_start_is_not_taken_for_one_that_is_as_it_should_be() {
    alone(|supervisor| async move {
        let mut spec = Spec::new("side", vec!["/no/such/program".to_owned()]);
        spec.restart = RestartPolicy::Never;
        for _ in 0..2 {
            let brought = supervisor.bring("side", spec.clone(), Refresh::No).await;
            assert!(
                matches!(brought, Err(SuperviseError::Start(_))),
                "{brought:?}"
            );
        }
        spec.command = vec!["/bin/true".to_owned()];
        let brought = supervisor.bring("side", spec.clone(), Refresh::No).await;
        assert_eq!(brought, Ok(Brought::Started));
        let again = supervisor.bring("side", spec, Refresh::No).await;
        assert_eq!(again, Ok(Brought::Unchanged));
    });
}

#[test]
fn a_process_that_is_to_go_is_waited_for_at_a_shutdown() {
    alone(|supervisor| async move {
        let folder = tempfile::tempdir().unwrap();
        let (ready, done) = (folder.path().join("ready"), folder.path().join("done"));
        let text = format!(
            "trap 'sleep 0.5; echo done > {}; exit 0' TERM; echo ready > {}; while :; do sleep 0.02; done",
            done.display(),
            ready.display()
        );
        let spec = script("side", &text);
        supervisor.bring("side", spec, Refresh::No).await.unwrap();
        written(&ready).await;
        {
            // The apply that removes it is dropped as soon as it has begun to.
            let removal = supervisor.remove("side");
            tokio::pin!(removal);
            tokio::select! {
                biased;
                () = &mut removal => panic!("it takes a while to end"),
                () = tokio::task::yield_now() => {}
            }
        }
        supervisor.shutdown(Signal::TERM).await;
        assert_eq!(fs::read_to_string(&done).unwrap(), "done\n");
    });
}

#[test]
fn a_reload_command_that_fails_is_told_and_the_process_goes_on() {
    alone(|supervisor| async move {
        let mut spec = script(APP, "exec sleep 60");
        spec.reload = Reload::Command(
            ["/bin/sh", "-c", "echo bad line 3; exit 1"]
                .map(str::to_owned)
                .to_vec(),
        );
        supervisor
            .bring(APP, spec.clone(), Refresh::No)
            .await
            .unwrap();
        let error = supervisor.bring(APP, spec, Refresh::Yes).await.unwrap_err();
        assert!(error.to_string().contains("bad line 3"), "{error}");
        assert!(supervisor.report()[0].pid.is_some());
        supervisor.shutdown(Signal::KILL).await;
    });
}
