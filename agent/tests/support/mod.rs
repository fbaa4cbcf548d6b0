//! The agent as a process, in folders of its own.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary takes what it needs"
)]

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// How long a test waits: the machine may be loaded.
const PATIENCE: Duration = Duration::from_secs(30);

pub mod master;

use self::master::Master;

/// A root and a run dir.
pub struct Bench {
    folder: tempfile::TempDir,
    master: String,
    trust: String,
}

impl Bench {
    /// No master anywhere near.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("root")).unwrap();
        Self {
            folder,
            // Port 1 of loopback: refused at once.
            master: "127.0.0.1:1".to_owned(),
            trust: format!("sha256:{}", "00".repeat(32)),
        }
    }

    /// With this master.
    pub fn of(master: &Master) -> Self {
        Self {
            master: master.address.to_string(),
            trust: master.pin.clone(),
            ..Self::new()
        }
    }

    pub fn root(&self, path: &str) -> PathBuf {
        self.folder.path().join("root").join(path)
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub fn agent(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dockmaster-agent"));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("DOCKMASTER_MASTER", &self.master)
            .env("DOCKMASTER_TRUST", &self.trust)
            .env("DOCKMASTER_RUN_DIR", self.path("run"))
            .env("DOCKMASTER_ROOT", self.path("root"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// `run` with further arguments and a shell script as the application.
    pub fn run(&self, arguments: &[&str], script: &str) -> Running {
        let mut command = self.agent();
        command.arg("run").args(arguments);
        if !script.is_empty() {
            command.args(["--", "/bin/sh", "-c", script]);
        }
        Running::start(&mut command)
    }

    /// Leaves a catalog of these resources in the run dir, as an earlier run would have.
    pub fn last_catalog(&self, resources: &serde_json::Value, edges: &serde_json::Value) {
        fs::create_dir_all(self.path("run")).unwrap();
        fs::write(self.path("run/catalog.json"), catalog(resources, edges)).unwrap();
    }
}

/// A catalog of resources `{type, title, params}`.
pub fn catalog(resources: &serde_json::Value, edges: &serde_json::Value) -> String {
    let mut resources = resources.clone();
    for resource in resources.as_array_mut().unwrap() {
        resource["source"] = serde_json::json!({ "module": "m", "file": "f", "line": 1 });
    }
    serde_json::json!({
        "version": 1, "environment": "test", "classes": [], "resources": resources, "edges": edges,
    })
    .to_string()
}

/// An agent at work; killed when dropped.
pub struct Running {
    child: Child,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        Self {
            child: command.spawn().unwrap(),
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end and gives its status, its output and its log.
    #[track_caller]
    pub fn end(mut self) -> (Option<i32>, String, String) {
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "the agent did not end");
            pause();
        }
        let mut texts = [String::new(), String::new()];
        self.child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut texts[0])
            .unwrap();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut texts[1])
            .unwrap();
        let [output, log] = texts;
        (self.child.wait().unwrap().code(), output, log)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether the process runs whose ID a file holds. One that was killed is a zombie until it is collected.
pub fn runs(pid_file: &Path) -> bool {
    let pid = fs::read_to_string(pid_file).unwrap();
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.is_ok_and(|stat| !stat.contains(") Z"))
}

/// Waits until something holds.
#[track_caller]
pub fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "still not so: {what}");
        pause();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test without a runtime may block"
)]
pub fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn code(output: &Output) -> Option<i32> {
    output.status.code()
}
