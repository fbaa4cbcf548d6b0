//! `dockmaster request show`.

use clap::Args;
use dockmaster_client::Call;
use dockmaster_proto::{api::requests::HeldRequest, event::Evidence, id::RequestId, route::Route};

use super::list::state;
use crate::cli::{Global, error::CliError, output::OutputArgs, remote::Remote, table};

/// Show everything about a request that waits
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster request show 0123456789abcdef
  dockmaster request show 0123456789abcdef -o yaml")]
pub(super) struct ShowArgs {
    /// The request
    request: RequestId,
    #[command(flatten)]
    output: OutputArgs,
}

/// Shows it.
pub(super) async fn run(global: &Global, args: ShowArgs) -> Result<(), CliError> {
    let call = Call::new(Route::Request).parameter(args.request.to_string());
    let mut remote = Remote::connect(global).await?;
    let one: HeldRequest = remote.call(&call).await?;
    args.output.print(&one, render)
}

pub(super) fn render(one: &HeldRequest) -> String {
    let held = &one.held;
    let evidence = held.evidence.iter().map(Evidence::kind);
    table::fields([
        ("request", held.request.to_string()),
        ("state", state(one)),
        ("container", held.container.to_string()),
        ("name", held.name.clone()),
        ("image", held.image.clone()),
        ("image digest", held.image_digest.clone()),
        ("host", held.host.to_string()),
        ("started", held.started_at_ms.to_string()),
        ("from", held.source.to_string()),
        (
            "addresses",
            table::joined(held.addresses.iter().map(|held| &held.address)),
        ),
        ("key", format!("sha256:{}", held.spki_sha256)),
        ("evidence", table::joined(evidence)),
        ("rule", held.rule.clone()),
        ("reason", held.reason.clone()),
        ("policy", format!("sha256:{}", held.policy_sha256)),
        ("held", format!("{} (entry {})", one.held_at_ms, one.index)),
        ("forgotten", held.expires_at_ms.to_string()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::request::example;

    #[test]
    fn a_request_is_shown_with_what_an_operator_has_to_know() {
        let text = render(&example());
        for line in [
            "state         waits\n",
            "addresses     h1/bridge/172.17.0.2\n",
            "evidence      host\n",
            "reason        databases are looked at\n",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
    }
}
