//! How a command ends when it does not succeed: what, which, what next, and the exit code.

use std::{
    error::Error,
    fmt::{self, Write as _},
    io,
    process::ExitCode,
};

pub(crate) use dockmaster_proto::error::chain;
use dockmaster_proto::problem::Problem;

/// The exit code's meaning; a contract with scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Nobody reads what is printed any more: no failure of the command.
    Quiet = 0,
    /// It did not work.
    Failed = 1,
    /// It was asked wrongly.
    Usage = 2,
    /// It is not allowed.
    Refused = 3,
    /// The master does not answer.
    Unreachable = 4,
}

/// Why a command did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CliError {
    exit: Exit,
    what: String,
    hint: String,
}

impl CliError {
    /// It did not work.
    pub(crate) fn failed(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Exit::Failed, what, hint)
    }

    /// It was asked wrongly.
    pub(crate) fn usage(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what, hint)
    }

    /// It is not allowed.
    pub(crate) fn refused(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Exit::Refused, what, hint)
    }

    /// The master does not answer.
    pub(crate) fn unreachable(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Exit::Unreachable, what, hint)
    }

    /// It did not work because of something underneath; says the whole chain of causes.
    pub(crate) fn because(
        what: impl Into<String>,
        source: &dyn Error,
        hint: impl Into<String>,
    ) -> Self {
        Self::failed(format!("{}: {}", what.into(), chain(source)), hint)
    }

    /// What was to be printed could not be.
    pub(crate) fn printing(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::new(Exit::Quiet, "", "");
        }
        Self::because("cannot write to the standard output", error, "")
    }

    fn new(exit: Exit, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            exit,
            what: what.into(),
            hint: hint.into(),
        }
    }

    /// The exit code's meaning.
    #[cfg(test)]
    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }

    /// The exit code for the shell.
    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(self.exit as u8)
    }

    /// Whether there is nothing to tell.
    pub(crate) fn is_quiet(&self) -> bool {
        self.exit == Exit::Quiet
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.what)?;
        for line in self.hint.lines().filter(|line| !line.is_empty()) {
            write!(f, "\n  hint: {line}")?;
        }
        Ok(())
    }
}

impl From<Problem> for CliError {
    fn from(problem: Problem) -> Self {
        // 401 is a matter of who is asking as much as 403 is.
        let exit = match problem.status {
            401 | 403 => Exit::Refused,
            _ => Exit::Failed,
        };
        let mut what = problem.detail;
        if !problem.request_id.is_empty() {
            // Writing to a string cannot fail.
            let _ = write!(what, " (request {})", problem.request_id);
        }
        Self::new(exit, what, problem.hint)
    }
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::problem::ProblemCode;

    use super::*;

    #[test]
    fn an_error_says_what_and_then_what_next() {
        let error = CliError::failed("no node \"web\"", "see \"dockmaster node list\"");
        assert_eq!(
            error.to_string(),
            "error: no node \"web\"\n  hint: see \"dockmaster node list\""
        );
        assert_eq!(CliError::usage("x", "").to_string(), "error: x");
    }

    #[test]
    fn only_problems_of_permission_are_refusals() {
        for code in ProblemCode::ALL {
            let error = CliError::from(Problem::new(code, "d", "h"));
            let refused = matches!(code.status(), 401 | 403);
            assert_eq!(error.exit() == Exit::Refused, refused, "{code}");
        }
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let closed = CliError::printing(&io::ErrorKind::BrokenPipe.into());
        assert_eq!(closed.exit(), Exit::Quiet);
        let full = CliError::printing(&io::ErrorKind::StorageFull.into());
        assert_eq!(full.exit(), Exit::Failed);
    }
}
