//! The exit codes of `dockmaster-agent`, but for `run` with an application: there they are its own.

/// Done.
pub const DONE: u8 = 0;
/// Failed.
pub const FAILED: u8 = 1;
/// Wrong usage or settings.
pub const USAGE: u8 = 2;
/// The master refused.
pub const REFUSED: u8 = 3;
/// The master is not reachable.
pub const UNREACHABLE: u8 = 4;
