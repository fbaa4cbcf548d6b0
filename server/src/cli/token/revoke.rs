//! `dockmaster token revoke`.

use clap::Args;
use dockmaster_client::Call;
use dockmaster_proto::{api::tokens::RevokedToken, id::TokenId, route::Route};

use crate::cli::{Global, error::CliError, output::OutputArgs, remote::Remote, table};

/// Take a join token back
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster token revoke 0123456789abcdef
  dockmaster token revoke 0123456789abcdef --nodes

Machines that it let in stay, unless --nodes puts them out: their leases close and their certificates
are revoked at once.")]
pub(super) struct RevokeArgs {
    /// The token's ID, as "token list" shows it
    #[arg(value_name = "ID")]
    token: TokenId,
    /// Also put out the machines that it let in
    #[arg(long)]
    nodes: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Takes a token back.
pub(super) async fn run(global: &Global, args: RevokeArgs) -> Result<(), CliError> {
    let mut remote = Remote::connect(global).await?;
    let nodes = args.nodes.then(|| "true".to_owned());
    let call = Call::new(Route::TokenRevoke)
        .parameter(args.token.to_string())
        .query([("nodes", nodes)]);
    let revoked: RevokedToken = remote.call(&call).await?;
    args.output.print(&revoked, render)
}

fn render(revoked: &RevokedToken) -> String {
    let machines = table::count(revoked.evicted.len(), "machine");
    let word = if revoked.was_revoked {
        "was revoked already"
    } else {
        "is revoked"
    };
    format!("token {} {word}, {machines} put out", revoked.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_revoked_before_is_not_told_as_news() {
        let told = |was_revoked| {
            render(&RevokedToken {
                id: TokenId::from_bytes([0x12; 8]),
                evicted: vec![],
                was_revoked,
            })
        };
        assert_eq!(
            told(false),
            "token 1212121212121212 is revoked, 0 machines put out"
        );
        assert_eq!(
            told(true),
            "token 1212121212121212 was revoked already, 0 machines put out"
        );
    }
}
