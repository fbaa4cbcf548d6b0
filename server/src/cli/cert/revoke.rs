//! `dockmaster cert revoke` and `cert unban`.

use clap::{ArgGroup, Args};
use dockmaster_client::Call;
use dockmaster_proto::{
    api::certs::{Afterwards, RevocationRequest, RevocationTarget, Revoked},
    id::Serial,
    revocation::RevocationReason,
    route::Route,
};

use crate::cli::{
    Global,
    error::CliError,
    output::{self, OutputArgs},
    prompt::{Consent, confirm},
    reference,
    remote::Remote,
    table,
};

/// End certificates before their time
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true), after_help = "Examples:
  dockmaster cert revoke --node web-1 --reason keyCompromise
  dockmaster cert revoke 0123456789abcdef0123456789abcdef --message 'laptop lost' --yes
  dockmaster cert revoke --node 172.17.0.2 --reason privilegeWithdrawn --ban

A revoked certificate is refused at once, at every request, and is on the revocation list (GET /v1/crl)
within seconds. The container itself MAY ENROLL AGAIN at once, with a new key, as long as its host
vouches for it: so a stolen key is of no use and the container goes on. --ban keeps it from enrolling,
also when it is started again, until \"dockmaster cert unban\".")]
pub(crate) struct RevokeArgs {
    /// The certificate: a container's or an operator's
    #[arg(group = "what")]
    serial: Option<Serial>,
    /// All certificates of this node: a container ID or its beginning, an IP, or a container name
    #[arg(long, group = "what", value_parser = reference::node)]
    node: Option<String>,
    /// Why, by its name in RFC 5280: unspecified, keyCompromise, affiliationChanged, superseded, cessationOfOperation, privilegeWithdrawn
    #[arg(long, default_value_t, hide_default_value = true)]
    reason: RevocationReason,
    /// Why, in words, for the log
    #[arg(short, long, default_value = "", hide_default_value = true)]
    message: String,
    /// Keep the container from enrolling again
    #[arg(long)]
    ban: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Let a banned node enroll again
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster cert unban web-1")]
pub(crate) struct UnbanArgs {
    /// A container ID or its beginning, an IP, or a container name
    #[arg(value_parser = reference::node)]
    node: String,
}

/// Revokes.
pub(crate) async fn revoke(global: &Global, args: RevokeArgs) -> Result<(), CliError> {
    let target = match (args.serial, args.node) {
        (Some(serial), _) => RevocationTarget::Serial(serial),
        (None, Some(node)) => RevocationTarget::Node(node),
        (None, None) => {
            return Err(CliError::usage(
                "it is not said what to revoke",
                "give a serial number or --node NODE",
            ));
        }
    };
    let afterwards = if args.ban {
        Afterwards::Banned
    } else {
        Afterwards::MayEnroll
    };
    let mut remote = Remote::connect(global).await?;
    confirm(&question(&target, afterwards), Consent::from_flag(args.yes))?;
    let request = RevocationRequest {
        target,
        reason: args.reason,
        message: args.message,
        afterwards,
    };
    let revoked: Revoked = remote.send(Route::Revoke, &request).await?;
    args.output.print(&revoked, render)
}

/// Lifts a ban.
pub(crate) async fn unban(global: &Global, args: UnbanArgs) -> Result<(), CliError> {
    let mut remote = Remote::connect(global).await?;
    let done = format!("{} may enroll again", table::one_line(&args.node));
    let call = Call::new(Route::Unban).parameter(args.node);
    remote.tell(&call).await?;
    output::print(&done)
}

fn question(target: &RevocationTarget, afterwards: Afterwards) -> String {
    let what = match target {
        RevocationTarget::Serial(serial) => format!("certificate {serial}"),
        RevocationTarget::Node(node) => format!("every certificate of node {node}"),
    };
    let then = match afterwards {
        Afterwards::MayEnroll => "a container that runs enrolls again",
        Afterwards::Banned => "the container gets no other until it is unbanned",
    };
    format!("this ends {what} for good; {then}")
}

fn render(revoked: &Revoked) -> String {
    let name = table::one_line(&revoked.name);
    let mut lines: Vec<String> = revoked
        .serials
        .iter()
        .map(|serial| format!("revoked {serial} of {name}"))
        .collect();
    lines.push(match (revoked.afterwards, revoked.container) {
        (Afterwards::Banned, _) => {
            format!("{name} is banned; \"dockmaster cert unban\" lifts it")
        }
        (Afterwards::MayEnroll, Some(_)) => {
            format!("{name} may enroll again with a new key; --ban would keep it from that")
        }
        (Afterwards::MayEnroll, None) => format!("operator {name} needs another certificate"),
    });
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::id::ContainerId;

    use super::*;

    fn revoked(afterwards: Afterwards) -> Revoked {
        Revoked {
            serials: vec![Serial::from_bytes([0x1f; 16])],
            container: Some(ContainerId::from_bytes([1; 32])),
            name: "web-1".into(),
            afterwards,
        }
    }

    #[test]
    fn it_is_said_whether_the_container_may_come_back() {
        let serial = "1f".repeat(16);
        assert_eq!(
            render(&revoked(Afterwards::MayEnroll)),
            format!(
                "revoked {serial} of web-1\n\
                 web-1 may enroll again with a new key; --ban would keep it from that"
            )
        );
        let banned = render(&revoked(Afterwards::Banned));
        assert!(banned.contains("web-1 is banned; "), "{banned}");
    }

    #[test]
    fn the_question_says_what_follows() {
        let target = RevocationTarget::Node("web-1".into());
        assert_eq!(
            question(&target, Afterwards::Banned),
            "this ends every certificate of node web-1 for good; the container gets no other until it is unbanned"
        );
    }
}
