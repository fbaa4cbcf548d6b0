//! Real containers, by the engine's own command line.

use std::{
    fmt::Write as _,
    process::{Command, Stdio},
};

use dockmaster_proto::id::TrustPin;

use super::{
    CliError,
    programs::Programs,
    roles::{APP_PORT, CONFIG, ROLES, Role},
};

pub(super) struct Containers {
    /// Begins the names of all that is made, so that nothing else is ever touched.
    prefix: String,
    master: String,
    pin: TrustPin,
}

impl Containers {
    /// Makes an image of the agent and the application, and nothing else.
    pub(super) fn prepare(programs: &Programs, port: u16, pin: TrustPin) -> Result<Self, CliError> {
        let prefix = format!("dockmaster-quickstart-{}", std::process::id());
        // From here on whatever fails takes away what was made.
        let mut made = Self {
            prefix,
            master: String::new(),
            pin,
        };
        import(programs, &made.prefix)?;
        docker(&["network", "create", &made.prefix])?;
        let gateway = docker(&[
            "network",
            "inspect",
            &made.prefix,
            "--format",
            "{{(index .IPAM.Config 0).Gateway}}",
        ])?;
        made.master = format!("{gateway}:{port}");
        Ok(made)
    }

    pub(super) fn start(&mut self) -> Result<(), CliError> {
        for Role {
            name,
            label: (key, value),
            serves,
        } in ROLES
        {
            let (name, label) = (self.container(name), format!("{key}={value}"));
            let (master, trust) = (
                format!("DOCKMASTER_MASTER={}", self.master),
                format!("DOCKMASTER_TRUST={}", self.pin),
            );
            let mut run = vec![
                "run", "--detach", "--name", &name, "--label", &label, "--env", &master, "--env",
                &trust,
            ];
            run.extend([
                "--network",
                &self.prefix,
                "--cap-drop",
                "NET_RAW",
                "--memory",
                "56m",
                &self.prefix,
                "/dockmaster-agent",
                "run",
            ]);
            let listen = format!("0.0.0.0:{APP_PORT}");
            if serves {
                run.extend(["--", "/hello-app", "--config", CONFIG, "--listen", &listen]);
            }
            docker(&run)?;
        }
        Ok(())
    }

    pub(super) fn ip(&self, name: &str) -> Result<String, CliError> {
        docker(&[
            "inspect",
            "--format",
            "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
            &self.container(name),
        ])
    }

    pub(super) fn logs(&self) -> String {
        let mut logs = String::new();
        for Role { name, .. } in ROLES {
            let text =
                docker(&["logs", &self.container(name)]).unwrap_or_else(|error| error.to_string());
            // Writing to a string cannot fail.
            let _ = writeln!(logs, "{name} said:\n{text}");
        }
        logs
    }

    pub(super) fn stop(&mut self) {
        for Role { name, .. } in ROLES {
            // One that was never made cannot be removed; nothing else can be done about a failure here.
            let _ = docker(&["rm", "--force", &self.container(name)]);
        }
        let _ = docker(&["network", "rm", &self.prefix]);
        let _ = docker(&["rmi", &self.prefix]);
    }

    pub(super) fn container(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        self.stop();
    }
}

/// An image from nothing: a tar of two static programs.
fn import(programs: &Programs, image: &str) -> Result<(), CliError> {
    let failed = |error: &dyn std::error::Error| {
        CliError::because(
            "no image could be made",
            error,
            "are tar and docker installed?",
        )
    };
    let mut tar = Command::new("tar");
    for program in [&programs.agent, &programs.app] {
        if let (Some(dir), Some(file)) = (program.parent(), program.file_name()) {
            tar.arg("-C").arg(dir).arg(file);
        }
    }
    let mut packing = tar
        .arg("--create")
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(&error))?;
    let mut importing = Command::new("docker");
    importing.args(["import", "-", image]).stdout(Stdio::null());
    if let Some(packed) = packing.stdout.take() {
        importing.stdin(packed);
    }
    let imported = importing.status().map_err(|error| failed(&error))?;
    let packed = packing.wait().map_err(|error| failed(&error))?;
    if imported.success() && packed.success() {
        return Ok(());
    }
    Err(CliError::failed(
        "no image could be made",
        "what docker said stands above",
    ))
}

fn docker(arguments: &[&str]) -> Result<String, CliError> {
    let output = Command::new("docker").args(arguments).output();
    let output = output.map_err(|error| {
        CliError::because(
            "docker cannot be run",
            &error,
            "leave --docker out to do without",
        )
    })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        // An agent's log goes to standard error.
        let both = [text(&output.stdout), text(&output.stderr)];
        return Ok(both
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("\n"));
    }
    Err(CliError::failed(
        format!(
            "docker {} failed: {}",
            arguments.join(" "),
            text(&output.stderr)
        ),
        "",
    ))
}
