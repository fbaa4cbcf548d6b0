//! The watcher of a further machine: `dockmaster host run`.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::{
    binary, eventually,
    far::FarMachine,
    inventory::{Inventory, StandIn},
    master::Master,
    network::Network,
    port::Port,
    process::Ran,
};

/// A further host: a machine, its inventory file, its context and its watcher; ended when dropped.
#[derive(Debug)]
pub struct Host {
    name: String,
    place: Place,
    dir: tempfile::TempDir,
    /// The limit of open files, soft and hard; this machine's where there is none.
    open_files: Option<u32>,
    running: Option<Child>,
}

/// Where a host's containers are.
#[derive(Debug)]
enum Place {
    /// On a machine of their own, listed in a file.
    Machine(FarMachine, Inventory),
    /// On this machine's engine, relayed at this address.
    Engine(
        SocketAddr,
        #[expect(dead_code, reason = "held while the host lives")] Port,
    ),
}

impl Host {
    /// Enrolls a host and starts its watcher. `further` are further options of the enrollment.
    ///
    /// # Panics
    /// When the master refuses.
    #[must_use]
    pub fn start(master: &Master, name: &str, containers: &[StandIn], further: &[&str]) -> Self {
        let machine = FarMachine::new(name);
        let dialled = master.address_from(&machine);
        let place = Place::Machine(machine, Inventory::new(containers));
        let mut host = Self::enroll(master, name, place, dialled, further);
        host.run();
        host
    }

    /// The same, with a watcher that may have so many open files.
    ///
    /// # Panics
    /// When the master refuses.
    #[must_use]
    pub fn start_within(
        master: &Master,
        name: &str,
        containers: &[StandIn],
        open_files: u32,
    ) -> Self {
        let machine = FarMachine::new(name);
        let dialled = master.address_from(&machine);
        let place = Place::Machine(machine, Inventory::new(containers));
        let mut host = Self::enroll(master, name, place, dialled, &[]);
        host.open_files = Some(open_files);
        host.run();
        host
    }

    /// Enrolls this machine's engine as a host, and starts its watcher, which relays in this network.
    ///
    /// # Panics
    /// When the master refuses.
    #[must_use]
    pub fn start_docker(master: &Master, name: &str, network: &Network) -> Self {
        let port = Port::reserve();
        let place = Place::Engine(SocketAddr::new(network.gateway(), port.number()), port);
        let mut host = Self::enroll(master, name, place, master.address(), &[]);
        host.run();
        host
    }

    fn enroll(
        master: &Master,
        name: &str,
        place: Place,
        dialled: SocketAddr,
        further: &[&str],
    ) -> Self {
        let host = Self {
            name: name.to_owned(),
            place,
            dir: tempfile::tempdir().unwrap(),
            open_files: None,
            running: None,
        };
        let dialled = dialled.to_string();
        let context = host.context().display().to_string();
        let mut args = vec!["host", "enroll", name, "--master", &dialled, "-o", &context];
        args.extend(further);
        let _ = master.cli(args).ok();
        host
    }

    /// Starts the watcher.
    ///
    /// # Panics
    /// When it is running, or does not listen.
    pub fn run(&mut self) {
        assert!(self.running.is_none(), "the watcher is running");
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.dir.path().join("log"))
            .unwrap();
        let before = self.log().matches("relaying on").count();
        let child = self.command().stderr(log).spawn().unwrap();
        self.running = Some(child);
        eventually("the relay", || {
            (self.log().matches("relaying on").count() > before).then_some(())
        });
    }

    /// Runs the watcher to its end, which is expected to come by itself.
    ///
    /// # Panics
    /// When it runs on.
    #[must_use]
    pub fn run_to_its_end(&self) -> Ran {
        let mut command = Command::new("timeout");
        let watcher = self.command();
        command
            .arg("60")
            .arg(watcher.get_program())
            .args(watcher.get_args());
        Ran::run(&mut command)
    }

    fn command(&self) -> Command {
        let program = binary("dockmaster");
        let mut command = match (&self.place, self.open_files) {
            (Place::Machine(machine, _), None) => machine.space().command(&program),
            (Place::Machine(machine, _), Some(limit)) => {
                let mut command = machine.space().command(Path::new("prlimit"));
                command
                    .arg(format!("--nofile={limit}:{limit}"))
                    .arg(&program);
                command
            }
            (Place::Engine(..), _) => Command::new(program),
        };
        command
            .args(["host", "run", "--context"])
            .arg(self.context());
        match &self.place {
            Place::Machine(_, inventory) => {
                command.arg("--inventory").arg(inventory.path());
                command.args(["--listen", &format!("{}:8140", FarMachine::GATEWAY)]);
            }
            Place::Engine(relay, _) => {
                command.args(["--docker", "--listen", &relay.to_string()]);
            }
        }
        command
            .env("DOCKMASTER_LOG", "debug")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    /// Ends the watcher as a loss of power would (SIGKILL).
    ///
    /// # Panics
    /// When it is not running.
    pub fn kill(&mut self) {
        let mut child = self.running.take().expect("the watcher is running");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Asks the watcher to renew its certificate (SIGHUP).
    ///
    /// # Panics
    /// When it is not running.
    pub fn renew(&self) {
        let child = self.running.as_ref().expect("the watcher is running");
        let pid = child.id().to_string();
        let _ = Ran::run(Command::new("kill").args(["-s", "HUP", &pid])).ok();
    }

    /// Waits for the watcher's own end, and gives its exit code.
    ///
    /// # Panics
    /// When it does not end.
    pub fn ended(&mut self) -> i32 {
        let mut child = self.running.take().expect("the watcher is running");
        let (status, _) = eventually("the end of a watcher", || child.try_wait().unwrap());
        status.code().unwrap_or(-1)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its machine.
    ///
    /// # Panics
    /// When it is this one.
    #[must_use]
    pub fn machine(&self) -> &FarMachine {
        match &self.place {
            Place::Machine(machine, _) => machine,
            Place::Engine(..) => panic!("the host is this machine"),
        }
    }

    /// Its inventory file.
    ///
    /// # Panics
    /// When an engine is asked instead.
    #[must_use]
    pub fn inventory(&self) -> &Inventory {
        match &self.place {
            Place::Machine(_, inventory) => inventory,
            Place::Engine(..) => panic!("the host has an engine"),
        }
    }

    /// Where its relay is reached from its containers.
    #[must_use]
    pub fn relay(&self) -> SocketAddr {
        match &self.place {
            Place::Machine(..) => (FarMachine::GATEWAY, 8140).into(),
            Place::Engine(relay, _) => *relay,
        }
    }

    /// Its context file.
    #[must_use]
    pub fn context(&self) -> PathBuf {
        self.dir.path().join("context.yaml")
    }

    /// What the watcher has said.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            println!("--- host {}:\n{}", self.name, self.log());
        }
    }
}
