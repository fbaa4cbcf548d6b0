//! The `dockmaster-agent` binary.
#![forbid(unsafe_code)]
fn main() {}
