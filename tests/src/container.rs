//! Containers.

use std::{
    io::Write as _,
    net::{IpAddr, SocketAddr},
    process::{Command, Stdio},
};

use dockmaster_proto::id::ContainerId;
use serde_json::Value;

use crate::{
    docker::{self, docker, try_docker},
    eventually,
    master::Master,
    network::Network,
};

/// A container that is about to be run.
#[derive(Debug, Clone)]
#[must_use]
pub struct Run {
    image: String,
    name: String,
    options: Vec<String>,
    command: Vec<String>,
}

impl Run {
    pub(crate) fn new(image: &str, label: &str) -> Self {
        Self {
            image: image.to_owned(),
            name: crate::unique(label),
            options: Vec::new(),
            command: Vec::new(),
        }
    }

    /// In this network.
    pub fn network(self, network: &Network) -> Self {
        self.option("--network", network.name())
    }

    /// With this label.
    pub fn label(self, key: &str, value: &str) -> Self {
        self.option("--label", &format!("{key}={value}"))
    }

    /// With this environment variable.
    pub fn env(self, key: &str, value: &str) -> Self {
        self.option("--env", &format!("{key}={value}"))
    }

    /// With any option of `docker run` that takes a value.
    pub fn option(mut self, option: &str, value: &str) -> Self {
        self.options.extend([option.to_owned(), value.to_owned()]);
        self
    }

    /// Runs this.
    pub fn command(mut self, command: &[&str]) -> Self {
        self.command = command.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// In this network, with the agent as its first process, told of this master; the agent runs
    /// `command`, if there is one.
    pub fn agent(self, master: &Master, network: &Network, command: &[&str]) -> Self {
        let mut line = vec!["/dockmaster-agent", "run"];
        if !command.is_empty() {
            line.push("--");
            line.extend(command);
        }
        self.network(network)
            .env("DOCKMASTER_MASTER", &master.address_in(network).to_string())
            .env("DOCKMASTER_TRUST", &master.trust().to_string())
            .command(&line)
    }

    /// Starts it in the background.
    ///
    /// # Panics
    /// When the engine does not start it.
    #[must_use]
    pub fn start(self) -> Container {
        let mut args = vec!["run", "--detach", "--name", &self.name];
        args.extend(self.options.iter().map(String::as_str));
        args.push(&self.image);
        args.extend(self.command.iter().map(String::as_str));
        let ran = docker::run(&args);
        if ran.code != 0 {
            // An engine that cannot start a container has made it all the same.
            let _ = try_docker(&["rm", "--force", &self.name]);
        }
        let id = ran.ok().trim().parse().expect("a container ID");
        let name = self.name;
        Container { id, name }
    }
}

/// A container, removed when dropped.
#[derive(Debug)]
pub struct Container {
    id: ContainerId,
    name: String,
}

/// What a file in a container is like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStat {
    /// Type and permissions as `ls -l` shows them: `-rw-r--r--`.
    pub mode: String,
    /// The owner's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
    /// Its size in bytes.
    pub size: u64,
}

impl Container {
    /// Its ID.
    #[must_use]
    pub const fn id(&self) -> ContainerId {
        self.id
    }

    /// The engine's name for it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address in a network.
    ///
    /// # Panics
    /// When it has none there.
    #[must_use]
    #[track_caller]
    pub fn ip(&self, network: &Network) -> IpAddr {
        let inspected = self.inspect();
        let ip = &inspected["NetworkSettings"]["Networks"][network.name()]["IPAddress"];
        let ip = ip.as_str().unwrap_or_default();
        ip.parse()
            .unwrap_or_else(|_| panic!("{} has no address in {}", self.name, network.name()))
    }

    /// Its address in a network, with a port.
    ///
    /// # Panics
    /// When it has none there.
    #[must_use]
    #[track_caller]
    pub fn at(&self, network: &Network, port: u16) -> SocketAddr {
        (self.ip(network), port).into()
    }

    /// All that the engine says of it.
    ///
    /// # Panics
    /// When it is gone.
    #[must_use]
    pub fn inspect(&self) -> Value {
        let inspected = docker(&["inspect", "--type", "container", &self.id.to_string()]);
        let mut inspected: Value = serde_json::from_str(&inspected).unwrap();
        inspected[0].take()
    }

    /// Whether it runs.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.inspect()["State"]["Running"] == true
    }

    /// What it has written so far, to standard output and standard error.
    ///
    /// # Panics
    /// When it is gone.
    #[must_use]
    pub fn logs(&self) -> String {
        let ran = docker::run(&["logs", &self.id.to_string()]);
        ran.ok() + &ran.stderr
    }

    /// Ends it as a machine does that loses its power.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&self) {
        docker(&["kill", &self.id.to_string()]);
    }

    /// Asks it to end, waits, and gives its exit code.
    ///
    /// # Panics
    /// When it is gone.
    pub fn stop(&self) -> i64 {
        docker(&["stop", "--time", "20", &self.id.to_string()]);
        self.inspect()["State"]["ExitCode"].as_i64().unwrap()
    }

    /// Waits for its end, and gives its exit code.
    ///
    /// # Panics
    /// When it does not end.
    pub fn ended(&self) -> i64 {
        eventually("the end of a container", || (!self.runs()).then_some(()));
        self.inspect()["State"]["ExitCode"].as_i64().unwrap()
    }

    /// Stops its processes where they are.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pause(&self) {
        docker(&["pause", &self.id.to_string()]);
    }

    /// Lets its processes go on.
    ///
    /// # Panics
    /// When they were not stopped.
    pub fn unpause(&self) {
        docker(&["unpause", &self.id.to_string()]);
    }

    /// Its first process, as this machine counts.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        let pid = self.inspect()["State"]["Pid"].as_u64().unwrap_or_default();
        assert_ne!(pid, 0, "{} does not run", self.name);
        pid.try_into().unwrap()
    }

    /// Starts it again after its end.
    ///
    /// # Panics
    /// When the engine does not.
    pub fn start_again(&self) {
        docker(&["start", &self.id.to_string()]);
    }

    /// Sends a signal, such as `HUP`, to its first process.
    ///
    /// # Panics
    /// When it does not run.
    pub fn signal(&self, signal: &str) {
        docker(&["kill", "--signal", signal, &self.id.to_string()]);
    }

    /// The content of a file in it, whether it runs or not; `None` when there is no such file.
    #[must_use]
    pub fn file(&self, path: &str) -> Option<Vec<u8>> {
        Some(tar(&["--extract", "--to-stdout"], &self.archive(path)?))
    }

    /// The content of a text file in it; `None` when there is no such file.
    ///
    /// # Panics
    /// When it is no text.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<String> {
        let content = self.file(path)?;
        Some(String::from_utf8(content).expect("a text file"))
    }

    /// What a file or folder in it is like; `None` when there is none.
    ///
    /// # Panics
    /// When `tar` lists it in a form that is not known here.
    #[must_use]
    pub fn stat(&self, path: &str) -> Option<FileStat> {
        let listed = tar(
            &["--list", "--verbose", "--numeric-owner"],
            &self.archive(path)?,
        );
        let listed = String::from_utf8(listed).unwrap();
        // -rw-r--r-- 0/0  12 2026-11-24 14:03 name
        let words: Vec<_> = listed.lines().next()?.split_whitespace().collect();
        let (uid, gid) = words[1].split_once('/').unwrap();
        Some(FileStat {
            mode: words[0].to_owned(),
            uid: uid.parse().unwrap(),
            gid: gid.parse().unwrap(),
            size: words[2].parse().unwrap(),
        })
    }

    /// A path in it as a tar archive.
    fn archive(&self, path: &str) -> Option<Vec<u8>> {
        let ran = docker::run(&["cp", &format!("{}:{path}", self.id), "-"]);
        (ran.code == 0).then_some(ran.stdout)
    }
}

fn tar(args: &[&str], archive: &[u8]) -> Vec<u8> {
    let mut child = Command::new("tar")
        .args(args)
        .args(["--file", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("tar is there");
    let mut stdin = child.stdin.take().unwrap();
    let archive = archive.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&archive));
    let output = child.wait_with_output().unwrap();
    let _ = writer.join();
    assert!(output.status.success(), "tar failed");
    output.stdout
}

impl Drop for Container {
    fn drop(&mut self) {
        let id = self.id.to_string();
        if std::thread::panicking() {
            let ran = docker::run(&["logs", "--tail", "40", &id]);
            let stdout = String::from_utf8_lossy(&ran.stdout);
            println!("--- {}:\n{stdout}{}", self.name, ran.stderr);
        }
        if let Err(error) = try_docker(&["rm", "--force", &id]) {
            println!("left over: container {}: {error}", self.name);
        }
    }
}
