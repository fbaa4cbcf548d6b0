//! `dockmaster init`: a new data directory.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

use clap::Args;
use dockmaster::setup::{self, Installation, Setup};
use dockmaster_proto::{
    id::{Name, TrustDomain},
    range::Range,
};
use ipnet::IpNet;

use super::{error::CliError, output::OutputArgs, remote::block_on};

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
    pub(crate) permit: Vec<Range>,
    /// The SPIFFE trust domain of this installation
    #[arg(long, value_name = "NAME")]
    pub(crate) trust_domain: Option<TrustDomain>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Makes the data directory.
pub(crate) fn run(args: InitArgs) -> Result<(), CliError> {
    let InitArgs {
        data,
        listen,
        address,
        permit,
        trust_domain,
        output,
    } = args;
    let setup = Setup {
        data,
        listen,
        addresses: address,
        permit: if permit.is_empty() {
            default_permit()
        } else {
            permit.into_iter().map(Range::net).collect()
        },
        trust_domain: match trust_domain {
            Some(trust_domain) => trust_domain,
            None => fixed("dockmaster.internal")?,
        },
        name: machine_name()?,
        host: machine_name()?,
        operator: fixed("admin")?,
    };
    block_on(async {
        let made = setup::init(&setup).await;
        let installation =
            made.map_err(|error| CliError::because("no installation was made", &error, ""))?;
        output.print(&installation, table)
    })
}

fn table(installation: &Installation) -> String {
    let Installation {
        data,
        listen,
        trust_pin,
        log_verifier_key,
        permit,
        context,
    } = installation;
    let permit: Vec<String> = permit.iter().map(ToString::to_string).collect();
    format!(
        "made           {}\n\
         listens        {listen}\n\
         certifies      {}\n\
         trust pin      {trust_pin}\n\
         log key        {log_verifier_key}\n\
         operator       {}\n\n\
         next: dockmaster serve --data {} --docker\n",
        data.display(),
        permit.join(" "),
        context.display(),
        data.display(),
    )
}

/// The ranges that container engines give addresses from: RFC 1918 and RFC 4193.
fn default_permit() -> Vec<IpNet> {
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8"]
        .iter()
        .filter_map(|range| range.parse().ok())
        .collect()
}

/// This machine's hostname as a name; the first label only, other characters as dashes.
fn machine_name() -> Result<Name, CliError> {
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let label = hostname.trim().split('.').next().unwrap_or_default();
    let name: String = label
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    let name = name.trim_matches('-');
    fixed(if name.is_empty() { "localhost" } else { name })
}

fn fixed<T: FromStr<Err: std::error::Error>>(text: &str) -> Result<T, CliError> {
    text.parse()
        .map_err(|error: T::Err| CliError::because("a name cannot be used", &error, ""))
}
