//! The master as a process, and its command line.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_dockmaster");

/// A master that is ready.
pub(crate) struct Master(Child);

impl Master {
    /// Returns when it says that it is ready.
    pub(crate) fn start(data: &Path) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(["serve", "--data"])
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = Vec::new();
        loop {
            let line = lines.next().unwrap_or_else(|| panic!("{said:?}")).unwrap();
            if line.starts_with("ready https://") {
                break;
            }
            said.push(line);
        }
        // Whatever it says later has to go somewhere.
        thread::spawn(move || lines.for_each(drop));
        Self(child)
    }

    /// Its resident memory.
    pub(crate) fn resident_mb(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
        kilobytes.parse::<f64>().unwrap() / 1024.0
    }

    /// Asks it to end, and waits.
    pub(crate) fn stop(mut self) {
        let pid = self.0.id().to_string();
        let told = Command::new("kill").args(["-s", "TERM", &pid]).status();
        assert!(told.unwrap().success());
        assert!(self.0.wait().unwrap().success());
    }
}

/// Runs an operator's command to its end, and gives what it said.
pub(crate) fn run(data: &Path, arguments: &[&str]) -> String {
    let output = Command::new(PROGRAM)
        .arg("--context")
        .arg(data.join("operator.yaml"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// Makes a data directory.
pub(crate) fn init(data: &Path) {
    let status = Command::new(PROGRAM)
        .args(["init", "--listen", "127.0.0.1:18743", "--data"])
        .arg(data)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(status.unwrap().success());
}
