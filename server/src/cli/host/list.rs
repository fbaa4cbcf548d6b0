//! `dockmaster host list`.

use clap::Args;
use dockmaster_client::Call;
use dockmaster_proto::{
    api::hosts::{HostList, HostSummary, WatchState},
    event::Reach,
    route::Route,
};

use crate::cli::{Global, error::CliError, output::OutputArgs, remote::Remote, table};

/// List the hosts that vouch for containers
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster host list
  dockmaster host list -o json")]
pub(crate) struct ListArgs {
    #[command(flatten)]
    output: OutputArgs,
}

/// Lists hosts.
pub(crate) async fn run(global: &Global, args: ListArgs) -> Result<(), CliError> {
    let mut remote = Remote::connect(global).await?;
    let hosts: HostList = remote.call(&Call::new(Route::Hosts)).await?;
    args.output.print(&hosts, render)
}

fn render(list: &HostList) -> String {
    let heading = [
        "NAME",
        "STATE",
        "SINCE",
        "CONTAINERS",
        "RANGES",
        "REACHED BY",
        "ENROLLED",
        "CERTIFICATE UNTIL",
    ];
    let mut text = table::columns(heading, list.hosts.iter().map(row), "no hosts");
    for host in list.hosts.iter().filter(|host| !host.reason.is_empty()) {
        // A reason is the host's word, or that of its engine.
        let reason = table::one_line(&host.reason);
        text.push_str(&format!("\n{} is lost: {reason}", host.name));
    }
    text
}

fn row(host: &HostSummary) -> [String; 8] {
    let state = match host.state {
        WatchState::Watched => "watched",
        WatchState::Lost => "lost",
        WatchState::Unseen => "unseen",
    };
    let reach = match (host.enrolled_at_ms, host.reach) {
        (None, _) => "this machine",
        (Some(_), Reach::Relay) => "relay",
        (Some(_), Reach::Direct) => "relay, direct",
    };
    let ranges = match &host.cidrs[..] {
        [] => "any".to_owned(),
        cidrs => table::joined(cidrs),
    };
    [
        host.name.to_string(),
        state.to_owned(),
        table::time(host.since_ms),
        host.containers.to_string(),
        ranges,
        reach.to_owned(),
        table::time(host.enrolled_at_ms),
        table::time(host.not_after_ms),
    ]
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::time::UnixMs;

    use super::*;

    #[test]
    fn a_host_is_a_row_and_why_it_is_lost_stands_below() {
        let host = HostSummary {
            name: "h2".parse().unwrap(),
            enrolled_at_ms: Some(UnixMs(1_795_528_980_123)),
            state: WatchState::Lost,
            since_ms: Some(UnixMs(1_795_528_980_123)),
            reason: "the stream broke".into(),
            containers: 3,
            cidrs: vec!["172.17.0.0/16".parse().unwrap()],
            reach: Reach::Relay,
            not_after_ms: Some(UnixMs(1_795_528_980_123)),
        };
        let at = "2026-11-24T14:03:00.123Z";
        assert_eq!(
            render(&HostList { hosts: vec![host] }),
            format!(
                "NAME  STATE  SINCE                     CONTAINERS  RANGES         REACHED BY  ENROLLED                  CERTIFICATE UNTIL\n\
                 h2    lost   {at}  3           172.17.0.0/16  relay       {at}  {at}\n\
                 h2 is lost: the stream broke"
            )
        );
    }
}
