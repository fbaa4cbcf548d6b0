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
    use dockmaster_proto::{
        api::documents::ClassificationProposal, id::Revision, problem::ProblemCode,
    };

    use super::*;
    use crate::cli::{
        classify::render::tests::plan,
        remote::block_on,
        testing::{Answer, Stub},
    };

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

    #[test]
    fn what_is_applied_builds_on_the_plan_that_was_shown() {
        let stub = Stub::start(|asked| match asked.what.as_str() {
            "POST /v1/classification/plan" => Answer::json(&plan()),
            "POST /v1/classification" => Answer::json(&Applied {
                revision: Revision(4),
                nodes_changed: 2,
            }),
            _ => Answer::problem(ProblemCode::NotFound),
        });
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("classification.yaml");
        std::fs::write(&file, "groups: []\n").unwrap();
        let args = ApplyArgs {
            document: DocumentArgs { file },
            message: "why".into(),
            yes: true,
        };
        block_on(run(&stub.global, args)).unwrap();
        let proposals: Vec<ClassificationProposal> = stub
            .asked()
            .iter()
            .map(|asked| serde_json::from_slice(&asked.body).unwrap())
            .collect();
        let bases: Vec<_> = proposals.iter().map(|proposal| proposal.base).collect();
        assert_eq!(bases, [None, Some(plan().base)]);
        assert_eq!(proposals[1].document, "groups: []\n");
        assert_eq!(proposals[1].message, "why");
    }

    #[test]
    fn a_plan_that_is_refused_changes_nothing() {
        let stub = Stub::start(|_| Answer::problem(ProblemCode::InvalidDocument));
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("classification.yaml");
        std::fs::write(&file, "grups: []\n").unwrap();
        let args = ApplyArgs {
            document: DocumentArgs { file },
            message: String::new(),
            yes: true,
        };
        let error = block_on(run(&stub.global, args)).unwrap_err();
        assert_eq!(error.to_string(), "error: detail\n  hint: hint");
        assert_eq!(stub.asked().len(), 1);
    }
}
