//! `dockmaster host`: machines that run containers elsewhere.

mod enroll;
mod evict;
mod list;
mod run;

use clap::{Args, Subcommand};

use super::{Global, error::CliError, remote::block_on};

/// Enroll, run, list and evict further hosts
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:
  dockmaster host enroll h2 --cidr 172.17.0.0/16 --master 10.0.0.1:8140 -o h2.yaml
  dockmaster --context h2.yaml host run --docker
  dockmaster host list"
)]
pub(crate) struct HostArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Enroll(enroll::EnrollArgs),
    Run(run::RunArgs),
    List(list::ListArgs),
    Evict(evict::EvictArgs),
}

/// Runs the subcommand.
pub(crate) fn run(global: &Global, args: HostArgs) -> Result<(), CliError> {
    match args.command {
        Command::Enroll(args) => block_on(enroll::run(global, args)),
        Command::Run(args) => run::run(global, args),
        Command::List(args) => block_on(list::run(global, args)),
        Command::Evict(args) => block_on(evict::run(global, args)),
    }
}
