//! Why the master could not be used, and whose fault it is.

use dockmaster_client::ClientError;
use dockmaster_proto::problem::ProblemCode;

use crate::{identity::IdentityError, rundir::RunDirError};

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
    /// The trust bundle file is none.
    #[error("the trust bundle file cannot be used: {0}")]
    Bundle(#[from] dockmaster_certs::bundle::BundleError),
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
    /// The settings or the container are wrong; no waiting helps.
    Settings,
    /// Something else; it may pass.
    Other,
}

impl LinkError {
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
            Self::RunDir(_) | Self::Bundle(_) => Cause::Settings,
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
