//! `dockmaster request approve` and `dockmaster request deny`.

use clap::Args;
use dockmaster_client::Call;
use dockmaster_proto::{
    api::requests::{Denial, HeldRequest},
    id::RequestId,
    route::Route,
};

use super::list::state;
use crate::cli::{Global, error::CliError, output::OutputArgs, remote::Remote, table};

/// Let a request that waits have its certificate
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster request approve 0123456789abcdef
  dockmaster request approve 0123456789abcdef -o json

It is for this key in this run of the container, and for one certificate; renewals go on from that.")]
pub(super) struct ApproveArgs {
    /// The request
    request: RequestId,
    #[command(flatten)]
    output: OutputArgs,
}

/// Say no to a request that waits
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster request deny 0123456789abcdef
  dockmaster request deny 0123456789abcdef --reason 'not before the review'

It is for this run of the container, whatever key it makes. \"request approve\" takes it back.")]
pub(super) struct DenyArgs {
    /// The request
    request: RequestId,
    /// Why, for the container's log and the audit log
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    output: OutputArgs,
}

/// Approves.
pub(super) async fn approve(global: &Global, args: ApproveArgs) -> Result<(), CliError> {
    let call = Call::new(Route::RequestApprove).parameter(args.request.to_string());
    let mut remote = Remote::connect(global).await?;
    let one: HeldRequest = remote.call(&call).await?;
    args.output.print(&one, render)
}

/// Denies.
pub(super) async fn deny(global: &Global, args: DenyArgs) -> Result<(), CliError> {
    let call = Call::new(Route::RequestDeny)
        .parameter(args.request.to_string())
        .json(&Denial {
            reason: args.reason,
        });
    let mut remote = Remote::connect(global).await?;
    let one: HeldRequest = remote.call(&call).await?;
    args.output.print(&one, render)
}

fn render(one: &HeldRequest) -> String {
    let held = &one.held;
    let text = format!(
        "request {} of {} ({}) is {}",
        held.request,
        held.name,
        table::short_id(&held.container),
        state(one)
    );
    table::one_line(&text)
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::{api::requests::Decision, time::UnixMs};

    use super::*;
    use crate::cli::request::example;

    #[test]
    fn a_decision_names_who_is_meant_and_who_decided() {
        let decision = Decision::Denied {
            operator: "ada".parse().unwrap(),
            at_ms: UnixMs(0),
            reason: "not yet".into(),
        };
        let one = HeldRequest {
            decision: Some(decision),
            ..example()
        };
        assert_eq!(
            render(&one),
            "request 1212121212121212 of web-1 (abababababab) is denied by ada: not yet"
        );
    }
}
