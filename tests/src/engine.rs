//! A container engine of the test's own, for what must not be done to the machine's.

use std::{
    fs::{self, File},
    net::IpAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU8, Ordering},
};

use crate::{docker, eventually, image::Image, network::Network, process::Ran};

/// What becomes of the containers when the engine is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStop {
    /// They end with it.
    End,
    /// They run on (`--live-restore`).
    Live,
}

/// An engine with one network, stopped when dropped, its containers with it.
#[derive(Debug)]
pub struct Engine {
    running: Option<Child>,
    on_stop: OnStop,
    gateway: IpAddr,
    subnet: String,
    dir: tempfile::TempDir,
    /// Takes the place of the default bridge, and has no other use. Goes last.
    spare: Network,
}

/// Whether the machine's own engine has its default bridge.
fn default_bridge() -> bool {
    Path::new("/sys/class/net/docker0").exists()
}

/// The third part of a range that the machine's engine does not choose from, another one for each
/// engine.
fn own_range() -> u8 {
    static NUMBER: AtomicU8 = AtomicU8::new(0);
    let [_, _, _, process] = std::process::id().to_be_bytes();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    process.wrapping_mul(8).wrapping_add(number)
}

/// The engine's one network.
const NETWORK: &str = "own";

impl Engine {
    /// Starts one.
    ///
    /// # Panics
    /// When it does not answer.
    #[must_use]
    pub fn start(on_stop: OnStop) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // The machine's own settings are for its own engine.
        fs::write(dir.path().join("daemon.json"), "{}").unwrap();
        let mut engine = Self {
            running: None,
            on_stop,
            gateway: [0, 0, 0, 0].into(),
            subnet: String::new(),
            dir,
            spare: Network::create("spare"),
        };
        engine.start_again();
        let third = own_range();
        engine.gateway = [10, 213, third, 1].into();
        engine.subnet = format!("10.213.{third}.0/24");
        let subnet = format!("--subnet={}", engine.subnet);
        let gateway = format!("--gateway={}", engine.gateway);
        let create = ["network", "create", &subnet, &gateway, NETWORK];
        let _ = engine.docker(&create).ok();
        engine
    }

    /// Starts it again after [`stop`](Self::stop), and waits until it answers.
    ///
    /// # Panics
    /// When it does not, or is running.
    pub fn start_again(&mut self) {
        assert!(self.running.is_none(), "the engine is running");
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .unwrap();
        let mut dockerd = Command::new("dockerd");
        for (option, path) in [
            ("--config-file", "daemon.json"),
            ("--data-root", "data"),
            ("--exec-root", "exec"),
            ("--pidfile", "pid"),
        ] {
            dockerd.arg(option).arg(self.path(path));
        }
        dockerd.arg(format!("--host=unix://{}", self.socket().display()));
        // Nothing of the machine's is touched: no rules, no bridge but that of its own network, and no
        // driver that may be missing. With `--bridge=none`, and with address pools of its own at its
        // second start, an engine deletes docker0, which is the other engine's.
        dockerd.arg(format!("--bridge={}", self.spare.bridge()));
        dockerd.args(["--iptables=false", "--ip6tables=false"]);
        dockerd.args(["--ip-forward=false", "--ip-masq=false"]);
        dockerd.arg("--storage-driver=vfs");
        if self.on_stop == OnStop::Live {
            dockerd.arg("--live-restore");
        }
        let was_there = default_bridge();
        let child = dockerd
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.running = Some(child.unwrap());
        eventually("an answer of the engine", || {
            (self.docker(&["version"]).code == 0).then_some(())
        });
        assert_eq!(default_bridge(), was_there, "docker0 is the other engine's");
    }

    /// Asks it to end (SIGTERM), and waits for it.
    ///
    /// # Panics
    /// When it is not running.
    pub fn stop(&mut self) {
        let mut child = self.running.take().expect("the engine is running");
        let pid = child.id().to_string();
        let _ = Ran::run(Command::new("kill").args(["-s", "TERM", &pid])).ok();
        child.wait().unwrap();
    }

    /// Runs `docker` against it.
    ///
    /// # Panics
    /// When there is no such program; how it ends is for the test to judge.
    #[must_use]
    pub fn docker(&self, args: &[&str]) -> Ran {
        docker::at(&self.socket(), args)
    }

    /// Starts a container of an image that the machine's engine has, in the engine's network, and
    /// gives its ID.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn run(&self, image: &Image, args: &[&str], command: &[&str]) -> String {
        if self.docker(&["image", "inspect", image.tag()]).code != 0 {
            let tar = self.path("image.tar");
            let tar = tar.to_str().unwrap();
            docker(&["save", "--output", tar, image.tag()]);
            let _ = self.docker(&["load", "--input", tar]).ok();
        }
        let run = [
            &["run", "--detach", "--network", NETWORK],
            args,
            &[image.tag()],
            command,
        ];
        self.docker(&run.concat()).ok().trim().to_owned()
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.path("engine.sock")
    }

    /// The machine's own address in its network.
    #[must_use]
    pub const fn gateway(&self) -> IpAddr {
        self.gateway
    }

    /// The range of its network.
    #[must_use]
    pub fn subnet(&self) -> &str {
        &self.subnet
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Containers and network, which would outlive it.
    fn clean(&self) -> Result<(), String> {
        let listed = self.docker(&["ps", "--all", "--quiet"]).ok();
        let containers = listed
            .split_whitespace()
            .map(|id| vec!["rm", "--force", id]);
        for args in containers.chain([vec!["network", "rm", NETWORK]]) {
            let ran = self.docker(&args);
            if ran.code != 0 {
                return Err(ran.stderr);
            }
        }
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.path("log")).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(40)..];
            println!("--- engine:\n{}", tail.join("\n"));
        }
        // What runs on without it is removed by it alone.
        if self.running.is_none() {
            self.start_again();
        }
        if let Err(error) = self.clean() {
            println!("left over: {}: {error}", self.path("").display());
        }
        if self.running.is_some() {
            self.stop();
        }
        // An engine that keeps its containers keeps its folder mounted too; the other has none left.
        let data = self.path("data");
        let _ = Ran::run(Command::new("umount").arg("--lazy").arg(data));
    }
}
