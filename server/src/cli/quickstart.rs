//! `dockmaster quickstart`: a whole running demonstration.

use std::path::PathBuf;

use clap::Args;

use super::error::CliError;

/// Run a whole demonstration on this machine
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster quickstart
  dockmaster quickstart --docker

It cleans up after itself on Ctrl-C.")]
pub(crate) struct QuickstartArgs {
    /// Use real containers of this machine's engine instead of stand-ins
    #[arg(
        long,
        value_name = "SOCKET",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "/var/run/docker.sock"
    )]
    pub(crate) docker: Option<PathBuf>,
}

/// Runs the demonstration until Ctrl-C.
pub(crate) fn run(_args: QuickstartArgs) -> Result<(), CliError> {
    Err(CliError::failed(
        "\"dockmaster quickstart\" is not part of this build",
        "",
    ))
}
