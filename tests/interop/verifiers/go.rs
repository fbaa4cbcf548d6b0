//! Go's crypto/x509, asked by `go/`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use dockmaster_tests::{Ran, require};

use super::{Verdict, Verifier, folder, minor, program};
use crate::questions::Question;

struct Go(PathBuf);

pub(super) fn find() -> Option<Box<dyn Verifier>> {
    require("go").then(|| Box::new(Go(build())) as _)
}

/// With nothing but the standard library.
fn build() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let program = target.join("interop-go");
    let mut build = Command::new("go");
    build.args(["build", "-o"]).arg(&program).arg("main.go");
    build.current_dir(folder("go"));
    build
        .envs([("GO111MODULE", "off"), ("CGO_ENABLED", "0")])
        .env("GOFLAGS", "")
        .env("GOCACHE", target.join("go-cache"));
    let _ = Ran::run(&mut build).ok();
    program
}

impl Verifier for Go {
    fn name(&self) -> String {
        let version = Ran::run(Command::new(&self.0).arg("version")).ok();
        format!("Go {}", minor(&version))
    }

    fn ask(&self, question: &Question) -> Verdict {
        program(&mut Command::new(&self.0), question)
    }
}
