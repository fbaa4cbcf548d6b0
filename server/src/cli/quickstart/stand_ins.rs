//! Stand-ins for containers: real agents with real applications, each at a loopback address of its
//! own, with a folder in place of a root file system. An inventory file vouches for them.

use std::{
    fmt::Write as _,
    fs::File,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use dockmaster_proto::id::TrustPin;

use super::{
    CliError,
    programs::Programs,
    roles::{APP_PORT, CONFIG, ROLES, Role},
};

/// How long a stand-in may take to end before it is killed.
const GRACE: Duration = Duration::from_secs(3);

pub(super) struct StandIns {
    programs: Programs,
    dir: PathBuf,
    master: SocketAddr,
    pin: TrustPin,
    running: Vec<Child>,
}

impl StandIns {
    /// Writes the inventory that vouches for them; none runs yet.
    pub(super) fn prepare(
        programs: &Programs,
        dir: &Path,
        master: SocketAddr,
        pin: TrustPin,
    ) -> Result<Self, CliError> {
        let failed = |error: &dyn std::error::Error| {
            CliError::because("the stand-ins cannot be prepared", error, "")
        };
        let mut inventory = String::from("containers:\n");
        for (
            index,
            Role {
                name,
                label: (key, value),
                ..
            },
        ) in ROLES.iter().enumerate()
        {
            let id: String = dockmaster::env::random::<32>()
                .map_err(|error| failed(&error))?
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            // Writing to a string cannot fail.
            let _ = write!(
                inventory,
                "  - id: {id}\n    name: {name}\n    image: stand-in\n    labels: {{{key}: {value}}}\n    ips: [{}]\n",
                address(index)
            );
        }
        std::fs::write(dir.join("inventory.yaml"), inventory).map_err(|error| failed(&error))?;
        Ok(Self {
            programs: programs.clone(),
            dir: dir.to_owned(),
            master,
            pin,
            running: Vec::new(),
        })
    }

    pub(super) fn start(&mut self) -> Result<(), CliError> {
        for (index, role) in ROLES.iter().enumerate() {
            let child = self.spawn(index, role);
            self.running.push(child.map_err(|error| {
                CliError::because(format!("stand-in {} does not start", role.name), &error, "")
            })?);
        }
        Ok(())
    }

    fn spawn(&self, index: usize, role: &Role) -> std::io::Result<Child> {
        let root = self.dir.join(role.name);
        std::fs::create_dir_all(root.join("etc"))?;
        let log = File::create(self.log(role.name))?;
        let config = root.join(CONFIG.trim_start_matches('/'));
        let mut command = Command::new(&self.programs.agent);
        command.arg("run");
        if role.serves {
            let listen = format!("{}:{APP_PORT}", address(index));
            command
                .arg("--")
                .arg(&self.programs.app)
                .arg("--config")
                .arg(config)
                .args(["--listen", &listen]);
        }
        command
            .env("DOCKMASTER_MASTER", self.master.to_string())
            .env("DOCKMASTER_TRUST", self.pin.to_string())
            .env("DOCKMASTER_BIND", address(index).to_string())
            .env("DOCKMASTER_ROOT", &root)
            .env("DOCKMASTER_RUN_DIR", root.join("run"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
    }

    pub(super) fn ip(&self, name: &str) -> Result<String, CliError> {
        let index = ROLES.iter().position(|role| role.name == name);
        index
            .map(|index| address(index).to_string())
            .ok_or_else(|| CliError::failed(format!("there is no stand-in {name}"), ""))
    }

    pub(super) fn logs(&self) -> String {
        let mut logs = String::new();
        for Role { name, .. } in ROLES {
            let text = std::fs::read_to_string(self.log(name)).unwrap_or_default();
            // Writing to a string cannot fail.
            let _ = writeln!(logs, "{name} said:\n{text}");
        }
        logs
    }

    pub(super) fn stop(&mut self) {
        for child in &self.running {
            if let Some(pid) = rustix::process::Pid::from_raw(child.id().cast_signed()) {
                // One that ended by itself needs no signal.
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
        }
        let deadline = Instant::now() + GRACE;
        for mut child in self.running.drain(..) {
            while Instant::now() < deadline && matches!(child.try_wait(), Ok(None)) {
                std::thread::park_timeout(Duration::from_millis(10));
            }
            // Fails where it ended in time.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn log(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.log"))
    }
}

impl Drop for StandIns {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Linux has all of 127.0.0.0/8 on its loopback device.
fn address(index: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, 11 + u8::try_from(index).unwrap_or(0))
}
