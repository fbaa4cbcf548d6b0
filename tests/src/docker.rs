//! The engine's command line.

use std::{path::Path, process::Command};

use crate::process::Ran;

/// Runs `docker` and gives what it wrote, without the last line break.
///
/// # Panics
/// When it fails.
#[track_caller]
pub fn docker(args: &[&str]) -> String {
    run(args).ok().trim_end().to_owned()
}

/// Runs `docker` where failure is an answer.
pub(crate) fn try_docker(args: &[&str]) -> Result<String, String> {
    match Command::new("docker").arg("--version").output() {
        Err(error) => Err(error.to_string()),
        Ok(_) => {
            let ran = run(args);
            if ran.code == 0 {
                Ok(ran.ok().trim_end().to_owned())
            } else {
                Err(ran.stderr)
            }
        }
    }
}

/// Runs `docker` against the engine behind a socket.
pub(crate) fn at(socket: &Path, args: &[&str]) -> Ran {
    let mut docker = Command::new("docker");
    docker.arg(format!("--host=unix://{}", socket.display()));
    Ran::run(docker.args(args))
}

pub(crate) fn run(args: &[&str]) -> Ran {
    Ran::run(Command::new("docker").args(args))
}
