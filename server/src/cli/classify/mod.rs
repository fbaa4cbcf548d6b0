//! `dockmaster classify`: which nodes get which classes.

mod apply;
mod plan;
mod render;
mod show;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use dockmaster_proto::api::documents::ClassificationProposal;

use super::{Global, error::CliError, files, remote::block_on};

/// Plan, apply and show the classification
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:
  dockmaster classify plan -f classification.yaml
  dockmaster classify apply -f classification.yaml -m 'front tier says hello'"
)]
pub(crate) struct ClassifyArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Plan(plan::PlanArgs),
    Apply(apply::ApplyArgs),
    Show(show::ShowArgs),
}

/// Runs the subcommand.
pub(crate) fn run(global: &Global, args: ClassifyArgs) -> Result<(), CliError> {
    match args.command {
        Command::Plan(args) => block_on(plan::run(global, args)),
        Command::Apply(args) => block_on(apply::run(global, args)),
        Command::Show(args) => block_on(show::run(global, args)),
    }
}

/// The file option of `plan` and `apply`.
#[derive(Debug, Args)]
struct DocumentArgs {
    /// The classification
    #[arg(short, long, value_name = "FILE")]
    file: PathBuf,
}

impl DocumentArgs {
    /// Reads the file as a proposal.
    ///
    /// # Errors
    /// When it cannot be read or is no text.
    fn read(&self, message: String) -> Result<ClassificationProposal, CliError> {
        Ok(ClassificationProposal {
            document: files::read_text(&self.file)?,
            file: display(&self.file),
            message,
            base: None,
        })
    }
}

fn display(path: &Path) -> String {
    path.display().to_string()
}
