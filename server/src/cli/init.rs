//! `dockmaster init`: a new data directory.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use clap::Args;
use dockmaster_proto::id::TrustDomain;
use ipnet::IpNet;

use super::{error::CliError, output::OutputArgs};

/// Make a data directory: authorities, log key, the first operator's context
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster init --data /var/lib/dockmaster --listen 10.0.0.1:8140
  dockmaster init --data ./data --listen 127.0.0.1:8140 --permit 127.0.0.0/8 --trust-domain demo -o json")]
pub(crate) struct InitArgs {
    /// The directory to make; refused when it exists
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Where the master will listen
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) listen: SocketAddr,
    /// A further IP at which agents reach the master; may be given several times
    #[arg(long, value_name = "IP")]
    pub(crate) address: Vec<IpAddr>,
    /// A range of IPs that container certificates may have; may be given several times
    #[arg(long, value_name = "CIDR")]
    pub(crate) permit: Vec<IpNet>,
    /// The SPIFFE trust domain of this installation
    #[arg(long, value_name = "NAME")]
    pub(crate) trust_domain: Option<TrustDomain>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Makes the data directory.
pub(crate) fn run(_args: InitArgs) -> Result<(), CliError> {
    Err(CliError::failed(
        "\"dockmaster init\" is not part of this build",
        "",
    ))
}
