//! Refusals are evidence, but a flood of them must not fill the ledger: the first of a kind from a
//! source is an entry at once, the rest of the minute is one entry with their number.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
};

use dockmaster_proto::{event::CertDenied, id::Name, problem::ProblemCode, time::UnixMs};

use crate::origin::Group;

/// How long refusals of one kind from one source are gathered.
const WINDOW_MS: u64 = 60_000;
/// How many kinds and sources are told apart; beyond it a new source's refusals are not gathered
/// but dropped until the next flush, which a log line says.
const MAX_SOURCES: usize = 10_000;

/// How many sources of a group are told apart. The rest of its refusals are gathered together.
const MAX_OF_GROUP: usize = 200;

/// Refusals of the current minute.
#[derive(Debug, Default)]
pub struct Refusals {
    gathered: HashMap<(Option<Name>, IpAddr, ProblemCode), Gathered>,
    /// How many of them are of each group.
    of_group: HashMap<Group, usize>,
}

#[derive(Debug)]
struct Gathered {
    group: Option<Group>,
    since: UnixMs,
    more: u64,
    last: CertDenied,
}

impl Refusals {
    /// Takes up a refusal of a source that is of this group. The entry to commit at once when it is the
    /// first of its kind.
    pub fn record(
        &mut self,
        code: ProblemCode,
        denied: CertDenied,
        group: Option<Group>,
        now: UnixMs,
    ) -> Option<CertDenied> {
        let mut key = (denied.relay.clone(), denied.source, code);
        let of_group = group.as_ref().and_then(|group| self.of_group.get(group));
        let mut denied = denied;
        if of_group.is_some_and(|known| *known >= MAX_OF_GROUP) && !self.gathered.contains_key(&key)
        {
            key.1 = Ipv6Addr::UNSPECIFIED.into();
            // What is gathered here is of many, and must be told of none.
            denied = CertDenied {
                source: key.1,
                container: None,
                detail: format!(
                    "of more than {MAX_OF_GROUP} addresses in a minute, the last of them {}",
                    denied.source
                ),
                ..denied
            };
        }
        if let Some(gathered) = self.gathered.get_mut(&key) {
            gathered.more += 1;
            gathered.last = denied;
            return None;
        }
        if self.gathered.len() >= MAX_SOURCES {
            tracing::warn!(source = %key.1, "refusals from more than {MAX_SOURCES} sources in a minute; this one is not recorded");
            return None;
        }
        if let Some(group) = &group {
            *self.of_group.entry(group.clone()).or_default() += 1;
        }
        self.gathered.insert(
            key,
            Gathered {
                group,
                since: now,
                more: 0,
                last: denied.clone(),
            },
        );
        Some(denied)
    }

    /// The entries for the minutes that are over.
    pub fn flush(&mut self, now: UnixMs) -> Vec<CertDenied> {
        let mut entries = Vec::new();
        let of_group = &mut self.of_group;
        self.gathered.retain(|_, gathered| {
            let over = now.since(gathered.since) >= WINDOW_MS;
            if over && gathered.more > 0 {
                entries.push(CertDenied {
                    count: gathered.more,
                    ..gathered.last.clone()
                });
            }
            let group = gathered.group.as_ref().filter(|_| over);
            if let Some(known) = group.and_then(|group| of_group.get_mut(group)) {
                *known -= 1;
            }
            !over
        });
        of_group.retain(|_, known| *known > 0);
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(source: &str) -> CertDenied {
        CertDenied {
            source: source.parse().unwrap(),
            container: None,
            reason: "no-lease".into(),
            detail: "x".into(),
            count: 1,
            relay: None,
            rule: String::new(),
            hint: String::new(),
        }
    }

    #[test]
    fn a_group_that_has_many_sources_takes_nobody_elses_room() {
        let host: Name = "h2".parse().unwrap();
        for (relay, group) in [
            (Some(host.clone()), Group::Relay(host)),
            (None, Group::Strangers),
        ] {
            let mut refusals = Refusals::default();
            let one = |number: u32| CertDenied {
                relay: relay.clone(),
                ..denied(&std::net::Ipv4Addr::from(0x0A01_0000 + number).to_string())
            };
            let mut record = |denied, group, at| {
                refusals.record(ProblemCode::NoLease, denied, group, UnixMs(at))
            };
            let told =
                (0..30_000).filter(|number| record(one(*number), Some(group.clone()), 0).is_some());
            assert_eq!(told.count(), MAX_OF_GROUP + 1);
            assert!(record(denied("10.0.0.1"), None, 1).is_some());
            let entries = refusals.flush(UnixMs(WINDOW_MS + 1));
            let count: u64 = entries.iter().map(|entry| entry.count).sum();
            assert_eq!(count, 30_000 - MAX_OF_GROUP as u64 - 1, "none is lost");
            let at = UnixMs(WINDOW_MS + 2);
            let told = refusals.record(ProblemCode::NoLease, one(7), Some(group), at);
            assert!(told.is_some(), "a new minute");
        }
    }

    #[test]
    fn a_flood_from_one_source_is_two_entries_a_minute() {
        let mut refusals = Refusals::default();
        assert!(
            refusals
                .record(ProblemCode::NoLease, denied("10.0.0.1"), None, UnixMs(0))
                .is_some()
        );
        for _ in 0..1000 {
            assert!(
                refusals
                    .record(ProblemCode::NoLease, denied("10.0.0.1"), None, UnixMs(10))
                    .is_none()
            );
        }
        assert!(
            refusals
                .record(ProblemCode::BadCsr, denied("10.0.0.1"), None, UnixMs(10))
                .is_some()
        );
        assert!(refusals.flush(UnixMs(59_000)).is_empty());
        let flushed = refusals.flush(UnixMs(61_000));
        assert_eq!(flushed.len(), 1);
        assert_eq!(flushed[0].count, 1000);
        assert!(
            refusals
                .record(
                    ProblemCode::NoLease,
                    denied("10.0.0.1"),
                    None,
                    UnixMs(62_000)
                )
                .is_some()
        );
    }
}
