//! The `dockmaster-agent` binary.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    dockmaster_agent::cli::main()
}
