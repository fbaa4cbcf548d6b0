//! What the example programs share: the frame of a program, a bounded server of threads, the head of an HTTP
//! request. Standard library and signals only, so that the programs stay small and static.

#![forbid(unsafe_code)]

pub mod backends;
pub mod http;
pub mod options;
pub mod program;
pub mod relay;
pub mod server;

use std::io::Write as _;

/// Tells something on standard output, one line; a closed standard output is no reason to stop.
pub fn say(line: std::fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Tells why a program cannot go on, and gives the exit code for it.
#[must_use]
pub fn fail(error: &dyn std::error::Error) -> std::process::ExitCode {
    let _ = write!(std::io::stderr(), "error: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(std::io::stderr(), ": {cause}");
        source = cause.source();
    }
    let _ = writeln!(std::io::stderr());
    std::process::ExitCode::FAILURE
}
