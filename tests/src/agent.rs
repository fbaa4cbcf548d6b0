//! Agents of stand-ins: real ones, each at a loopback address of its own.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{binary, eventually, inventory::StandIn, master::Master, process::Ran};

/// A running agent of a stand-in, ended when dropped.
#[derive(Debug)]
pub struct Agent {
    child: Child,
    dir: tempfile::TempDir,
}

impl Agent {
    /// Starts `dockmaster-agent run`, without an application.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(master: &Master, stand_in: &StandIn) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = File::create(dir.path().join("log")).unwrap();
        let child = command(master, stand_in, dir.path())
            .arg("run")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, dir }
    }

    /// Runs `dockmaster-agent once`.
    ///
    /// # Panics
    /// When it cannot be started; how it ends is for the test to judge.
    #[must_use]
    pub fn once(master: &Master, stand_in: &StandIn) -> Ran {
        let dir = tempfile::tempdir().unwrap();
        Ran::run(command(master, stand_in, dir.path()).arg("once"))
    }

    /// Runs `dockmaster-agent status` beside it.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn status(&self) -> Ran {
        let mut status = Command::new(binary("dockmaster-agent"));
        status.env_clear().arg("status");
        Ran::run(status.env("DOCKMASTER_RUN_DIR", self.path("run")))
    }

    /// Its process ID.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far.
    ///
    /// # Panics
    /// When that cannot be read.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    /// Waits until it has said this.
    ///
    /// # Panics
    /// When it does not.
    pub fn says(&self, words: &str) {
        eventually(&format!("\"{words}\" by an agent"), || {
            self.log().contains(words).then_some(())
        });
    }

    /// A file below its root.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.dir.path().join("log"));
            println!("--- agent:\n{}", log.unwrap_or_default());
        }
    }
}

fn command(master: &Master, stand_in: &StandIn, root: &Path) -> Command {
    fs::create_dir_all(root.join("etc")).unwrap();
    let mut command = Command::new(binary("dockmaster-agent"));
    command
        .env_clear()
        .env("DOCKMASTER_MASTER", master.address().to_string())
        .env("DOCKMASTER_TRUST", master.trust().to_string())
        .env("DOCKMASTER_BIND", stand_in.ips[0].to_string())
        .env("DOCKMASTER_RUN_DIR", root.join("run"))
        .env("DOCKMASTER_ROOT", root);
    command
}
