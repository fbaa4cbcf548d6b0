//! `dockmaster classify plan`.

use clap::Args;
use dockmaster_proto::{api::documents::Plan, route::Route};

use super::{DocumentArgs, render::render};
use crate::cli::{Global, error::CliError, output::OutputArgs, remote::Remote};

/// Show what a classification would change, without changing anything
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster classify plan -f classification.yaml
  dockmaster classify plan -f classification.yaml -o json")]
pub(super) struct PlanArgs {
    #[command(flatten)]
    document: DocumentArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Fetches and shows the plan.
pub(super) async fn run(global: &Global, args: PlanArgs) -> Result<(), CliError> {
    let proposal = args.document.read(String::new())?;
    let mut remote = Remote::connect(global).await?;
    let plan: Plan = remote.send(Route::ClassificationPlan, &proposal).await?;
    args.output.print(&plan, render)
}
