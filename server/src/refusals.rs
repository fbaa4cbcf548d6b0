//! Refusals are evidence, but a flood of them must not fill the ledger: the first of a kind from a
//! source is an entry at once, the rest of the minute is one entry with their number.

use std::{collections::HashMap, net::IpAddr};

use dockmaster_proto::{event::CertDenied, problem::ProblemCode, time::UnixMs};

/// How long refusals of one kind from one source are gathered.
const WINDOW_MS: u64 = 60_000;
/// How many kinds and sources are told apart; beyond it a new source's refusals are not gathered
/// but dropped until the next flush, which a log line says.
const MAX_SOURCES: usize = 10_000;

/// Refusals of the current minute.
#[derive(Debug, Default)]
pub struct Refusals {
    gathered: HashMap<(IpAddr, ProblemCode), Gathered>,
}

#[derive(Debug)]
struct Gathered {
    since: UnixMs,
    more: u64,
    last: CertDenied,
}

impl Refusals {
    /// Takes up a refusal. The entry to commit at once when it is the first of its kind.
    pub fn record(
        &mut self,
        code: ProblemCode,
        denied: CertDenied,
        now: UnixMs,
    ) -> Option<CertDenied> {
        let key = (denied.source, code);
        if let Some(gathered) = self.gathered.get_mut(&key) {
            gathered.more += 1;
            gathered.last = denied;
            return None;
        }
        if self.gathered.len() >= MAX_SOURCES {
            tracing::warn!(source = %key.0, "refusals from more than {MAX_SOURCES} sources in a minute; this one is not recorded");
            return None;
        }
        self.gathered.insert(
            key,
            Gathered {
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
        self.gathered.retain(|_, gathered| {
            let over = now.since(gathered.since) >= WINDOW_MS;
            if over && gathered.more > 0 {
                entries.push(CertDenied {
                    count: gathered.more,
                    ..gathered.last.clone()
                });
            }
            !over
        });
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
            rule: String::new(),
            hint: String::new(),
        }
    }

    #[test]
    fn a_flood_from_one_source_is_two_entries_a_minute() {
        let mut refusals = Refusals::default();
        assert!(
            refusals
                .record(ProblemCode::NoLease, denied("10.0.0.1"), UnixMs(0))
                .is_some()
        );
        for _ in 0..1000 {
            assert!(
                refusals
                    .record(ProblemCode::NoLease, denied("10.0.0.1"), UnixMs(10))
                    .is_none()
            );
        }
        assert!(
            refusals
                .record(ProblemCode::BadCsr, denied("10.0.0.1"), UnixMs(10))
                .is_some()
        );
        assert!(refusals.flush(UnixMs(59_000)).is_empty());
        let flushed = refusals.flush(UnixMs(61_000));
        assert_eq!(flushed.len(), 1);
        assert_eq!(flushed[0].count, 1000);
        assert!(
            refusals
                .record(ProblemCode::NoLease, denied("10.0.0.1"), UnixMs(62_000))
                .is_some()
        );
    }
}
