//! The one place where an error of the master becomes a problem that a caller is told.

use dockmaster_ledger::{BlobError, CommitError};
use dockmaster_proto::{
    error::chain,
    problem::{Problem, ProblemCode},
};

use crate::{
    audit::AuditError, index::IndexError, reports::ReportError, revocation::RevocationRefused,
    rotation::RotationRefused, rotor::RotorError, state::LookupError,
};

/// A change that could not be committed.
#[must_use]
pub fn from_commit(error: &CommitError) -> Problem {
    tracing::error!(error = %chain(error), "a change could not be committed");
    Problem::new(
        ProblemCode::Unavailable,
        format!("the master cannot commit the change: {}", chain(error)),
        "nothing was changed; /readyz says when it can again",
    )
}

/// A fault of ours: the cause goes to the log and not to the caller.
pub(super) fn internal(error: &dyn std::error::Error) -> Problem {
    tracing::error!(error = %chain(error), "a request failed");
    Problem::new(
        ProblemCode::Internal,
        "the master failed to answer",
        "its log says why, under this request ID",
    )
}

/// A document that cannot be had, told to an operator: what is damaged, and how it is mended.
pub(super) fn from_blob(error: &BlobError) -> Problem {
    let told = internal(error);
    match error {
        BlobError::Damaged { .. } => Problem::new(
            ProblemCode::Internal,
            error.to_string(),
            "\"tar -xf BACKUP blobs/SHA256\" takes a document out of a backup",
        ),
        BlobError::File(_) | BlobError::TooLong(_) => told,
    }
}

pub(super) fn from_report(error: &ReportError) -> Problem {
    if error.is_no_space() {
        return Problem::new(
            ProblemCode::Unavailable,
            "the master has no room for the report",
            "send it again later",
        );
    }
    internal(error)
}

pub(super) fn from_lookup(error: &LookupError) -> Problem {
    match error {
        LookupError::Unknown(_) => Problem::new(
            ProblemCode::NotFound,
            error.to_string(),
            "\"dockmaster node list\" shows the live nodes, with --all those that ended too",
        ),
        LookupError::Ambiguous { hint, .. } => {
            Problem::new(ProblemCode::Ambiguous, error.to_string(), *hint)
        }
    }
}

pub(super) fn from_revocation(error: &RevocationRefused) -> Problem {
    let (code, hint) = match error {
        RevocationRefused::Lookup(error) => return from_lookup(error),
        RevocationRefused::NotCurrent(_) => (
            ProblemCode::NotFound,
            "\"dockmaster cert show SERIAL\" says what became of it; a master's certificate lasts a day and goes with its authority",
        ),
        RevocationRefused::OfHost(_, host) => {
            let hint = format!(
                "\"dockmaster host evict {host}\" ends its certificates, and the leases of its containers with them"
            );
            return Problem::new(ProblemCode::Conflict, error.to_string(), hint);
        }
        RevocationRefused::NoCertificate(_) => (
            ProblemCode::Conflict,
            "to keep it from getting one, give --ban",
        ),
        RevocationRefused::Own(_) => (
            ProblemCode::Conflict,
            "revoke it with another operator's context",
        ),
        RevocationRefused::BanOfOperator(_) => (ProblemCode::BadRequest, "leave out --ban"),
    };
    Problem::new(code, error.to_string(), hint)
}

pub(super) fn from_rotor(error: &RotorError) -> Problem {
    let refused = match error {
        RotorError::Refused(refused) => refused,
        RotorError::Commit(error) => return from_commit(error),
        _ => return internal(error),
    };
    let hint = match refused {
        RotationRefused::GoesOn | RotationRefused::None | RotationRefused::Phase(_) => {
            "\"dockmaster ca show\" says how far it is"
        }
        RotationRefused::Unacknowledged { .. } => {
            "wait a minute; --force goes on without them, and they cannot verify others until they know it"
        }
        RotationRefused::Behind { .. } => {
            "nodes renew by themselves and operators with any command; --force leaves them behind: nodes need the new pin, operators a new context"
        }
    };
    Problem::new(ProblemCode::Conflict, error.to_string(), hint)
}

pub(super) fn from_audit(error: &AuditError) -> Problem {
    internal(error)
}

pub(super) fn from_index(error: &IndexError) -> Problem {
    internal(error)
}

pub(super) fn not_found(what: impl std::fmt::Display) -> Problem {
    Problem::new(ProblemCode::NotFound, format!("there is no {what}"), "")
}

pub(super) fn bad_request(detail: impl Into<String>) -> Problem {
    Problem::new(
        ProblemCode::BadRequest,
        detail,
        "docs/api.md says what the route takes",
    )
}
