//! Why a node or an IP got no certificate.

use std::{collections::BTreeSet, net::IpAddr};

use dockmaster_proto::{
    api::denials::{Foresight, Refusals, WhyDenied},
    id::ContainerId,
    problem::{Problem, ProblemCode},
    time::UnixMs,
};
use http::StatusCode;

use super::{Api, Reply, Request, problem, reply};
use crate::{
    enrollment::{ABOUT_HELD, next_step},
    env,
    index::{DenialRecord, HELD, IndexError},
};

/// How many entries of each IP and container are looked at, the newest first.
const MAX_LOOKED_AT: usize = 500;

impl Api {
    pub(super) fn why_denied(&self, request: &Request) -> Result<Reply, Problem> {
        let subject = self.subject(&request.parameter)?;
        let mut found: Vec<DenialRecord> = Vec::new();
        let mut more = false;
        let mut take = |mut records: &mut dyn Iterator<Item = Result<DenialRecord, IndexError>>| {
            for record in (&mut records).take(MAX_LOOKED_AT) {
                let record = record.map_err(|error| problem::from_index(&error))?;
                // A container's own are found by it and by where they came from.
                if found.iter().all(|known| known.index != record.index) {
                    found.push(record);
                }
            }
            more |= records.next().is_some();
            Ok::<(), Problem>(())
        };
        if let Some(container) = &subject.container {
            take(&mut self.index.denials_of(container))?;
        }
        for ip in &subject.ips {
            let of_it = |record: &Result<DenialRecord, IndexError>| {
                record
                    .as_ref()
                    .map_or(true, |record| subject.concerns(record))
            };
            take(&mut self.index.denials_from(*ip).filter(of_it))?;
        }
        let now = env::now();
        let requests = {
            let state = self.journal.state();
            let all = state.requests().at(now);
            let of_it = all.into_iter().filter(|one| match &subject.container {
                Some(container) => one.held.container == *container,
                None => subject.ips.contains(&one.held.source),
            });
            of_it.cloned().collect()
        };
        let answer = WhyDenied {
            container: subject.container,
            name: subject.name.clone(),
            refusals: gathered(found),
            more,
            requests,
            now: subject.ips.iter().map(|ip| self.foresight(*ip)).collect(),
            ips: subject.ips.iter().copied().collect(),
        };
        Ok(reply::json(StatusCode::OK, &answer))
    }

    /// Whom a reference means: a node, or else an IP that no node holds.
    fn subject(&self, reference: &str) -> Result<Subject, Problem> {
        let ip = reference.parse::<IpAddr>().ok();
        let ip = ip.map(|ip| ip.to_canonical());
        let node = match (self.find_any(reference), ip) {
            (Ok(node), None) => node,
            // Whoever held it once is not whom an IP means now.
            (Ok(node), Some(_)) if node.gone_at_ms.is_none() => node,
            (_, Some(ip)) => {
                return Ok(Subject {
                    container: None,
                    name: String::new(),
                    ips: BTreeSet::from([ip]),
                    since: UnixMs(0),
                    is_ip: true,
                });
            }
            (Err(problem), None) => return Err(problem),
        };
        let held = node.addresses.iter().map(|held| held.address.ip);
        Ok(Subject {
            container: Some(*node.id()),
            name: node.facts.name.clone(),
            ips: held.chain(ip).collect(),
            since: node.facts.started_at_ms,
            is_ip: ip.is_some(),
        })
    }

    fn foresight(&self, ip: IpAddr) -> Foresight {
        let first = self.enrollment.foresee(ip, None);
        let holder = {
            let state = self.journal.state();
            let mut leases = state.leases_of_ip(ip);
            let holder = leases.next().map(|(_, lease)| lease.container);
            holder.filter(|holder| {
                let node = state.node(holder);
                node.is_some_and(|node| !node.certificates.is_empty())
            })
        };
        // Who has a certificate does not enroll but renews.
        holder.map_or(first, |holder| self.enrollment.foresee(ip, Some(holder)))
    }
}

struct Subject {
    container: Option<ContainerId>,
    name: String,
    ips: BTreeSet<IpAddr>,
    /// When the container was started: what came from its addresses before is another's.
    since: UnixMs,
    /// Whether an IP was asked for, with all that came from it.
    is_ip: bool,
}

impl Subject {
    fn concerns(&self, record: &DenialRecord) -> bool {
        self.is_ip
            || record.container == self.container
            || (record.container.is_none() && record.at_ms >= self.since)
    }
}

/// The next step where the entry does not say it.
fn hint_of(code: &str) -> &'static str {
    if code == HELD {
        return ABOUT_HELD;
    }
    let mut codes = ProblemCode::ALL.into_iter();
    let code = codes.find(|known| known.as_str() == code);
    code.and_then(next_step).unwrap_or_default()
}

/// Like ones as one, newest first.
fn gathered(mut found: Vec<DenialRecord>) -> Vec<Refusals> {
    found.sort_by_key(|record| std::cmp::Reverse(record.index));
    let mut gathered: Vec<Refusals> = Vec::new();
    for record in found {
        let is_like = |one: &&mut Refusals| {
            one.code == record.code
                && one.detail == record.detail
                && one.rule == record.rule
                && one.source == record.source
                && one.container == record.container
        };
        if let Some(one) = gathered.iter_mut().find(is_like) {
            one.count += record.count;
            one.first_at_ms = record.at_ms;
            continue;
        }
        let hint = if record.hint.is_empty() {
            hint_of(&record.code).to_owned()
        } else {
            record.hint
        };
        gathered.push(Refusals {
            code: record.code,
            detail: record.detail,
            hint,
            rule: record.rule,
            container: record.container,
            source: record.source,
            request: record.request,
            count: record.count,
            first_at_ms: record.at_ms,
            last_at_ms: record.at_ms,
            last_index: record.index,
        });
    }
    gathered
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::event::{CertDenied, Event};

    use super::*;
    use crate::{
        index::Index,
        testing::{entry, id},
    };

    fn denied(code: ProblemCode, count: u64, rule: &str) -> Event {
        Event::CertDenied(CertDenied {
            source: [10, 0, 0, 1].into(),
            container: Some(id(1)),
            reason: code.as_str().to_owned(),
            detail: "the fact".into(),
            count,
            relay: None,
            rule: rule.into(),
            hint: String::new(),
        })
    }

    fn indexed(events: Vec<Event>) -> (tempfile::TempDir, Index) {
        let dir = tempfile::tempdir().unwrap();
        let index = Index::open(&dir.path().join("index"), events.len() as u64).unwrap();
        let entries: Vec<_> = (0..)
            .zip(events)
            .map(|(i, event)| (i, entry(i, event)))
            .collect();
        let entries = entries.iter().map(|(index, entry)| (*index, entry));
        index.apply(entries).unwrap();
        (dir, index)
    }

    #[test]
    fn every_code_that_enrollment_refuses_with_is_found_by_container_and_by_ip_with_a_next_step() {
        let codes = ProblemCode::ALL.into_iter();
        let refusals: Vec<ProblemCode> = codes.filter(|code| next_step(*code).is_some()).collect();
        assert!(refusals.len() >= 11, "{refusals:?}");
        let events = refusals.iter().map(|code| denied(*code, 1, "")).collect();
        let (_dir, index) = indexed(events);
        let by_container = index.denials_of(&id(1)).collect::<Result<_, _>>().unwrap();
        let by_ip = index.denials_from([10, 0, 0, 1].into());
        let by_ip = by_ip.collect::<Result<_, _>>().unwrap();
        for found in [by_container, by_ip] {
            let told = gathered(found);
            let codes: Vec<&str> = told.iter().map(|one| one.code.as_str()).collect();
            let newest_first: Vec<&str> = refusals.iter().rev().map(|code| code.as_str()).collect();
            assert_eq!(codes, newest_first);
            assert!(told.iter().all(|one| !one.hint.is_empty()));
        }
    }

    #[test]
    fn like_refusals_are_one_and_others_are_not() {
        let code = ProblemCode::DeniedByPolicy;
        let (_dir, index) = indexed(vec![
            denied(code, 1, "a"),
            denied(code, 5, "a"),
            denied(code, 1, "b"),
        ]);
        let found = index.denials_of(&id(1)).collect::<Result<_, _>>().unwrap();
        let told: Vec<_> = gathered(found)
            .into_iter()
            .map(|one| (one.rule, one.count, one.first_at_ms.0, one.last_at_ms.0))
            .collect();
        assert_eq!(
            told,
            [("b".into(), 1, 1002, 1002), ("a".into(), 6, 1000, 1001)]
        );
    }
}
