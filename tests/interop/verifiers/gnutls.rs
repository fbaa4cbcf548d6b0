//! GnuTLS's own command.

use std::process::Command;

use dockmaster_tests::{Ran, require};

use super::{Verdict, Verifier, minor};
use crate::questions::{Question, Role};

struct GnuTls;

pub(super) fn find() -> Option<Box<dyn Verifier>> {
    require("certtool").then(|| Box::new(GnuTls) as _)
}

impl Verifier for GnuTls {
    fn name(&self) -> String {
        // certtool 3.7.9
        let version = Ran::run(Command::new("certtool").arg("--version")).ok();
        let first = version.lines().next().unwrap();
        format!("GnuTLS {}", minor(first.rsplit(' ').next().unwrap()))
    }

    fn ask(&self, question: &Question) -> Verdict {
        let mut verify = Command::new("certtool");
        verify.args(["--verify", "--load-ca-certificate"]);
        verify.arg(question.file("bundle.pem")).arg("--infile");
        verify.arg(question.file("chain.pem"));
        match question.role {
            Role::Server(name) => {
                verify.args(["--verify-purpose", "1.3.6.1.5.5.7.3.1"]);
                verify.args(["--verify-hostname", name]);
            }
            Role::Client => {
                verify.args(["--verify-purpose", "1.3.6.1.5.5.7.3.2"]);
            }
        }
        let ran = Ran::run(&mut verify);
        let text = String::from_utf8_lossy(&ran.stdout);
        let verdict = text
            .lines()
            .find_map(|line| line.strip_prefix("Chain verification output: "));
        let verdict = verdict.unwrap_or_else(|| panic!("no verdict but {ran:?}"));
        // "Verified. The certificate is trusted." or "Not verified. The certificate is NOT trusted. WHY"
        match (ran.code, verdict.starts_with("Verified.")) {
            (0, true) => Verdict::accepted(),
            (1, false) => Verdict::refused(verdict.rsplit("trusted. ").next().unwrap()),
            _ => panic!("two verdicts: {ran:?}"),
        }
    }
}
