//! Podman behind its Docker-compatible socket, with a storage and a network of the test's own.

use std::{
    fs::File,
    net::IpAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{docker, eventually, image::Image, process::Ran};

/// The bridge of each network, as the kernel has it; the other ends of the names are its addresses.
const NETWORKS: [(&str, &str); 2] = [("first", "dmpod0"), ("second", "dmpod1")];

/// The bridges have the names and the addresses that they have, so there is one service at a time.
static TURN: Mutex<()> = Mutex::new(());

/// The service, stopped when dropped, its containers and networks with it.
#[derive(Debug)]
pub struct Podman {
    running: Child,
    dir: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Podman {
    /// Starts it, with the networks `first` and `second`, when no other test of this process has one.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn start() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let log = File::create(path("log")).unwrap();
        let mut podman = Command::new("podman");
        for (option, name) in [
            ("--root", "root"),
            ("--runroot", "run"),
            ("--tmpdir", "tmp"),
            ("--network-config-dir", "networks"),
        ] {
            podman.arg(option).arg(path(name));
        }
        podman.args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"]);
        podman.args(["--events-backend", "file"]);
        podman.args(["system", "service", "--time", "0"]);
        podman.arg(format!("unix://{}", path("podman.sock").display()));
        let running = podman
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let podman = Self {
            running,
            dir,
            _turn: turn,
        };
        eventually("an answer of Podman", || {
            (podman.docker(&["version"]).code == 0).then_some(())
        });
        for (number, (name, bridge)) in NETWORKS.iter().enumerate() {
            let subnet = format!("--subnet={}", Self::subnet(number));
            let gateway = format!("--gateway={}", Self::gateway(number));
            let bridge = format!("--opt=com.docker.network.bridge.name={bridge}");
            let create = ["network", "create", &subnet, &gateway, &bridge, name];
            let _ = podman.docker(&create).ok();
        }
        podman
    }

    /// Runs `docker` against it.
    ///
    /// # Panics
    /// When there is no such program; how it ends is for the test to judge.
    #[must_use]
    pub fn docker(&self, args: &[&str]) -> Ran {
        docker::at(&self.socket(), args)
    }

    /// Starts a container of an image that the machine's engine has, in the first network, and gives
    /// its ID.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn run(&self, image: &Image, args: &[&str], command: &[&str]) -> String {
        self.run_in(NETWORKS[0].0, image, args, command)
    }

    /// The same in this network mode (`host`, `container:ID`).
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn run_in(&self, mode: &str, image: &Image, args: &[&str], command: &[&str]) -> String {
        let tar = self.dir.path().join("image.tar");
        let tar = tar.to_str().unwrap();
        docker(&["save", "--output", tar, image.tag()]);
        let _ = self.docker(&["load", "--input", tar]).ok();
        // What it asks for by default is more than some machines let their root have.
        let limits = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"];
        let run = [
            &["run", "--detach", "--network", mode],
            &limits[..],
            args,
            &[image.tag()],
            command,
        ];
        let ran = self.docker(&run.concat()).ok();
        ran.lines().last().unwrap_or_default().to_owned()
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("podman.sock")
    }

    /// The machine's own address in a network: 0 is `first`, 1 is `second`.
    #[must_use]
    pub fn gateway(network: usize) -> IpAddr {
        [10, 214, u8::try_from(network).unwrap(), 1].into()
    }

    /// The range of a network.
    #[must_use]
    pub fn subnet(network: usize) -> String {
        format!("10.214.{network}.0/24")
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            println!("--- podman:\n{log}");
        }
        let listed = self.docker(&["ps", "--all", "--quiet"]);
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        for id in listed.split_whitespace() {
            if std::thread::panicking() {
                let logs = self.docker(&["logs", id]);
                let stdout = String::from_utf8_lossy(&logs.stdout);
                println!("--- container {id}:\n{stdout}{}", logs.stderr);
            }
            let _ = self.docker(&["rm", "--force", id]);
        }
        for (name, bridge) in NETWORKS {
            let _ = self.docker(&["network", "rm", name]);
            // It may leave the bridge.
            let _ = Ran::run(Command::new("ip").args(["link", "delete", bridge]));
        }
        let pid = self.running.id().to_string();
        let _ = Ran::run(Command::new("kill").args(["-s", "TERM", &pid]));
        let _ = self.running.wait();
    }
}
