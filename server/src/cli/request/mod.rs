//! `dockmaster request`: requests for a certificate that wait for an operator.

mod decide;
mod list;
mod show;

use clap::{Args, Subcommand};

pub(crate) use list::state;

use super::{Global, error::CliError, remote::block_on};

/// List, show, approve and deny requests for a certificate that wait for an operator
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:
  dockmaster request list
  dockmaster request approve 0123456789abcdef

Which requests wait is the policy's decision: docs/policy.md."
)]
pub(crate) struct RequestArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::ListArgs),
    Show(show::ShowArgs),
    Approve(decide::ApproveArgs),
    Deny(decide::DenyArgs),
}

/// Runs the subcommand.
pub(crate) fn run(global: &Global, args: RequestArgs) -> Result<(), CliError> {
    match args.command {
        Command::List(args) => block_on(list::run(global, args)),
        Command::Show(args) => block_on(show::run(global, args)),
        Command::Approve(args) => block_on(decide::approve(global, args)),
        Command::Deny(args) => block_on(decide::deny(global, args)),
    }
}

/// A held request for the tests of rendering.
#[cfg(test)]
pub(crate) fn example() -> dockmaster_proto::api::requests::HeldRequest {
    use dockmaster_proto::{
        api::requests::HeldRequest,
        event::{Evidence, HeldAddress, RequestHeld},
        id::{ContainerId, Digest, RequestId},
        time::UnixMs,
    };

    HeldRequest {
        held: RequestHeld {
            request: RequestId::from_bytes([0x12; 8]),
            container: ContainerId::from_bytes([0xab; 32]),
            name: "web-1".into(),
            image: "nginx:1.27".into(),
            image_digest: String::new(),
            host: "h1".parse().unwrap(),
            started_at_ms: UnixMs(1_795_528_980_123),
            source: [172, 17, 0, 2].into(),
            addresses: vec![HeldAddress {
                address: "h1/bridge/172.17.0.2".parse().unwrap(),
                epoch: 3,
            }],
            spki_sha256: Digest::from_bytes([0x34; 32]),
            evidence: vec![Evidence::Host {
                host: "h1".parse().unwrap(),
                facts_sha256: Digest::from_bytes([0x56; 32]),
                no_socket: String::new(),
            }],
            rule: "back".into(),
            policy_sha256: Digest::from_bytes([0x78; 32]),
            reason: "databases are looked at".into(),
            expires_at_ms: UnixMs(1_795_615_380_123),
        },
        held_at_ms: UnixMs(1_795_528_981_000),
        index: 7,
        decision: None,
    }
}
