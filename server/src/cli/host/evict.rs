//! `dockmaster host evict`.

use clap::Args;
use dockmaster_client::Call;
use dockmaster_proto::{api::hosts::Eviction, id::Name, route::Route};

use crate::cli::{Global, error::CliError, output, remote::Remote, table};

/// End all that a host vouched for, at once
#[derive(Debug, Args)]
#[command(after_help = "Example:
  dockmaster host evict h2

Its connections end, the leases of its containers close, and their certificates and its own are
revoked. A host of the same name may be enrolled anew.")]
pub(crate) struct EvictArgs {
    /// The host
    name: Name,
}

/// Evicts a host.
pub(crate) async fn run(global: &Global, args: EvictArgs) -> Result<(), CliError> {
    let mut remote = Remote::connect(global).await?;
    let call = Call::new(Route::HostEvict).parameter(args.name.as_str());
    let Eviction { containers } = remote.call(&call).await?;
    let ended = usize::try_from(containers).unwrap_or(usize::MAX);
    output::print(&format!(
        "host {} is evicted; it vouched for {}",
        args.name,
        table::count(ended, "container")
    ))
}
