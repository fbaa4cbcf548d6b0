//! Why the master could not be used, and whose fault it is.

use std::time::Duration;

use dockmaster_client::ClientError;
use dockmaster_proto::problem::ProblemCode;

use super::pending::{self, Held};
use crate::{identity::IdentityError, join::JoinError, rundir::RunDirError};

/// Why the master could not be used.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// There is no certificate.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A call failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The certificate cannot be kept.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// The machine cannot join.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// The trust bundle file is none.
    #[error("the trust bundle file cannot be used: {0}")]
    Bundle(#[from] dockmaster_certs::bundle::BundleError),
    /// An operator has to approve first.
    #[error(transparent)]
    Held(Held),
    /// The catalog is none.
    #[error("the master's catalog cannot be used: {0}")]
    Catalog(String),
}

/// Whose fault it is, as far as the agent has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The master cannot be reached; it may come back.
    Away,
    /// The master refused; it may think otherwise later.
    Refused,
    /// The master waits for an operator's word.
    Held,
    /// The settings or the container are wrong; no waiting helps.
    Settings,
    /// Something else; it may pass.
    Other,
}

/// What an error says of the connection and of the certificate that it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Both are good: the master answered, or the trouble is elsewhere.
    Keep,
    /// The connection is broken. So it looks, too, when the master refuses the certificate in the
    /// handshake.
    Redial,
    /// The certificate is not honoured (any more).
    EnrollAgain,
}

impl LinkError {
    /// What it says of the connection and of the certificate that it shows.
    pub(super) const fn verdict(&self) -> Verdict {
        match (self.problem(), self) {
            (
                Some(
                    ProblemCode::NoCertificate
                    | ProblemCode::CertificateRevoked
                    | ProblemCode::Forbidden,
                ),
                _,
            ) => Verdict::EnrollAgain,
            (None, Self::Client(_) | Self::Identity(IdentityError::Client(_))) => Verdict::Redial,
            _ => Verdict::Keep,
        }
    }

    /// Whether the master would do it, and cannot just now.
    #[must_use]
    pub const fn is_for_later(&self) -> bool {
        matches!(
            self.problem(),
            Some(ProblemCode::Unavailable | ProblemCode::TooManyRequests)
        )
    }

    /// How long to wait before asking again, where that is known: no doubling wait then.
    #[must_use]
    pub fn pause(&self) -> Option<Duration> {
        match (self, self.problem()) {
            (Self::Held(held), _) => Some(held.pause()),
            (_, Some(ProblemCode::RequestDenied | ProblemCode::DeniedByPolicy)) => {
                Some(pending::DENIED)
            }
            _ => None,
        }
    }

    /// Whether a new certificate may help.
    #[must_use]
    pub fn wants_certificate(&self) -> bool {
        self.verdict() == Verdict::EnrollAgain
    }

    /// Whose fault it is.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        match self {
            Self::Client(error) | Self::Identity(IdentityError::Client(error)) => match error {
                ClientError::Problem(_) => Cause::Refused,
                ClientError::WrongPin { .. } | ClientError::Credentials { .. } => Cause::Settings,
                error if error.is_unreachable() => Cause::Away,
                _ => Cause::Other,
            },
            Self::Held(_) => Cause::Held,
            // The file may come.
            Self::Join(JoinError::NoFile(_)) => Cause::Refused,
            Self::RunDir(_) | Self::Bundle(_) | Self::Join(_) => Cause::Settings,
            Self::Identity(_) | Self::Catalog(_) => Cause::Other,
        }
    }

    /// The master's own word for it, where it refused.
    pub(super) const fn problem(&self) -> Option<ProblemCode> {
        match self {
            Self::Client(ClientError::Problem(problem))
            | Self::Identity(IdentityError::Client(ClientError::Problem(problem))) => {
                Some(problem.code)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use dockmaster_proto::problem::Problem;

    use super::*;

    fn problem(code: ProblemCode) -> LinkError {
        LinkError::Client(Problem::new(code, "no", "try again").into())
    }

    #[test]
    fn only_a_certificate_that_is_not_honoured_is_given_up_for_a_new_one() {
        let enroll_again: Vec<ProblemCode> = ProblemCode::ALL
            .into_iter()
            .filter(|code| problem(*code).verdict() == Verdict::EnrollAgain)
            .collect();
        assert_eq!(
            enroll_again,
            [
                ProblemCode::NoCertificate,
                ProblemCode::Forbidden,
                ProblemCode::CertificateRevoked
            ]
        );
        // 401, and 403 where it is about the certificate; a refusal to enroll is no reason to enroll.
        assert_eq!(problem(ProblemCode::NoLease).verdict(), Verdict::Keep);
        let renewal = IdentityError::Client(Problem::new(ProblemCode::Forbidden, "no", "").into());
        assert_eq!(LinkError::Identity(renewal).verdict(), Verdict::EnrollAgain);
    }

    #[test]
    fn what_breaks_a_connection_has_it_dialled_again() {
        let master = "10.0.0.1:8140".parse().unwrap();
        let broken = || ClientError::Broken {
            master,
            why: String::new(),
        };
        let refused = ClientError::Connect {
            master,
            source: io::ErrorKind::ConnectionRefused.into(),
        };
        for error in [
            LinkError::Client(broken()),
            LinkError::Identity(IdentityError::Client(broken())),
            LinkError::Client(refused),
        ] {
            assert_eq!(error.verdict(), Verdict::Redial);
            assert_eq!(error.cause(), Cause::Away);
        }
    }

    #[test]
    fn trouble_inside_the_container_costs_no_connection_and_no_certificate() {
        for error in [
            LinkError::Catalog("no JSON".to_owned()),
            LinkError::Identity(IdentityError::Refused("another key".to_owned())),
        ] {
            assert_eq!(error.verdict(), Verdict::Keep);
            assert_eq!(error.cause(), Cause::Other);
        }
    }
}
