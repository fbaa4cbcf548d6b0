//! `dockmaster node label`.

use clap::Args;
use dockmaster_client::Call;
use dockmaster_proto::{api::nodes::NodeSummary, label::LabelChange, route::Route};

use crate::cli::{Global, error::CliError, output::OutputArgs, reference, remote::Remote, table};

/// Set and remove an operator's labels of a node
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster node label web-1 tier=front
  dockmaster node label 3f9c0aa1 tier=back canary-

A host's label of the same key shows again when the operator's is removed.")]
pub(crate) struct LabelArgs {
    /// A container ID or its beginning, an IP, or a container name
    #[arg(value_parser = reference::node)]
    node: String,
    /// KEY=VALUE to set, KEY- to remove
    #[arg(required = true, value_name = "KEY=VALUE|KEY-")]
    changes: Vec<String>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Changes labels and shows those of the node afterwards.
pub(crate) async fn run(global: &Global, args: LabelArgs) -> Result<(), CliError> {
    let change = LabelChange::parse(args.changes.iter().map(String::as_str))
        .map_err(|error| CliError::usage(error.to_string(), ""))?;
    let call = Call::new(Route::NodeLabels)
        .parameter(args.node)
        .json(&change);
    let mut remote = Remote::connect(global).await?;
    let node: NodeSummary = remote.call(&call).await?;
    args.output.print(&node, render)
}

fn render(node: &NodeSummary) -> String {
    let rows = node
        .view
        .labels
        .iter()
        .map(|(key, label)| [key.to_owned(), label.value.clone(), label.tier.to_string()]);
    let labels = table::columns(["KEY", "VALUE", "FROM"], rows, "no labels");
    format!(
        "labels of {} ({})\n{labels}",
        table::one_line(&node.view.name),
        table::short_id(&node.view.id)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::node::example;

    #[test]
    fn the_labels_are_shown_with_their_origin() {
        assert_eq!(
            render(&example()),
            "labels of web-1 (abababababab)\n\
             KEY   VALUE  FROM\n\
             role  web    host\n\
             tier  front  operator"
        );
    }
}
