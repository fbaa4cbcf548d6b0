//! `dockmaster site`: the tree of classes, data, templates and files.

mod check;
mod deploy;

use clap::{Args, Subcommand};

use super::{Global, error::CliError, remote::block_on};

pub(super) use check::{mistakes, parse, parse_classification};

/// Check and deploy a site
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:
  dockmaster site check ./site
  dockmaster site deploy ./site -m 'new greeting'"
)]
pub(crate) struct SiteArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::CheckArgs),
    Deploy(deploy::DeployArgs),
}

/// Runs the subcommand.
pub(crate) fn run(global: &Global, args: SiteArgs) -> Result<(), CliError> {
    match args.command {
        Command::Check(args) => check::run(&args),
        Command::Deploy(args) => block_on(deploy::run(global, args)),
    }
}
