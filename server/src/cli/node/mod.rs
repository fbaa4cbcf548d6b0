//! `dockmaster node`: the containers that the master knows.

mod label;
mod list;
mod show;
mod why;
mod why_denied;

use clap::{Args, Subcommand};

use super::{Global, error::CliError, remote::block_on};

/// List, show, label and explain nodes
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:
  dockmaster node list -l 'role=web, tier!=front'
  dockmaster node label web-1 tier=front canary-

NODE is a container ID or its beginning, an IP, or a container name."
)]
pub(crate) struct NodeArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::ListArgs),
    Show(show::ShowArgs),
    Label(label::LabelArgs),
    Why(why::WhyArgs),
    WhyDenied(why_denied::WhyDeniedArgs),
}

/// Runs the subcommand.
pub(crate) fn run(global: &Global, args: NodeArgs) -> Result<(), CliError> {
    match args.command {
        Command::List(args) => block_on(list::run(global, args)),
        Command::Show(args) => block_on(show::run(global, args)),
        Command::Label(args) => block_on(label::run(global, args)),
        Command::Why(args) => block_on(why::run(global, args)),
        Command::WhyDenied(args) => block_on(why_denied::run(global, args)),
    }
}

/// A node for the tests of rendering.
#[cfg(test)]
pub(crate) fn example() -> dockmaster_proto::api::nodes::NodeSummary {
    use dockmaster_proto::{
        api::nodes::{NodeState, NodeSummary},
        facts::Limits,
        id::{ContainerId, Digest},
        label::{Labels, Tier},
        node::NodeView,
        time::UnixMs,
    };

    let mut labels = Labels::new();
    labels.set("role", "web", Tier::Host);
    labels.set("tier", "front", Tier::Operator);
    NodeSummary {
        view: NodeView {
            id: ContainerId::from_bytes([0xab; 32]),
            name: "web-1".into(),
            host: "h1".parse().unwrap(),
            image: "nginx:1.27".into(),
            image_digest: format!("sha256:{}", "cd".repeat(32)),
            addresses: vec!["h1/bridge/172.17.0.2".parse().unwrap()],
            labels,
            started_at_ms: UnixMs(1_795_528_980_123),
            limits: Limits {
                memory_bytes: Some(58_720_256),
                cpu_millis: Some(500),
            },
        },
        state: NodeState::Enrolled,
        gone_at_ms: None,
        catalog: Some(Digest::from_bytes([0x12; 32])),
        last_apply: Some("changed".into()),
    }
}
