//! `dockmaster classify apply`.

use clap::Args;
use dockmaster_proto::{
    api::documents::{Applied, Plan},
    route::Route,
};

use super::{DocumentArgs, render::render};
use crate::cli::{
    Global,
    error::CliError,
    output,
    prompt::{Consent, confirm},
    remote::Remote,
    table,
};

/// More than this share of the nodes, in percent, is not touched without asking.
const ASK_ABOVE_PERCENT: u64 = 20;

/// Put a classification in force, after showing what it changes
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster classify apply -f classification.yaml -m 'two more workers'
  dockmaster classify apply -f classification.yaml --yes

Asks when the change touches more than 20 % of the nodes.")]
pub(super) struct ApplyArgs {
    #[command(flatten)]
    document: DocumentArgs,
    /// Why
    #[arg(short, long, value_name = "MSG", default_value = "")]
    message: String,
    /// Do not ask, however many nodes it touches
    #[arg(long)]
    yes: bool,
}

/// Shows the plan, asks where it touches much, and applies it.
pub(super) async fn run(global: &Global, args: ApplyArgs) -> Result<(), CliError> {
    let mut proposal = args.document.read(args.message)?;
    let mut remote = Remote::connect(global).await?;
    let plan: Plan = remote.send(Route::ClassificationPlan, &proposal).await?;
    output::print(&render(&plan))?;
    if let Some(question) = question(&plan) {
        confirm(&question, Consent::from_flag(args.yes))?;
    }
    // What is applied is what was shown: a change by someone else in between is a conflict.
    proposal.base = Some(plan.base);
    let applied: Applied = remote.send(Route::ClassificationApply, &proposal).await?;
    output::print(&done(&applied))
}

/// What to ask before a plan is applied; `None` when it touches too few nodes to ask.
fn question(plan: &Plan) -> Option<String> {
    let touched = plan.nodes_changed() as u64 + plan.failures.len() as u64;
    let much = touched * 100 > plan.nodes * ASK_ABOVE_PERCENT;
    let (nodes, failing) = (plan.nodes, plan.failures.len());
    much.then(|| match failing {
        0 => format!("this touches {touched} of {nodes} nodes"),
        _ => format!(
            "this touches {touched} of {nodes} nodes, {failing} of which would get no catalog"
        ),
    })
}

fn done(applied: &Applied) -> String {
    let nodes = usize::try_from(applied.nodes_changed).unwrap_or(usize::MAX);
    format!(
        "classification {} is in force; {} changed",
        applied.revision,
        table::count(nodes, "catalog")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::classify::render::tests::plan;

    #[test]
    fn only_a_change_of_more_than_a_fifth_of_the_nodes_is_asked_about() {
        let mut plan = plan();
        assert_eq!(plan.nodes_changed(), 2);
        plan.failures.clear();
        plan.nodes = 10;
        assert_eq!(question(&plan), None);
        plan.nodes = 9;
        assert_eq!(question(&plan).unwrap(), "this touches 2 of 9 nodes");
    }

    #[test]
    fn nodes_that_would_lose_their_catalog_count_as_touched() {
        let mut plan = plan();
        plan.nodes = 10;
        assert_eq!(
            question(&plan).unwrap(),
            "this touches 3 of 10 nodes, 1 of which would get no catalog"
        );
    }
}
