//! The `dockmaster` binary: the master, and the operator's command line.
#![forbid(unsafe_code)]

mod cli;

fn main() -> std::process::ExitCode {
    cli::main()
}
