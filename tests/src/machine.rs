//! Machines that nobody vouches for: real agents, each at a loopback address of its own, that join by a
//! token and keep their run dir from one start to the next.

use std::{
    fs::{self, File},
    net::IpAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use dockmaster_proto::{id::ContainerId, token::MachineId};

use crate::{binary, eventually, master::Master, process::Ran};

/// A machine.
#[derive(Debug)]
pub struct Machine {
    /// Its address.
    pub ip: IpAddr,
    /// Which one it is.
    pub id: MachineId,
    dir: tempfile::TempDir,
}

impl Machine {
    /// The `number`th machine. Tests run side by side: each takes numbers of its own.
    ///
    /// # Panics
    /// When there is no room for its files.
    #[must_use]
    pub fn numbered(number: u16) -> Self {
        let [high, low] = number.to_be_bytes();
        Self::at([127, 79, high, low].into(), number)
    }

    /// The `number`th machine, at this address.
    ///
    /// # Panics
    /// When there is no room for its files.
    #[must_use]
    pub fn at(ip: IpAddr, number: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("etc")).unwrap();
        let mut id = [0x5a; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        let id = MachineId::from_bytes(id);
        Self { ip, id, dir }
    }

    /// The ID of its node.
    #[must_use]
    pub fn node(&self) -> ContainerId {
        self.id.node()
    }

    /// Puts a token into its token file, readable by its owner only.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn give(&self, token: &str) {
        let path = self.token_file();
        fs::write(&path, token).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Where its token file is looked for.
    #[must_use]
    pub fn token_file(&self) -> PathBuf {
        self.dir.path().join("token")
    }

    /// A file of its run dir.
    #[must_use]
    pub fn kept(&self, name: &str) -> PathBuf {
        self.dir.path().join("run").join(name)
    }

    /// Runs `dockmaster-agent once`.
    ///
    /// # Panics
    /// When it cannot be started; how it ends is for the test to judge.
    #[must_use]
    pub fn once(&self, master: &Master) -> Ran {
        Ran::run(self.command(master).arg("once"))
    }

    /// Starts `dockmaster-agent run`.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(&self, master: &Master) -> RunningMachine {
        let log = self.dir.path().join("log");
        let child = self
            .command(master)
            .arg("run")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        RunningMachine { child, log }
    }

    /// The agent, with the settings of this machine.
    ///
    /// # Panics
    /// When the program does not build.
    #[must_use]
    pub fn command(&self, master: &Master) -> Command {
        let root: &Path = self.dir.path();
        let mut command = Command::new(binary("dockmaster-agent"));
        command
            .env_clear()
            .env("DOCKMASTER_MASTER", master.address().to_string())
            .env("DOCKMASTER_TRUST", master.trust().to_string())
            .env("DOCKMASTER_BIND", self.ip.to_string())
            .env("DOCKMASTER_RUN_DIR", root.join("run"))
            .env("DOCKMASTER_ROOT", root)
            .env("DOCKMASTER_TOKEN_FILE", self.token_file())
            .env("DOCKMASTER_MACHINE_ID", self.id.expose());
        command
    }
}

/// A machine's agent, ended when dropped.
#[derive(Debug)]
pub struct RunningMachine {
    child: Child,
    log: PathBuf,
}

impl RunningMachine {
    /// What it has said so far.
    ///
    /// # Panics
    /// When that cannot be read.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Its process ID.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has said this.
    ///
    /// # Panics
    /// When it does not.
    pub fn says(&self, words: &str) {
        eventually(&format!("\"{words}\" by a machine"), || {
            self.log().contains(words).then_some(())
        });
    }

    /// Ends it as a loss of power would (SIGKILL).
    ///
    /// # Panics
    /// When it is not there.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for RunningMachine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(&self.log);
            println!("--- machine:\n{}", log.unwrap_or_default());
        }
    }
}
