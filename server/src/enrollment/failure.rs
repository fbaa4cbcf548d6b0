//! Why a request comes to nothing: whose fault it is, and what the applicant is told.

use dockmaster_ledger::CommitError;
use dockmaster_proto::{
    error::chain,
    id::ContainerId,
    problem::{Problem, ProblemCode},
};

use super::{ContinuityError, Refusal, attest::Unclaimed};
use crate::store::WAY_OUT;

/// Why there is no certificate.
#[derive(Debug)]
pub enum IssueError {
    /// What the applicant is told.
    Problem(Problem),
    /// The issuance could not be recorded.
    Commit(CommitError),
}

/// The same, before refusals are recorded.
pub(super) enum Failure {
    /// The applicant's fault, or the policy's verdict: recorded.
    Refused(Refusal),
    /// The same, where the applicant is not told why.
    Untold(Refusal),
    /// The master's fault: not evidence about anyone.
    Ours(Problem),
    /// The ledger's.
    Commit(CommitError),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Unclaimed> for Failure {
    fn from(unclaimed: Unclaimed) -> Self {
        match unclaimed {
            Unclaimed::Refused(refusal) => Self::Refused(refusal),
            Unclaimed::NoAnswer => Self::Ours(Problem::new(
                ProblemCode::Unavailable,
                "the container host gave no answer about this address in time",
                "ask again; /readyz and the master's log say how the host does",
            )),
            Unclaimed::Crowded => Self::Refused(Refusal::crowded()),
            Unclaimed::Stopping => Self::Ours(Problem::new(
                ProblemCode::Unavailable,
                "the master stops, and does not wait for the host's report on this address any more",
                "ask again when it is back",
            )),
        }
    }
}

impl Failure {
    /// What a container says that it saw of the log comes to nothing.
    pub(super) fn unseen(container: ContainerId, error: &ContinuityError) -> Self {
        match error {
            ContinuityError::NotOurs(_) => Self::Refused(Refusal::foreign_log(container, error)),
            ContinuityError::Broken(why) => Self::broken(why),
            ContinuityError::Read(error) => Self::internal(error),
        }
    }

    pub(super) fn broken(why: &str) -> Self {
        Self::Ours(Problem::new(ProblemCode::Unavailable, why, WAY_OUT))
    }

    pub(super) fn internal(error: &dyn std::error::Error) -> Self {
        tracing::error!(error = %chain(error), "a certificate could not be issued");
        Self::Ours(Problem::new(
            ProblemCode::Internal,
            "the master could not issue the certificate",
            "its log says why, under this request ID",
        ))
    }
}
