//! Those who are asked.

use std::process::Command;

use dockmaster_tests::{Ran, checkout};

use crate::questions::{Answer, Question, Role};

mod gnutls;
mod go;
mod java;
mod openssl;
mod python;
mod webpki;

/// What a verifier answered, and what it said of it.
#[derive(Debug, Clone)]
pub(crate) struct Verdict {
    pub(crate) answer: Answer,
    pub(crate) reason: String,
}

impl Verdict {
    fn accepted() -> Self {
        Self {
            answer: Answer::Accepted,
            reason: String::new(),
        }
    }

    fn refused(reason: impl Into<String>) -> Self {
        Self {
            answer: Answer::Refused,
            reason: reason.into(),
        }
    }
}

/// An implementation of X.509 that is there on this machine.
pub(crate) trait Verifier: Sync {
    /// Its name and version, as it stands in the matrix: without the patch level, which changes nothing
    /// that is promised here.
    fn name(&self) -> String;

    /// Its answer to a question.
    ///
    /// # Panics
    /// When it did not understand the question.
    fn ask(&self, question: &Question) -> Verdict;
}

/// One that is there, and whether it is asked for.
type Finder = fn() -> Option<Box<dyn Verifier>>;

/// All that are there. Those that are missing say so, as `require` does.
pub(crate) fn verifiers() -> Vec<Box<dyn Verifier>> {
    FINDERS.iter().filter_map(|find| find()).collect()
}

/// How many there can be.
pub(crate) const NUMBER: usize = FINDERS.len();

const FINDERS: [Finder; 6] = [
    openssl::find,
    go::find,
    gnutls::find,
    python::find,
    webpki::find,
    java::find,
];

/// The first two numbers of a version.
fn minor(version: &str) -> String {
    let version = version.trim();
    let numbers: Vec<_> = version.split(['.', '-']).take(2).collect();
    numbers.join(".")
}

/// Asks one of our own programs, which say their verdict on one line.
fn program(command: &mut Command, question: &Question) -> Verdict {
    command
        .arg(question.file("bundle.pem"))
        .arg(question.file("chain.pem"));
    match question.role {
        Role::Server(name) => command.args(["server", name]),
        Role::Client => command.arg("client"),
    };
    let said = Ran::run(command).ok();
    match said.trim().split_once(": ") {
        None if said.trim() == "accepted" => Verdict::accepted(),
        Some(("refused", why)) => Verdict::refused(why),
        _ => panic!("no verdict but {said}"),
    }
}

/// Where the small programs lie.
fn folder(name: &str) -> std::path::PathBuf {
    checkout().join("tests/interop").join(name)
}
