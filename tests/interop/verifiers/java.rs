//! Java's TLS, asked by `java/`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use dockmaster_tests::{Ran, require};

use super::{Verdict, Verifier, folder, program};
use crate::questions::Question;

struct Java(PathBuf);

pub(super) fn find() -> Option<Box<dyn Verifier>> {
    require("javac").then(|| Box::new(Java(compile())) as _)
}

fn compile() -> PathBuf {
    let classes = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interop-java");
    let mut compile = Command::new("javac");
    compile.args(["-Xlint:all", "-Werror", "-d"]).arg(&classes);
    let _ = Ran::run(compile.arg(folder("java").join("Verify.java"))).ok();
    classes
}

impl Java {
    fn command(&self) -> Command {
        let mut command = Command::new("java");
        // It starts for one question, and ends.
        command.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"]);
        command.arg(&self.0).arg("Verify");
        command
    }
}

impl Verifier for Java {
    fn name(&self) -> String {
        let version = Ran::run(self.command().arg("version")).ok();
        format!("Java {}", version.trim())
    }

    fn ask(&self, question: &Question) -> Verdict {
        program(self.command().arg(question.file("key.pem")), question)
    }
}
