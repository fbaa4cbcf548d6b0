//! The other two programs of the demonstration: the agent and an application.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{CliError, note};

/// Where the programs lie.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    pub(super) agent: PathBuf,
    pub(super) app: PathBuf,
}

impl Programs {
    /// Finds them beside this program. When cargo runs it, cargo builds those that are missing.
    pub(super) fn find() -> Result<Self, CliError> {
        let here = std::env::current_exe().map_err(|error| {
            CliError::because("cannot find this program's own path", &error, "")
        })?;
        let dir = here.parent().unwrap_or(Path::new("/"));
        let programs = Self {
            agent: dir.join("dockmaster-agent"),
            app: dir.join("hello-app"),
        };
        // Under cargo what lies there may be of an older build.
        if let Some(cargo) = std::env::var_os("CARGO") {
            build(Path::new(&cargo), dir)?;
        }
        for program in [&programs.agent, &programs.app] {
            if !program.is_file() {
                return Err(CliError::failed(
                    format!("{} is missing", program.display()),
                    "put dockmaster-agent and hello-app beside dockmaster, or run \"cargo run --release -- quickstart\"",
                ));
            }
        }
        Ok(programs)
    }
}

fn build(cargo: &Path, dir: &Path) -> Result<(), CliError> {
    note("Building the agent and the example application …");
    let mut command = Command::new(cargo);
    command.args([
        "build",
        "-p",
        "dockmaster-agent",
        "-p",
        "dockmaster-examples",
    ]);
    if dir.ends_with("release") {
        command.arg("--release");
    }
    // cargo tells the program that it runs about its package; handed on, this would be about another
    // package and make cargo build its dependencies again.
    for (key, _) in std::env::vars_os() {
        let name = key.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&key);
        }
    }
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(CliError::failed(
            format!("the build of the agent ended with {status}"),
            "its errors stand above",
        )),
        Err(error) => Err(CliError::because("cargo cannot be run", &error, "")),
    }
}
