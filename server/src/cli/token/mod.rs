//! `dockmaster token`: how machines enroll that no container engine vouches for.

mod create;
mod list;
mod revoke;

use clap::{Args, Subcommand};

use super::{Global, error::CliError, remote::block_on};

/// Make, list and revoke join tokens, for virtual machines and engines that nobody watches
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:
  dockmaster token create --label role=db --out db.token
  dockmaster token list
  dockmaster token revoke 0123456789abcdef"
)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Create(create::CreateArgs),
    List(list::ListArgs),
    Revoke(revoke::RevokeArgs),
}

/// Runs the subcommand.
pub(crate) fn run(global: &Global, args: TokenArgs) -> Result<(), CliError> {
    match args.command {
        Command::Create(args) => block_on(create::run(global, args)),
        Command::List(args) => block_on(list::run(global, args)),
        Command::Revoke(args) => block_on(revoke::run(global, args)),
    }
}
