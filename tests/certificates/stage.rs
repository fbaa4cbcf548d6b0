//! A master with stand-ins, and what OpenSSL makes of its revocation lists.

use std::{path::Path, process::Command};

use dockmaster_client::{ClientError, Reply};
use dockmaster_proto::problem::ProblemCode;
use dockmaster_tests::{Credentials, Enrolled, Inventory, Master, Peer, Ran, Setup, StandIn};
use tokio::runtime::Runtime;

/// A master and its stand-ins.
pub(crate) struct Stage {
    pub(crate) master: Master,
    pub(crate) stand_ins: Vec<StandIn>,
    pub(crate) inventory: Inventory,
    pub(crate) runtime: Runtime,
}

impl Stage {
    /// Tests run side by side: each takes numbers of its own.
    pub(crate) fn new(numbers: impl IntoIterator<Item = u16>) -> Self {
        let stand_ins: Vec<_> = numbers.into_iter().map(StandIn::numbered).collect();
        let inventory = Inventory::new(&stand_ins);
        Self {
            master: Setup::inventory(&inventory).start(),
            stand_ins,
            inventory,
            runtime: Runtime::new().unwrap(),
        }
    }

    /// Enrolls from a stand-in's address.
    pub(crate) fn enroll(&self, which: usize) -> Result<Enrolled, ClientError> {
        let peer = Peer::new(&self.master, &self.stand_ins[which]);
        self.runtime.block_on(peer.enroll())
    }

    /// Asks for the catalog as a stand-in with this certificate.
    pub(crate) fn catalog(&self, which: usize, enrolled: &Enrolled) -> Result<Reply, ClientError> {
        let peer = Peer::new(&self.master, &self.stand_ins[which]);
        self.runtime.block_on(peer.catalog(enrolled, None))
    }

    /// The certificate with its key and the trust bundle, as files.
    pub(crate) fn files(&self, enrolled: &Enrolled) -> Credentials {
        let identity = &enrolled.identity;
        Credentials::new(&identity.chain, &identity.key, &enrolled.issued.bundle)
    }
}

/// The code of a refusal.
#[track_caller]
pub(crate) fn code<T>(answer: Result<T, ClientError>) -> ProblemCode {
    match answer {
        Err(ClientError::Problem(problem)) => problem.code,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was not refused"),
    }
}

/// `openssl verify` with the lists of a file, for every certificate of the chain.
pub(crate) fn verify(credentials: &Credentials, lists: &Path) -> Ran {
    let mut verify = Command::new("openssl");
    verify.args(["verify", "-x509_strict", "-crl_check_all", "-CAfile"]);
    verify.arg(credentials.path("bundle.pem"));
    verify.arg("-untrusted").arg(credentials.path("above.pem"));
    verify.arg("-CRLfile").arg(lists);
    Ran::run(verify.arg(credentials.path("leaf.pem")))
}
