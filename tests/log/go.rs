//! The verifier: built once, run on logs and proofs.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use dockmaster_tests::{Ran, checkout};

/// The program `verifier/`, told of one log's key.
#[derive(Debug)]
pub(crate) struct Verifier {
    program: &'static Path,
    log_key: String,
}

impl Verifier {
    /// Trusts what this key signed.
    pub(crate) fn new(log_key: &str) -> Self {
        static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
        Self {
            program: PROGRAM.get_or_init(build),
            log_key: log_key.to_owned(),
        }
    }

    /// A run that is yet to be told on what.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(self.program);
        command.args(["-key", &self.log_key]);
        command
    }

    /// Verifies the log in a folder.
    pub(crate) fn folder(&self, public: &Path) -> Ran {
        Ran::run(self.command().arg(public))
    }

    /// Verifies the log in a folder as an extension of an older checkpoint.
    pub(crate) fn extension(&self, public: &Path, old: &Path) -> Ran {
        Ran::run(self.command().arg("-old").arg(old).arg(public))
    }

    /// Verifies a proof file that holds its entry.
    pub(crate) fn proof(&self, file: &Path) -> Ran {
        Ran::run(self.command().arg("-proof").arg(file))
    }
}

/// Without network: the only library lies where Debian puts it.
fn build() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let program = folder.join("log-verifier");
    let mut build = Command::new("go");
    build
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(checkout().join("tests/log/verifier"))
        .envs([("GO111MODULE", "off"), ("CGO_ENABLED", "0")])
        .envs([("GOPATH", "/usr/share/gocode"), ("GOFLAGS", "")])
        .env("GOCACHE", folder.join("go-cache"));
    let _ = Ran::run(&mut build).ok();
    program
}
