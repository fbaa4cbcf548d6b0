//! `dockmaster request list`.

use clap::Args;
use dockmaster_client::Call;
use dockmaster_proto::{
    api::requests::{Decision, HeldRequest, RequestList},
    route::Route,
};

use crate::cli::{Global, error::CliError, output::OutputArgs, remote::Remote, table};

/// List requests that wait for an operator, oldest first
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster request list
  dockmaster request list -o json

Denied ones stand here too, until the container ends or their time does.")]
pub(super) struct ListArgs {
    #[command(flatten)]
    output: OutputArgs,
}

/// Lists them.
pub(super) async fn run(global: &Global, args: ListArgs) -> Result<(), CliError> {
    let mut remote = Remote::connect(global).await?;
    let list: RequestList = remote.call(&Call::new(Route::Requests)).await?;
    args.output.print(&list, render)
}

fn render(list: &RequestList) -> String {
    let rows = list.requests.iter().map(row);
    let heading = [
        "REQUEST",
        "NAME",
        "CONTAINER",
        "FROM",
        "IMAGE",
        "RULE",
        "SINCE",
        "STATE",
    ];
    table::columns(heading, rows, "no requests wait")
}

fn row(one: &HeldRequest) -> [String; 8] {
    let HeldRequest {
        held, held_at_ms, ..
    } = one;
    [
        held.request.to_string(),
        held.name.clone(),
        table::short_id(&held.container),
        held.source.to_string(),
        held.image.clone(),
        held.rule.clone(),
        held_at_ms.to_string(),
        state(one),
    ]
}

/// How it stands, in words.
pub(crate) fn state(one: &HeldRequest) -> String {
    match &one.decision {
        None => "waits".to_owned(),
        Some(Decision::Approved { operator, .. }) => format!("approved by {operator}"),
        Some(Decision::Denied {
            operator, reason, ..
        }) if reason.is_empty() => format!("denied by {operator}"),
        Some(Decision::Denied {
            operator, reason, ..
        }) => format!("denied by {operator}: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::request::example;

    #[test]
    fn a_request_is_a_row() {
        let list = RequestList {
            requests: vec![example()],
        };
        assert_eq!(
            render(&list),
            "REQUEST           NAME   CONTAINER     FROM        IMAGE       RULE  SINCE                     STATE\n\
             1212121212121212  web-1  abababababab  172.17.0.2  nginx:1.27  back  2026-11-24T14:03:01.000Z  waits"
        );
    }
}
