//! Questions to the ledger: which entries, and who held an address.

use dockmaster_ledger::Ledger;
use dockmaster_proto::{
    api::audit::{Certainty, EntryList, EntryQuery, Holder, HolderQuery, Holders, IndexedEntry},
    event::{Entry, LeaseCause},
    id::ContainerId,
    time::UnixMs,
};
use serde::Deserialize;

use crate::index::{Index, IndexError, LeaseCertificate, LeaseRecord, WatchRecord};

/// Entries of a page where no number is given.
const DEFAULT_LIMIT: u32 = 100;
/// Entries of a page at most.
const MAX_LIMIT: u32 = 1000;
/// How many entries one query looks at; the next page goes on where it stopped.
const MAX_SCANNED: u64 = 200_000;
/// How many certificates of one lease an answer names: the newest.
const MAX_CERTIFICATES: usize = 100;
/// How many entries are read at once.
const CHUNK: u64 = 256;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The ledger's files cannot be read.
    #[error("the ledger cannot be read")]
    Ledger(#[from] dockmaster_ledger::ReadError),
    /// An entry has no time.
    #[error("entry {index} says no time")]
    NoTime {
        /// Its index.
        index: u64,
    },
    /// The index cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// The entries that a query asks for, newest first. `nodes` are the containers that its `node`
/// may mean.
///
/// # Errors
/// When the ledger cannot be read.
pub fn list(
    ledger: &Ledger,
    query: &EntryQuery,
    nodes: Option<&[ContainerId]>,
) -> Result<EntryList, AuditError> {
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, MAX_LIMIT) as usize;
    let size = ledger.head().size;
    let mut end = query.before.unwrap_or(size).min(size);
    if let Some(until) = query.until {
        end = end.min(first_not_before(until, size, |index| {
            time_of(ledger, index)
        })?);
    }
    // Whoever asks for what is newer than a time need not look at what is older.
    let first = match query.since {
        Some(since) => first_not_before(since, size, |index| time_of(ledger, index))?,
        None => 0,
    };
    let floor = end.saturating_sub(MAX_SCANNED).max(first);
    let words = words(query, nodes);
    let mut entries = Vec::new();
    let mut upper = end;
    while upper > floor {
        // Chunks end on bundle borders, so that each bundle is read once.
        let lower = ((upper - 1) / CHUNK * CHUNK).max(floor);
        let mut chunk: Vec<(u64, Entry)> = Vec::new();
        for committed in ledger.entries(lower..upper) {
            let committed = committed?;
            if !may_fit(&committed.entry, &words) {
                continue;
            }
            if let Ok(entry) = serde_json::from_slice(&committed.entry) {
                chunk.push((committed.index, entry));
            }
        }
        for (index, entry) in chunk.into_iter().rev() {
            if fits(query, nodes, &entry) {
                entries.push(IndexedEntry { index, entry });
                if entries.len() == limit {
                    return Ok(EntryList {
                        entries,
                        next_before: (index > first).then_some(index),
                    });
                }
            }
        }
        upper = lower;
    }
    Ok(EntryList {
        entries,
        next_before: (floor > first).then_some(floor),
    })
}

/// The index of the first of `size` entries that is not of before a time. Times grow with the index,
/// so that a handful of entries tells.
fn first_not_before<E>(
    time: UnixMs,
    size: u64,
    time_of: impl Fn(u64) -> Result<UnixMs, E>,
) -> Result<u64, E> {
    let (mut low, mut high) = (0, size);
    while low < high {
        let middle = low + (high - low) / 2;
        if time_of(middle)? < time {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// The time of an entry, of whatever version it is.
fn time_of(ledger: &Ledger, index: u64) -> Result<UnixMs, AuditError> {
    #[derive(Deserialize)]
    struct Head {
        ts_ms: UnixMs,
    }
    let committed = ledger.entry(index)?;
    let head = committed.and_then(|entry| serde_json::from_slice::<Head>(&entry.entry).ok());
    head.map(|head| head.ts_ms)
        .ok_or(AuditError::NoTime { index })
}

/// Of each list, an entry that fits has at least one word in its text. Looking for words takes a
/// fraction of the time that reading an entry does, and few entries fit a question.
fn words(query: &EntryQuery, nodes: Option<&[ContainerId]>) -> Vec<Vec<String>> {
    let one = |word: String| vec![word];
    let event = query.event.as_ref();
    [
        event.map(|event| one(format!("\"{event}\""))),
        query.ip.map(|ip| one(ip.to_canonical().to_string())),
        query.serial.map(|serial| one(format!("\"{serial}\""))),
        nodes.map(|nodes| nodes.iter().map(|node| format!("\"{node}\"")).collect()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn may_fit(entry: &[u8], words: &[Vec<String>]) -> bool {
    // No text, no entry: what follows says so.
    let Ok(text) = std::str::from_utf8(entry) else {
        return true;
    };
    words
        .iter()
        .all(|any| any.iter().any(|word| text.contains(word.as_str())))
}

fn fits(query: &EntryQuery, nodes: Option<&[ContainerId]>, entry: &Entry) -> bool {
    let EntryQuery {
        ip,
        node: _,
        serial,
        event,
        since: _,
        until: _,
        before: _,
        limit: _,
    } = query;
    ip.is_none_or(|ip| entry.event.concerns_ip(ip.to_canonical()))
        && nodes.is_none_or(|nodes| entry.event.container().is_some_and(|id| nodes.contains(id)))
        && serial.is_none_or(|serial| entry.event.serial() == Some(&serial))
        && event
            .as_ref()
            .is_none_or(|event| entry.event.name() == event)
}

/// From here on the clock is said to lag.
const LAG_MS: u64 = 5_000;

/// How far the clock lags behind the newest entry, in milliseconds, when that is worth a word: times
/// of entries only grow, so one of the two was wrong.
#[must_use]
pub fn lag(newest: UnixMs, now: UnixMs) -> Option<u64> {
    Some(newest.since(now)).filter(|lag| *lag > LAG_MS)
}

/// Who held an IP at a time. `newest` is the time of the newest entry.
///
/// # Errors
/// When the index cannot be read.
pub fn who(
    index: &Index,
    query: &HolderQuery,
    newest: UnixMs,
    now: UnixMs,
) -> Result<Holders, AuditError> {
    // Where the clock lags behind the log, it is by the log that things are so now.
    let lag = lag(newest, now);
    let now = now.max(newest);
    let at = query.at.unwrap_or(now);
    let mut holders = Vec::new();
    for lease in index.leases_of_ip(query.ip) {
        let lease = lease?;
        let in_network = query
            .network
            .as_ref()
            .is_none_or(|network| *network == lease.address.network);
        let covers =
            lease.opened_at_ms <= at && lease.closed_at_ms.is_none_or(|closed| at < closed);
        if in_network && covers {
            let certificates = index.certificates_of_lease(&lease, MAX_CERTIFICATES)?;
            holders.push(holder(lease, &certificates));
        }
    }
    let watches = index.watches().collect::<Result<Vec<_>, _>>()?;
    let (certainty, note) = match (holders.first(), lag) {
        (Some(first), _) => (first.certainty, String::new()),
        (None, Some(lag_ms)) => (
            Certainty::Unknown,
            format!(
                "the master's clock lags {} s behind the log, so what was so at that time cannot be told by it",
                lag_ms / 1000
            ),
        ),
        (None, None) => absence(&watches, at, now),
    };
    Ok(Holders {
        ip: query.ip,
        at_ms: at,
        certainty,
        note,
        holders,
    })
}

fn holder(lease: LeaseRecord, certificates: &[LeaseCertificate]) -> Holder {
    let LeaseRecord {
        address,
        epoch,
        container,
        name,
        image,
        host,
        opened_at_ms,
        opened_cause,
        opened_index,
        closed_at_ms,
        closed_cause,
        closed_index,
    } = lease;
    let bounded = opened_cause == LeaseCause::Started
        && !matches!(
            closed_cause,
            Some(LeaseCause::Missing | LeaseCause::HostLost | LeaseCause::HostEvicted)
        );
    let certainty = if bounded {
        Certainty::Held
    } else {
        Certainty::Authorised
    };
    Holder {
        network: address.network,
        container,
        name,
        image,
        host,
        epoch,
        opened_at_ms,
        opened_cause,
        closed_at_ms,
        closed_cause,
        certificates: certificates.iter().map(|of| of.serial).collect(),
        entries: std::iter::once(opened_index)
            .chain(certificates.iter().map(|of| of.index))
            .chain(closed_index)
            .collect(),
        certainty,
    }
}

/// Nobody is known to have held it: because nobody did, or because nobody looked?
fn absence(watches: &[WatchRecord], at: UnixMs, now: UnixMs) -> (Certainty, String) {
    if at > now {
        return (Certainty::Unknown, "that time is yet to come".into());
    }
    if watches
        .iter()
        .any(|watch| watch.since_ms <= at && watch.until_ms.is_none_or(|until| at <= until))
    {
        return (Certainty::Nobody, String::new());
    }
    let before = watches
        .iter()
        .filter_map(|watch| watch.until_ms)
        .filter(|until| *until < at)
        .max();
    let after = watches
        .iter()
        .map(|watch| watch.since_ms)
        .filter(|since| *since > at)
        .min();
    let note = match (before, after) {
        (Some(before), Some(after)) => format!("no host was watched from {before} to {after}"),
        (Some(before), None) => format!("no host has been watched since {before}"),
        (None, Some(after)) => format!("no host was watched before {after}"),
        (None, None) => "no host has ever been watched".into(),
    };
    (Certainty::Unknown, note)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dockmaster_host::Observation;
    use dockmaster_ledger::{Committed, Config, Draft, Proposal, Sink};
    use dockmaster_proto::{
        event::{Event, LabelsChanged},
        label::LabelChange,
    };
    use dockmaster_tlog::note::SigningKey;

    use super::*;
    use crate::{
        state::State,
        testing::{decide, entry, facts, host, id},
    };

    struct Nowhere;

    impl Sink for Nowhere {
        fn apply(&self, _: &[Committed]) {}

        fn persist(&self, _: &[Committed]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
            Ok(())
        }
    }

    /// A log of these events, a millisecond from one to the next.
    async fn logged(events: Vec<Event>) -> (tempfile::TempDir, Ledger) {
        let dir = tempfile::tempdir().unwrap();
        let key = SigningKey::from_seed("example.org/log".parse().unwrap(), &[1; 32]);
        let (ledger, blobs) = (dir.path().join("ledger"), dir.path().join("blobs"));
        let config = Config::new(ledger, blobs, key, Arc::new(|| 0));
        Ledger::create(&config).unwrap();
        let ledger = Ledger::open(config).unwrap().start(Nowhere).unwrap();
        let mut events = events.into_iter().peekable();
        while events.peek().is_some() {
            let drafts = events.by_ref().take(256).map(|event| -> Draft {
                Box::new(move |stamp| {
                    let entry = Entry {
                        ts_ms: UnixMs(stamp.ts_ms),
                        ..entry(stamp.index, event)
                    };
                    serde_json::to_vec(&entry).unwrap()
                })
            });
            let drafts = drafts.collect();
            let blobs = Vec::new();
            ledger.commit(Proposal { drafts, blobs }).await.unwrap();
        }
        (dir, ledger)
    }

    fn labelled(container: u8) -> Event {
        let change = LabelChange::parse(["tier=front"]).unwrap();
        Event::LabelsChanged(LabelsChanged {
            container: id(container),
            change,
        })
    }

    fn up(container: u8, ips: &[&str]) -> Vec<Event> {
        let seen = Observation::Up(facts(container, ips));
        decide(&seen, &host(), &State::default())
    }

    #[tokio::test]
    async fn a_question_finds_its_entries_among_others_and_no_others() {
        let mut events = up(1, &["10.0.0.1"]);
        events.extend(up(2, &["10.0.0.11", "fd00::1"]));
        events.push(labelled(1));
        events.extend((0..600).map(|_| labelled(3)));
        events.extend(up(1, &["10.0.0.1"]));
        let entries: Vec<_> = (0..).zip(events.clone()).collect();
        let (_dir, ledger) = logged(events).await;
        let any = EntryQuery::default();
        let (lease, change) = ("lease_opened", "labels_changed");
        let queries = [
            any.clone(),
            EntryQuery {
                ip: Some("10.0.0.1".parse().unwrap()),
                ..any.clone()
            },
            EntryQuery {
                ip: Some("::ffff:10.0.0.11".parse().unwrap()),
                ..any.clone()
            },
            EntryQuery {
                ip: Some("fd00:0::1".parse().unwrap()),
                ..any.clone()
            },
            EntryQuery {
                ip: Some("10.0.0.9".parse().unwrap()),
                ..any.clone()
            },
            EntryQuery {
                event: Some(lease.to_owned()),
                ..any.clone()
            },
            EntryQuery {
                event: Some(change.to_owned()),
                ..any.clone()
            },
        ];
        for nodes in [
            None,
            Some(vec![id(1)]),
            Some(vec![id(2), id(9)]),
            Some(Vec::new()),
        ] {
            for query in &queries {
                let query = EntryQuery {
                    limit: Some(1_000),
                    ..query.clone()
                };
                let list = list(&ledger, &query, nodes.as_deref()).unwrap();
                let found: Vec<_> = list.entries.iter().map(|entry| entry.index).collect();
                // One by one, with nothing but what an entry says.
                let right = entries.iter().rev().filter(|(index, event)| {
                    fits(&query, nodes.as_deref(), &entry(*index, event.clone()))
                });
                let right: Vec<u64> = right.map(|(index, _)| *index).collect();
                assert_eq!(found, right, "{query:?} {nodes:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_list_ends_at_the_time_that_it_was_asked_from() {
        let (_dir, ledger) = logged((0..600).map(|_| labelled(1)).collect()).await;
        let time = time_of(&ledger, 400).unwrap();
        let from = |event: Option<&str>, limit| {
            let query = EntryQuery {
                since: Some(time),
                event: event.map(str::to_owned),
                limit: Some(limit),
                ..EntryQuery::default()
            };
            let list = list(&ledger, &query, None).unwrap();
            let indexes: Vec<_> = list.entries.iter().map(|entry| entry.index).collect();
            (indexes, list.next_before)
        };
        assert_eq!(from(None, 1_000), ((400..600).rev().collect(), None));
        assert_eq!(from(None, 200), ((400..600).rev().collect(), None));
        assert_eq!(from(None, 150), ((450..600).rev().collect(), Some(450)));
        // Nothing that fits, and nothing older to go on with.
        assert_eq!(from(Some("node_gone"), 10), (vec![], None));
    }

    #[test]
    fn a_time_is_found_among_many_by_looking_at_few() {
        let looked = std::cell::Cell::new(0);
        let time_of = |index: u64| {
            looked.set(looked.get() + 1);
            Ok::<_, ()>(UnixMs(10 * index))
        };
        let find = |time| first_not_before(UnixMs(time), 1_000_000, time_of).unwrap();
        assert_eq!(find(0), 0);
        assert_eq!(find(10), 1);
        assert_eq!(find(11), 2);
        assert_eq!(find(u64::MAX), 1_000_000);
        assert_eq!(first_not_before(UnixMs(5), 0, time_of), Ok(0));
        assert!(looked.get() <= 4 * 21, "{}", looked.get());
    }

    #[test]
    fn a_clock_that_lags_behind_the_log_is_noticed() {
        assert_eq!(lag(UnixMs(10_000), UnixMs(10_000)), None);
        assert_eq!(lag(UnixMs(10_000), UnixMs(5_000)), None);
        assert_eq!(lag(UnixMs(10_000), UnixMs(4_000)), Some(6_000));
        assert_eq!(lag(UnixMs(10_000), UnixMs(90_000)), None);
    }

    #[test]
    fn nobody_is_only_said_of_a_time_that_was_watched() {
        let watch = |since, until: Option<u64>| WatchRecord {
            host: "h1".parse().unwrap(),
            since_ms: UnixMs(since),
            until_ms: until.map(UnixMs),
        };
        let watches = [watch(100, Some(200)), watch(300, None)];
        let at = |at| absence(&watches, UnixMs(at), UnixMs(1000));
        assert_eq!(at(150).0, Certainty::Nobody);
        assert_eq!(at(400).0, Certainty::Nobody);
        let (certainty, note) = at(250);
        assert_eq!(certainty, Certainty::Unknown);
        assert!(
            note.contains("00.200Z to") && note.contains("00.300Z"),
            "{note}"
        );
        assert_eq!(at(50).0, Certainty::Unknown);
        assert_eq!(at(2000).0, Certainty::Unknown);
    }
}
