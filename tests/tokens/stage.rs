//! A master, and tokens that an operator makes.

use std::path::Path;

use dockmaster_certs::key::KeyPair;
use dockmaster_client::ClientError;
use dockmaster_proto::{
    problem::{Problem, ProblemCode},
    token::JoinToken,
};
use dockmaster_tests::{Enrolled, Machine, Master, Peer, Setup};
use ring::rand::SystemRandom;
use serde_json::Value;
use tokio::runtime::Runtime;

pub(crate) struct Stage {
    pub(crate) master: Master,
    pub(crate) runtime: Runtime,
}

impl Stage {
    /// A master that watches nobody.
    pub(crate) fn new() -> Self {
        Self::with(Setup::nobody())
    }

    pub(crate) fn with(setup: Setup) -> Self {
        Self {
            master: setup.start(),
            runtime: Runtime::new().unwrap(),
        }
    }

    /// The text of a new token.
    pub(crate) fn token(&self, more: &[&str]) -> String {
        let args = [&["token", "create"], more].concat();
        let created = self.master.cli(args).ok();
        created.trim().to_owned()
    }

    /// The only token, as an operator sees it.
    pub(crate) fn listed(&self) -> Value {
        let list = self.master.json(["token", "list"]);
        let tokens = list["tokens"].as_array().unwrap();
        assert_eq!(tokens.len(), 1, "{list}");
        tokens[0].clone()
    }

    /// Entries of this kind, newest first.
    pub(crate) fn entries(&self, event: &str) -> Vec<Value> {
        let list = self.master.json(["audit", "list", "--event", event]);
        list["entries"].as_array().unwrap().clone()
    }

    /// What the log says of the newest refusal.
    pub(crate) fn fact(&self) -> String {
        self.entries("cert_denied")[0]["detail"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// A request with a token, by hand.
    pub(crate) fn redeem(
        &self,
        machine: &Machine,
        token: &str,
        key: &KeyPair,
    ) -> Result<Enrolled, ClientError> {
        let token: JoinToken = token.parse().unwrap();
        let peer = Peer::of(&self.master, machine);
        self.runtime.block_on(peer.redeem(&token, machine.id, key))
    }

    /// A request for the catalog with a certificate: how a machine comes back.
    pub(crate) fn comes_back(&self, machine: &Machine, enrolled: &Enrolled) -> Result<(), Problem> {
        let peer = Peer::of(&self.master, machine);
        match self.runtime.block_on(peer.catalog(enrolled, None)) {
            Ok(_) => Ok(()),
            Err(ClientError::Problem(problem)) => Err(problem),
            Err(error) => panic!("{error}"),
        }
    }
}

pub(crate) fn key() -> KeyPair {
    KeyPair::generate(&SystemRandom::new()).unwrap()
}

/// The refusal of a request whose token was not good: it never says why.
#[track_caller]
pub(crate) fn is_refused<T: std::fmt::Debug>(answer: Result<T, ClientError>) {
    let Err(ClientError::Problem(problem)) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(problem.code, ProblemCode::TokenRefused);
    assert_eq!(problem.detail, "the join token is not accepted");
}

/// The name of a token and its secret.
pub(crate) fn halves(token: &str) -> (&str, &str) {
    let rest = token.strip_prefix("dockmaster-token-").unwrap();
    rest.split_once('-').unwrap()
}

/// Every file below a folder that holds this text.
pub(crate) fn holding(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holding(&path, text));
        } else if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let is_in = bytes.windows(text.len()).any(|at| at == text.as_bytes());
            found.extend(is_in.then(|| path.display().to_string()));
        }
    }
    found
}
