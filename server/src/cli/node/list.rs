//! `dockmaster node list`.

use clap::Args;
use dockmaster_client::Call;
use dockmaster_proto::{
    api::nodes::{NodeList, NodeState, NodeSummary},
    route::Route,
    selector::Selector,
};

use crate::cli::{Global, error::CliError, output::OutputArgs, remote::Remote, table};

/// List nodes
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster node list
  dockmaster node list -l 'role=web, @ip in (172.17.0.0/16)' -o json")]
pub(crate) struct ListArgs {
    /// Only nodes that this selector matches
    #[arg(short = 'l', long, value_name = "SELECTOR")]
    selector: Option<Selector>,
    /// Also nodes whose container is gone
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Lists nodes.
pub(crate) async fn run(global: &Global, args: ListArgs) -> Result<(), CliError> {
    let query = [
        (
            "selector",
            args.selector.map(|selector| selector.to_string()),
        ),
        ("all", args.all.then(|| "true".to_owned())),
    ];
    let mut remote = Remote::connect(global).await?;
    let nodes: NodeList = remote.call(&Call::new(Route::Nodes).query(query)).await?;
    args.output.print(&nodes, render)
}

fn render(list: &NodeList) -> String {
    let heading = [
        "ID",
        "NAME",
        "IP",
        "HOST",
        "STATE",
        "IMAGE",
        "CATALOG",
        "LAST APPLY",
    ];
    table::columns(heading, list.nodes.iter().map(row), "no nodes")
}

fn row(node: &NodeSummary) -> [String; 8] {
    let view = &node.view;
    [
        table::short_id(&view.id),
        view.name.clone(),
        table::joined(view.addresses.iter().map(|address| address.ip)),
        view.host.to_string(),
        state(node.state).to_owned(),
        view.image.clone(),
        node.catalog
            .as_ref()
            .map(table::short_digest)
            .unwrap_or_default(),
        node.last_apply.clone().unwrap_or_default(),
    ]
}

/// A state as the API writes it.
pub(super) const fn state(state: NodeState) -> &'static str {
    match state {
        NodeState::Enrolled => "enrolled",
        NodeState::Running => "running",
        NodeState::Gone => "gone",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::node::example;

    #[test]
    fn a_node_is_a_row() {
        let list = NodeList {
            nodes: vec![example()],
        };
        assert_eq!(
            render(&list),
            "ID            NAME   IP          HOST  STATE     IMAGE       CATALOG       LAST APPLY\n\
             abababababab  web-1  172.17.0.2  h1    enrolled  nginx:1.27  121212121212  changed"
        );
    }
}
