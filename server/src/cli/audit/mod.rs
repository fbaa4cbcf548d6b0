//! `dockmaster audit`: questions to the ledger.

mod check;
mod crosscheck;
mod export;
mod list;
mod prove;
mod replay;
mod summary;
mod testimony;
mod verify;
mod who;

use clap::{Args, Subcommand};

use super::{Global, error::CliError, remote::block_on};

/// Search the audit log, ask who held an IP, prove it, verify the log
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:
  dockmaster audit list --event cert_denied --limit 20
  dockmaster audit who 172.17.0.5 --at 2026-11-24T14:03:00Z --prove holder.json
  dockmaster audit check holder.json
  dockmaster audit verify"
)]
pub(crate) struct AuditArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::ListArgs),
    Who(who::WhoArgs),
    Verify(verify::VerifyArgs),
    Prove(prove::ProveArgs),
    Check(check::CheckArgs),
    Export(export::ExportArgs),
}

/// Runs the subcommand.
pub(crate) fn run(global: &Global, args: AuditArgs) -> Result<(), CliError> {
    match args.command {
        Command::List(args) => block_on(list::run(global, args)),
        Command::Who(args) => block_on(who::run(global, args)),
        Command::Verify(args) => verify::run(global, args),
        Command::Prove(args) => block_on(prove::run(global, args)),
        Command::Check(args) => check::run(global, args),
        Command::Export(args) => block_on(export::run(global, args)),
    }
}
