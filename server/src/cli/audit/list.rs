//! `dockmaster audit list`.

use std::net::IpAddr;

use clap::{Args, builder::PossibleValuesParser};
use dockmaster_client::Call;
use dockmaster_proto::{
    api::audit::{EntryList, EntryQuery, IndexedEntry},
    event::Event,
    id::Serial,
    route::Route,
    time::UnixMs,
};

use super::summary::summary;
use crate::cli::{
    Global, cert::next_page, error::CliError, output::OutputArgs, reference, remote::Remote, table,
};

/// The most entries that the master gives at once.
const MAX_PAGE: u32 = 1000;

/// List entries of the audit log, newest first
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster audit list --limit 20
  dockmaster audit list --ip 172.17.0.5 --since 2026-11-24T14:00:00Z --until 2026-11-24T15:00:00Z
  dockmaster audit list --event cert_issued --node web-1 -o json

Every condition given must hold. Times are RFC 3339 or milliseconds since 1970.")]
pub(super) struct ListArgs {
    /// About this IP
    #[arg(long)]
    ip: Option<IpAddr>,
    /// About this node: a container ID or its beginning, or a container name
    #[arg(long, value_parser = reference::node)]
    node: Option<String>,
    /// About this certificate
    #[arg(long)]
    serial: Option<Serial>,
    /// Of this kind
    #[arg(long, value_parser = PossibleValuesParser::new(Event::NAMES))]
    event: Option<String>,
    /// Not before this time
    #[arg(long, value_name = "TIME")]
    since: Option<UnixMs>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    until: Option<UnixMs>,
    /// Only entries below this index
    #[arg(long, value_name = "INDEX")]
    before: Option<u64>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    output: OutputArgs,
}

/// Lists entries, page after page up to the limit.
pub(super) async fn run(global: &Global, args: ListArgs) -> Result<(), CliError> {
    let mut remote = Remote::connect(global).await?;
    let limit = args.limit;
    let mut query = EntryQuery {
        ip: args.ip,
        node: args.node,
        serial: args.serial,
        event: args.event,
        since: args.since,
        until: args.until,
        before: args.before,
        limit: None,
    };
    let mut list = EntryList {
        entries: vec![],
        next_before: None,
    };
    while let Some(page) = next_limit(limit, list.entries.len()) {
        query.limit = Some(page);
        let page: EntryList = remote
            .call(&Call::new(Route::Audit).query(query.to_pairs()))
            .await?;
        list.entries.extend(page.entries);
        list.next_before = next_page(query.before, page.next_before)?;
        query.before = list.next_before;
        if query.before.is_none() {
            break;
        }
    }
    args.output.print(&list, render)
}

/// How many entries to ask for next; `None` when there are enough.
fn next_limit(limit: u32, have: usize) -> Option<u32> {
    let have = u32::try_from(have).unwrap_or(u32::MAX);
    let lacking = limit.saturating_sub(have);
    (lacking > 0).then_some(lacking.min(MAX_PAGE))
}

fn render(list: &EntryList) -> String {
    let heading = ["INDEX", "TIME", "EVENT", "ACTOR", "DETAIL"];
    let mut text = table::columns(heading, list.entries.iter().map(row), "no entries");
    if let Some(before) = list.next_before {
        text.push_str(&format!("\nthere are more: --before {before}"));
    }
    text
}

fn row(entry: &IndexedEntry) -> [String; 5] {
    let IndexedEntry { index, entry } = entry;
    [
        index.to_string(),
        entry.ts_ms.to_string(),
        entry.event.name().to_owned(),
        entry.actor.clone(),
        summary(&entry.event),
    ]
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::{
        event::{CertDenied, ENTRY_VERSION, Entry},
        id::ContainerId,
    };

    use super::*;

    #[test]
    fn pages_are_as_large_as_the_master_allows_and_end_at_the_limit() {
        assert_eq!(next_limit(100, 0), Some(100));
        assert_eq!(next_limit(2500, 0), Some(1000));
        assert_eq!(next_limit(2500, 2000), Some(500));
        assert_eq!(next_limit(2500, 2500), None);
        assert_eq!(next_limit(1, 5), None);
    }

    #[test]
    fn an_entry_is_a_row_and_the_end_says_how_to_go_on() {
        let entry = Entry {
            v: ENTRY_VERSION,
            ts_ms: UnixMs(1_795_528_980_123),
            event: Event::CertDenied(CertDenied {
                source: "172.17.0.9".parse().unwrap(),
                container: Some(ContainerId::from_bytes([0xab; 32])),
                reason: "no-lease".into(),
                detail: "no open lease covers 172.17.0.9".into(),
                count: 2,
                relay: None,
                rule: String::new(),
                hint: String::new(),
            }),
            request_id: "r1".into(),
            actor: "anyone@172.17.0.9".into(),
            master: "m1".parse().unwrap(),
        };
        let list = EntryList {
            entries: vec![IndexedEntry { index: 7, entry }],
            next_before: Some(7),
        };
        assert_eq!(
            render(&list),
            "INDEX  TIME                      EVENT        ACTOR              DETAIL\n\
             7      2026-11-24T14:03:00.123Z  cert_denied  anyone@172.17.0.9  172.17.0.9 (abababababab): no-lease: no open lease covers 172.17.0.9 (2 times)\n\
             there are more: --before 7"
        );
    }
}
