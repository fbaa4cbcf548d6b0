//! The Python package cryptography, asked by `python/verify.py`.

use std::{path::PathBuf, process::Command};

use dockmaster_tests::Ran;

use super::{Verdict, Verifier, folder, program};
use crate::{python::interpreter, questions::Question};

struct Python(PathBuf);

pub(super) fn find() -> Option<Box<dyn Verifier>> {
    interpreter().map(|python| Box::new(Python(python)) as _)
}

impl Python {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.0);
        command.arg(folder("python").join("verify.py"));
        command
    }
}

impl Verifier for Python {
    fn name(&self) -> String {
        let version = Ran::run(self.command().arg("version")).ok();
        format!("Python cryptography {}", version.split('.').next().unwrap())
    }

    fn ask(&self, question: &Question) -> Verdict {
        program(&mut self.command(), question)
    }
}
