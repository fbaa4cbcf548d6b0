//! The commands, one module each.

pub mod apply;
pub mod facts;
pub mod once;
mod outset;
pub mod run;
pub mod status;
mod told;

use crate::{
    exit,
    link::{Cause, LinkError},
};

/// The exit code for an error of the link.
fn code(error: &LinkError) -> u8 {
    match error.cause() {
        Cause::Away => exit::UNREACHABLE,
        Cause::Refused | Cause::Held => exit::REFUSED,
        Cause::Settings | Cause::Other => exit::FAILED,
    }
}

/// Writes to standard output; a reader that went away is no error.
fn print(text: &str) {
    use std::io::Write as _;
    let _ = std::io::stdout().write_all(text.as_bytes());
}
