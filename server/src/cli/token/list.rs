//! `dockmaster token list`.

use std::collections::BTreeMap;

use clap::Args;
use dockmaster_client::Call;
use dockmaster_proto::{
    api::tokens::{TokenList, TokenState, TokenSummary},
    route::Route,
};

use crate::cli::{Global, error::CliError, output::OutputArgs, remote::Remote, table};

/// List join tokens that live, or ended within the last hour
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster token list
  dockmaster token list -o json")]
pub(super) struct ListArgs {
    #[command(flatten)]
    output: OutputArgs,
}

/// Lists tokens.
pub(super) async fn run(global: &Global, args: ListArgs) -> Result<(), CliError> {
    let mut remote = Remote::connect(global).await?;
    let list: TokenList = remote.call(&Call::new(Route::Tokens)).await?;
    args.output.print(&list, render)
}

fn render(list: &TokenList) -> String {
    let heading = [
        "ID", "LABELS", "NETWORK", "LEFT", "STATE", "UNTIL", "BY", "MACHINES",
    ];
    table::columns(heading, list.tokens.iter().map(row), "no tokens")
}

fn row(token: &TokenSummary) -> [String; 8] {
    let machines = token.machines.iter().map(|machine| {
        let waits = if machine.confirmed { "" } else { " (waits)" };
        format!("{}{waits}", table::short_id(&machine.node))
    });
    [
        token.id.to_string(),
        labels(&token.labels),
        token.network.to_string(),
        format!("{} of {}", token.uses_left, token.uses),
        state(token.state).to_owned(),
        token.until_ms.to_string(),
        token.created_by.clone(),
        table::joined(machines),
    ]
}

/// Labels as they were given.
pub(super) fn labels(labels: &BTreeMap<String, String>) -> String {
    let pairs = labels.iter().map(|(key, value)| format!("{key}={value}"));
    table::joined(pairs)
}

const fn state(state: TokenState) -> &'static str {
    match state {
        TokenState::Live => "live",
        TokenState::UsedUp => "used up",
        TokenState::Expired => "expired",
        TokenState::Revoked => "revoked",
        TokenState::Restored => "of before a restore",
    }
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::{
        api::tokens::TokenMachine,
        id::{ContainerId, TokenId},
        time::UnixMs,
    };

    use super::*;

    #[test]
    fn a_token_is_a_row_without_its_secret() {
        let token = TokenSummary {
            id: TokenId::from_bytes([0x1f; 8]),
            labels: BTreeMap::from([("role".into(), "db".into())]),
            network: "token/direct".parse().unwrap(),
            uses: 2,
            uses_left: 1,
            machines: vec![TokenMachine {
                node: ContainerId::from_bytes([0xab; 32]),
                confirmed: false,
            }],
            until_ms: UnixMs(1_795_528_980_000),
            created_at_ms: UnixMs(1_795_528_380_000),
            created_by: "/operator/ada".into(),
            state: TokenState::Live,
        };
        assert_eq!(
            render(&TokenList {
                tokens: vec![token]
            }),
            "ID                LABELS   NETWORK       LEFT    STATE  UNTIL                     BY             MACHINES\n\
             1f1f1f1f1f1f1f1f  role=db  token/direct  1 of 2  live   2026-11-24T14:03:00.000Z  /operator/ada  abababababab (waits)"
        );
    }
}
