//! OpenSSL's own command.

use std::process::Command;

use dockmaster_tests::{Ran, require};

use super::{Verdict, Verifier, minor};
use crate::questions::{Question, Role};

struct OpenSsl;

pub(super) fn find() -> Option<Box<dyn Verifier>> {
    require("openssl").then(|| Box::new(OpenSsl) as _)
}

impl Verifier for OpenSsl {
    fn name(&self) -> String {
        // OpenSSL 3.0.17 1 Jul 2025 (Library: …)
        let version = Ran::run(Command::new("openssl").arg("version")).ok();
        format!("OpenSSL {}", minor(version.split(' ').nth(1).unwrap()))
    }

    fn ask(&self, question: &Question) -> Verdict {
        let mut verify = Command::new("openssl");
        verify.args(["verify", "-x509_strict", "-CAfile"]);
        verify.arg(question.file("bundle.pem")).arg("-untrusted");
        verify.arg(question.file("above.pem"));
        match question.role {
            Role::Server(name) => {
                let by = if name.parse::<std::net::IpAddr>().is_ok() {
                    "-verify_ip"
                } else {
                    "-verify_hostname"
                };
                verify.args(["-purpose", "sslserver", by, name]);
            }
            Role::Client => {
                verify.args(["-purpose", "sslclient"]);
            }
        }
        let ran = Ran::run(verify.arg(question.file("leaf.pem")));
        if ran.code == 0 {
            return Verdict::accepted();
        }
        // error 47 at 0 depth lookup: permitted subtree violation
        let error = ran.stderr.lines().find(|line| line.starts_with("error "));
        let error = error.unwrap_or_else(|| panic!("no verdict but {ran:?}"));
        Verdict::refused(error.rsplit(": ").next().unwrap())
    }
}
