//! A master of a test's own.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
};

use dockmaster_proto::id::TrustPin;
use serde_json::Value;

use crate::{
    binary, engine::Engine, far::FarMachine, inventory::Inventory, network::Network, patience,
    podman::Podman, port::Port, process::Ran,
};

/// Where the master learns of containers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Watch {
    /// From the engine of this machine.
    #[default]
    Docker,
    /// From the engine behind this socket.
    Engine(PathBuf),
    /// From a file.
    Inventory(PathBuf),
    /// From nobody.
    Nothing,
}

/// What a master is to be like.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Setup {
    watch: Watch,
    addresses: Vec<IpAddr>,
    permit: Vec<String>,
    data: Option<PathBuf>,
    settings: Vec<(String, String)>,
    policy: String,
    listen: Option<String>,
    /// The program and its arguments by which `dockmaster serve` is run.
    by: Vec<String>,
}

impl Setup {
    /// Watches no machine of its own; further hosts have containers in these ranges.
    pub fn hosts(permit: &[&str]) -> Self {
        Self {
            watch: Watch::Nothing,
            permit: permit.iter().map(|&range| range.to_owned()).collect(),
            ..Self::default()
        }
    }

    /// With another value of a setting in `dockmaster.yaml`.
    pub fn setting(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Watches the engine, and serves the containers of these networks.
    pub fn docker(networks: &[&Network]) -> Self {
        Self {
            watch: Watch::Docker,
            addresses: networks.iter().map(|network| network.gateway()).collect(),
            permit: networks
                .iter()
                .map(|network| network.subnet().to_owned())
                .collect(),
            ..Self::default()
        }
    }

    /// Watches an engine of the test's own, and serves its containers.
    pub fn engine(engine: &Engine) -> Self {
        Self {
            watch: Watch::Engine(engine.socket().to_owned()),
            addresses: vec![engine.gateway()],
            permit: vec![engine.subnet().to_owned()],
            ..Self::default()
        }
    }

    /// Watches Podman, and serves the containers of its networks.
    pub fn podman(podman: &Podman) -> Self {
        Self {
            watch: Watch::Engine(podman.socket()),
            addresses: vec![Podman::gateway(0), Podman::gateway(1)],
            permit: vec![Podman::subnet(0), Podman::subnet(1)],
            ..Self::default()
        }
    }

    /// Watches a file, and serves loopback addresses.
    pub fn inventory(inventory: &Inventory) -> Self {
        Self {
            watch: Watch::Inventory(inventory.path().to_owned()),
            ..Self::default()
        }
    }

    /// Watches nobody, and serves loopback addresses.
    pub fn nobody() -> Self {
        Self {
            watch: Watch::Nothing,
            ..Self::default()
        }
    }

    /// Dialled at this address too, by the machines of this range.
    pub fn serving(mut self, address: IpAddr, range: &str) -> Self {
        self.addresses.push(address);
        self.permit.push(range.to_owned());
        self
    }

    /// With its data directory here, where nothing is yet.
    pub fn data(self, data: PathBuf) -> Self {
        Self {
            data: Some(data),
            ..self
        }
    }

    /// With this policy: YAML, the key `policy` included.
    pub fn policy(self, policy: &str) -> Self {
        Self {
            policy: policy.to_owned(),
            ..self
        }
    }

    /// At this IP (in brackets for IPv6) in place of all IPv4 addresses.
    pub fn listen(self, ip: &str) -> Self {
        Self {
            listen: Some(ip.to_owned()),
            ..self
        }
    }

    /// Reached at this address too.
    pub fn address(mut self, address: IpAddr) -> Self {
        self.addresses.push(address);
        self
    }

    /// With an authority that may certify this range too.
    pub fn permit(mut self, range: &str) -> Self {
        self.permit.push(range.to_owned());
        self
    }

    /// With so many open files at most.
    pub fn files(self, files: u64) -> Self {
        self.by(&["prlimit", &format!("--nofile={files}:{files}")])
    }

    /// Without the right to enter network namespaces: it cannot ask for sockets there.
    pub fn without_sockets(self) -> Self {
        self.by(&[
            "setpriv",
            "--bounding-set=-sys_admin",
            "--inh-caps=-sys_admin",
        ])
    }

    fn by(self, by: &[&str]) -> Self {
        Self {
            by: by.iter().map(|&word| word.to_owned()).collect(),
            ..self
        }
    }

    /// Makes the data directory and starts the master.
    ///
    /// # Panics
    /// When it does not get ready.
    #[must_use]
    pub fn start(self) -> Master {
        let dir = tempfile::tempdir().unwrap();
        let data = self.data.unwrap_or_else(|| dir.path().join("data"));
        let port = Port::reserve();
        let mut init = Command::new(binary("dockmaster"));
        init.args(["init", "-o", "json", "--data"]).arg(&data);
        let listen = self.listen.as_deref().unwrap_or("0.0.0.0");
        init.args(["--listen", &format!("{listen}:{}", port.number())]);
        init.args(["--address", "127.0.0.1", "--permit", "127.0.0.0/8"]);
        for address in &self.addresses {
            init.args(["--address", &address.to_string()]);
        }
        for range in &self.permit {
            init.args(["--permit", range]);
        }
        let made = Ran::run(&mut init).json();
        let trust = pin(&made).expect("\"dockmaster init -o json\" shows the trust pin");
        configure(&data, &self.settings);
        let mut master = Master {
            data,
            _dir: dir,
            port,
            trust,
            watch: self.watch,
            by: self.by,
            running: None,
            log: Arc::default(),
        };
        master.set_policy(&self.policy);
        master.serve();
        master
    }
}

/// A master, ended and removed when dropped.
#[derive(Debug)]
pub struct Master {
    data: PathBuf,
    _dir: tempfile::TempDir,
    port: Port,
    trust: TrustPin,
    watch: Watch,
    /// The program and its arguments by which `dockmaster serve` is run.
    by: Vec<String>,
    running: Option<Child>,
    log: Arc<Mutex<Vec<String>>>,
}

impl Master {
    /// Starts it, after an end or a kill, and waits until it is ready.
    ///
    /// # Panics
    /// When it does not get ready, or is running.
    pub fn serve(&mut self) {
        assert!(self.running.is_none(), "the master is running");
        let mut command = self.serve_command();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        self.running = Some(child);
        let (tell, ready) = mpsc::channel();
        let log = Arc::clone(&self.log);
        thread::spawn(move || follow(stderr, &log, &tell));
        // An end of the log before the line "ready" is an end of the master.
        let ready = ready.recv_timeout(patience());
        assert!(ready.is_ok(), "the master did not get ready");
    }

    /// Writes another policy in place of the one before; a master takes it up when it starts.
    ///
    /// # Panics
    /// When the configuration cannot be written.
    pub fn set_policy(&self, policy: &str) {
        let path = self.data.join("dockmaster.yaml");
        let text = fs::read_to_string(&path).unwrap();
        let before = text.split("\npolicy:").next().unwrap().trim_end();
        fs::write(&path, format!("{before}\n\n{policy}")).unwrap();
    }

    /// Tries to start it where it is not expected to get ready, and gives what it said at its end.
    ///
    /// # Panics
    /// When it runs on.
    #[must_use]
    pub fn fails_to_serve(&self) -> Ran {
        assert!(self.running.is_none(), "the master is running");
        let mut command = Command::new("timeout");
        let patience = patience().as_secs().to_string();
        let serve = self.serve_command();
        command.arg(patience).arg(serve.get_program());
        let ran = Ran::run(command.args(serve.get_args()));
        assert!(ran.code != 0 && ran.code != 124, "the master runs");
        ran
    }

    fn serve_command(&self) -> Command {
        let mut command = match &self.by[..] {
            [] => Command::new(binary("dockmaster")),
            [by, args @ ..] => {
                let mut command = Command::new(by);
                command.args(args).arg(binary("dockmaster"));
                command
            }
        };
        command
            .args(["serve", "--host-name", "h1", "--data"])
            .arg(&self.data);
        match &self.watch {
            Watch::Docker => command.arg("--docker"),
            Watch::Engine(socket) => command.arg(format!("--docker={}", socket.display())),
            Watch::Inventory(path) => command.arg("--inventory").arg(path),
            Watch::Nothing => &mut command,
        };
        command
    }

    /// Whether it was started and not ended since.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Ends it as a loss of power would (SIGKILL).
    ///
    /// # Panics
    /// When it is not running.
    pub fn kill(&mut self) {
        let mut child = self.running.take().expect("the master is running");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks it to end (SIGTERM), and waits for it.
    ///
    /// # Panics
    /// When it is not running.
    pub fn terminate(&mut self) -> ExitStatus {
        let mut child = self.running.take().expect("the master is running");
        let pid = child.id().to_string();
        let _ = Ran::run(Command::new("kill").args(["-s", "TERM", &pid])).ok();
        child.wait().unwrap()
    }

    /// Kills it and starts it again.
    ///
    /// # Panics
    /// When it is not running before, or after.
    pub fn crash_and_restart(&mut self) {
        self.kill();
        self.serve();
    }

    /// Runs an operator's command, such as `["node", "list", "-o", "json"]`.
    ///
    /// # Panics
    /// When the program cannot be started; how it ends is for the test to judge.
    #[must_use]
    pub fn cli<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Ran {
        Ran::run(&mut self.command(args))
    }

    /// An operator's command that is not run yet.
    ///
    /// # Panics
    /// When the program does not build.
    #[must_use]
    pub fn command<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(binary("dockmaster"));
        command.arg("--context").arg(self.context()).args(args);
        command
    }

    /// The first operator's context file.
    #[must_use]
    pub fn context(&self) -> PathBuf {
        self.data.join("operator.yaml")
    }

    /// The data directory.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The process ID.
    ///
    /// # Panics
    /// When it is not running.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.running.as_ref().expect("the master is running").id()
    }

    /// What an agent has to pin.
    #[must_use]
    pub const fn trust(&self) -> TrustPin {
        self.trust
    }

    /// Where it is reached on this machine.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), self.port.number())
    }

    /// Where a further machine reaches it.
    #[must_use]
    pub fn address_from(&self, machine: &FarMachine) -> SocketAddr {
        SocketAddr::new(machine.master().into(), self.port.number())
    }

    /// The options of `docker run` by which an agent finds it at this address of the machine.
    #[must_use]
    pub fn options_at(&self, ip: IpAddr) -> [String; 2] {
        let at = SocketAddr::new(ip, self.port.number());
        [
            format!("--env=DOCKMASTER_MASTER={at}"),
            format!("--env=DOCKMASTER_TRUST={}", self.trust()),
        ]
    }

    /// Where the containers of a network reach it.
    #[must_use]
    pub fn address_in(&self, network: &Network) -> SocketAddr {
        SocketAddr::new(network.gateway(), self.port.number())
    }

    /// The lines that it has written to standard error so far, over all its runs.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.clone()
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if thread::panicking() {
            let log = self.log();
            let tail = &log[log.len().saturating_sub(80)..];
            println!("--- master:\n{}", tail.join("\n"));
        }
    }
}

fn follow(stderr: ChildStderr, log: &Mutex<Vec<String>>, ready: &mpsc::Sender<()>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        if line.starts_with("ready https://") {
            let _ = ready.send(());
        }
        log.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }
}

fn configure(data: &Path, settings: &[(String, String)]) {
    let path = data.join("dockmaster.yaml");
    let mut text = fs::read_to_string(&path).unwrap();
    for (key, value) in settings {
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{key}:")))
            .unwrap_or_else(|| panic!("there is no setting {key}"))
            .to_owned();
        text = text.replace(&line, &format!("{key}: {value}"));
    }
    fs::write(path, text).unwrap();
}

/// The trust pin, wherever it stands in the answer.
fn pin(answer: &Value) -> Option<TrustPin> {
    match answer {
        Value::String(text) => text.parse().ok(),
        Value::Object(map) => map.values().find_map(pin),
        _ => None,
    }
}
