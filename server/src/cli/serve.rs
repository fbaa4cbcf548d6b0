//! `dockmaster serve`: the master.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use dockmaster_proto::id::Name;

use super::error::CliError;

/// Run the master
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster serve --data /var/lib/dockmaster --docker
  dockmaster serve --data ./data --docker=/run/podman/podman.sock --host-name h1
  dockmaster serve --data ./data --inventory containers.json --log-format json

Prints \"ready https://IP:PORT\" on standard error when it is.")]
pub(crate) struct ServeArgs {
    /// The data directory that "dockmaster init" made
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Watch the container engine of this machine
    #[arg(
        long,
        value_name = "SOCKET",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "/var/run/docker.sock",
        conflicts_with = "inventory"
    )]
    pub(crate) docker: Option<PathBuf>,
    /// Take the containers from a file instead of an engine; read again when it changes
    #[arg(long, value_name = "FILE")]
    pub(crate) inventory: Option<PathBuf>,
    /// The name of this machine in certificates and networks; its hostname where none is given
    #[arg(long, value_name = "NAME")]
    pub(crate) host_name: Option<Name>,
    /// How to write the log on standard error
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// A line for people
    Text,
    /// A JSON object a line
    Json,
}

/// Runs the master until it is told to stop.
pub(crate) fn run(_args: ServeArgs) -> Result<(), CliError> {
    Err(CliError::failed(
        "\"dockmaster serve\" is not part of this build",
        "",
    ))
}
