//! Why a resource could not be made true.

use std::{
    io,
    path::{Path, PathBuf},
};

use rustix::io::Errno;

use super::{blob::BlobError, place::PlaceError};
use crate::{
    supervise::{SuperviseError, command::CommandError},
    user::UserError,
};

/// Why a resource could not be made true.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Its path is no place for it.
    #[error("{0}")]
    Place(#[from] PlaceError),
    /// Its owner or group is not known.
    #[error("{0}")]
    User(#[from] UserError),
    /// Its contents could not be had.
    #[error("{0}")]
    Blob(#[from] BlobError),
    /// Something else is in its place.
    #[error("{path} is {found}; nothing was done: remove it, or declare what it is")]
    InTheWay {
        /// The path.
        path: PathBuf,
        /// What is there.
        found: String,
    },
    /// The kernel refused something.
    #[error("cannot {doing} {path}: {}", reason(*.errno))]
    Kernel {
        /// What was tried, as a verb.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the kernel said.
        errno: Errno,
    },
    /// The staged file was not accepted.
    #[error("the new file was not put in place, its validation failed: {0}")]
    Validation(CommandError),
    /// A command failed.
    #[error("{0}")]
    Command(#[from] CommandError),
    /// A process did not do as told.
    #[error("{0}")]
    Process(#[from] SuperviseError),
    /// A process has no command.
    #[error("process[{0}] has no command; give it one, or start the agent with \"run -- COMMAND\"")]
    NoCommand(String),
}

impl Fault {
    /// A refusal of the kernel.
    pub(super) fn kernel(doing: &'static str, path: &Path, errno: Errno) -> Self {
        Self::Kernel {
            doing,
            path: path.to_owned(),
            errno,
        }
    }

    /// The same from the standard library's error.
    pub(super) fn io(doing: &'static str, path: &Path, error: &io::Error) -> Self {
        let errno = Errno::from_io_error(error).unwrap_or(Errno::IO);
        Self::kernel(doing, path, errno)
    }
}

fn reason(errno: Errno) -> String {
    let hint = match errno {
        Errno::ROFS => "; mount a volume or a tmpfs there, or leave the resource out",
        Errno::PERM | Errno::ACCESS => "; the agent's user may not do this",
        Errno::NOSPC | Errno::DQUOT => "; free some space",
        Errno::NOTEMPTY => "; it is removed only when it is empty",
        _ => "",
    };
    format!("{}{hint}", io::Error::from(errno))
}
