//! Why a node or an IP got no certificate.

mod subject;

use std::net::IpAddr;

use dockmaster_proto::{
    api::denials::{Foresight, Refusals, WhyDenied},
    event::HostRefused,
    problem::{Problem, ProblemCode},
};
use http::StatusCode;

use subject::{Asked, Who};

use super::{Api, Reply, Request, problem, reply};
use crate::{
    enrollment::{ABOUT_HELD, about_host_refused, next_step},
    env,
    index::{DenialRecord, HELD, HOST_REFUSED, HostRefusal, IndexError},
    origin::Origin,
    state::{MIN_PREFIX, NodeRecord},
};

/// How many entries of each IP and container are looked at, the newest first.
const MAX_LOOKED_AT: usize = 500;

impl Api {
    pub(super) fn why_denied(&self, request: &Request) -> Result<Reply, Problem> {
        let asked = self.asked(&request.parameter)?;
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
        for who in &asked.who {
            take(&mut self.index.denials_of(who.container()))?;
        }
        let ips = asked.ips();
        for ip in &ips {
            let of_it = |record: &Result<DenialRecord, IndexError>| {
                let record = record.as_ref();
                record.map_or(true, |record| asked.concerns(record, &self.journal.state()))
            };
            take(&mut self.index.denials_from(*ip).filter(of_it))?;
        }
        let now = env::now();
        let requests = {
            let state = self.journal.state();
            let all = state.requests().at(now);
            let of_it = all.into_iter().filter(|one| {
                let (container, source) = (&one.held.container, &one.held.source);
                asked.who.iter().any(|who| who.container() == container)
                    || (asked.who.is_empty() && ips.contains(source))
            });
            of_it.cloned().collect()
        };
        let subjects = asked.subjects();
        let one = match &subjects[..] {
            [one] => Some(one),
            _ => None,
        };
        let answer = WhyDenied {
            container: one.map(|one| one.container),
            name: one.map(|one| one.name.clone()).unwrap_or_default(),
            refusals: gathered(found),
            more,
            requests,
            now: self.now(&asked),
            ips: ips.into_iter().collect(),
            subjects,
        };
        Ok(reply::json(StatusCode::OK, &answer))
    }

    /// Whom a reference means: all live nodes that hold an IP, or the one node of another reference.
    /// Where there is none, containers that their hosts may not vouch for.
    fn asked(&self, reference: &str) -> Result<Asked, Problem> {
        let Ok(ip) = reference.parse::<IpAddr>() else {
            let who = match self.find_any(reference) {
                Ok(node) if node.gone_at_ms.is_some() => self.ended(node)?,
                Ok(node) => Who::Live(node),
                Err(unknown) if unknown.code == ProblemCode::NotFound => {
                    let is_meant = |of: &HostRefused| fits(reference, of);
                    let found = self.host_refusals(is_meant)?;
                    let newest = found.into_iter().max_by_key(|found| found.at_ms);
                    Who::Refused(newest.ok_or(unknown)?)
                }
                Err(problem) => return Err(problem),
            };
            let who = vec![who];
            return Ok(Asked { ip: None, who });
        };
        let ip = ip.to_canonical();
        // Whoever held it once is not whom an IP means now.
        let mut who: Vec<Who> = {
            let state = self.journal.state();
            let holds = |node: &&NodeRecord| node.addresses.iter().any(|it| it.address.ip == ip);
            let holders = state.nodes().filter(holds);
            holders.cloned().map(Who::Live).collect()
        };
        if who.is_empty() {
            let is_meant = |of: &HostRefused| of.addresses.iter().any(|address| address.ip == ip);
            let found = self.host_refusals(is_meant)?;
            who.extend(found.into_iter().map(Who::Refused));
        }
        Ok(Asked { ip: Some(ip), who })
    }

    fn ended(&self, node: NodeRecord) -> Result<Who, Problem> {
        let lease = self.index.last_lease(&node);
        let lease = lease.map_err(|error| problem::from_index(&error))?;
        let cause = lease.and_then(|lease| lease.closed_cause);
        Ok(Who::Ended(node, cause))
    }

    fn host_refusals(
        &self,
        is_meant: impl Fn(&HostRefused) -> bool,
    ) -> Result<Vec<HostRefusal>, Problem> {
        let found = self.index.host_refusals().collect::<Result<Vec<_>, _>>();
        let mut found = found.map_err(|error| problem::from_index(&error))?;
        found.retain(|found| is_meant(&found.refused));
        Ok(found)
    }

    fn now(&self, asked: &Asked) -> Vec<Foresight> {
        let all = asked.who.iter();
        let mut now: Vec<Foresight> = all
            .flat_map(|who| who.now(&self.enrollment, &self.journal))
            .collect();
        if let (Some(ip), []) = (asked.ip, &asked.who[..]) {
            now.push(self.enrollment.foresee_nobody(&Origin::direct(ip)));
        }
        now
    }
}

/// Whether a reference means a container by its name or ID, or the beginning of that.
fn fits(reference: &str, of: &HostRefused) -> bool {
    let is_beginning = reference.len() >= MIN_PREFIX;
    of.name == reference || (is_beginning && of.container.to_string().starts_with(reference))
}

/// The next step where the entry does not say it.
fn hint_of(record: &DenialRecord) -> String {
    let code = &record.code[..];
    if let (HOST_REFUSED, Some(host)) = (code, &record.relay) {
        return about_host_refused(host);
    }
    if code == HELD {
        return ABOUT_HELD.to_owned();
    }
    let mut codes = ProblemCode::ALL.into_iter();
    let code = codes.find(|known| known.as_str() == code);
    code.and_then(next_step).unwrap_or_default().to_owned()
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
                && one.relay == record.relay
                && one.container == record.container
        };
        if let Some(one) = gathered.iter_mut().find(is_like) {
            one.count += record.count;
            one.first_at_ms = record.at_ms;
            continue;
        }
        let hint = if record.hint.is_empty() {
            hint_of(&record)
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
            relay: record.relay,
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
    use dockmaster_proto::{
        event::{CertDenied, Event, HostEvicted, NodeObserved},
        id::Name,
    };

    use super::*;
    use crate::{
        index::Index,
        testing::{entry, facts, id},
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

    fn host_refused(host: &str) -> Event {
        Event::HostRefused(HostRefused {
            host: host.parse().unwrap(),
            container: id(1),
            reason: "10.0.0.1 is outside the ranges".into(),
            name: "c1".into(),
            addresses: vec!["net/10.0.0.1".parse().unwrap()],
        })
    }

    #[test]
    fn what_a_host_may_not_vouch_for_is_found_by_ip_and_by_name_until_it_is_a_node_or_the_host_is_gone()
     {
        let by_ip = |index: &Index| -> Vec<Refusals> {
            let found = index.denials_from([10, 0, 0, 1].into());
            gathered(found.collect::<Result<_, _>>().unwrap())
        };
        let kept = |index: &Index| index.host_refusals().count();
        let (_dir, index) = indexed(vec![host_refused("h3")]);
        let told = by_ip(&index);
        assert_eq!(told[0].code, HOST_REFUSED);
        assert_eq!(told[0].relay, Some("h3".parse().unwrap()));
        assert!(told[0].hint.contains("host enroll h3 --cidr"), "{told:?}");
        let found = index.host_refusals().next().unwrap().unwrap();
        assert!(fits("c1", &found.refused) && fits("0101", &found.refused));
        assert!(!fits("c", &found.refused) && !fits("", &found.refused));

        let host: Name = "h3".parse().unwrap();
        let observed = Event::NodeObserved(NodeObserved {
            host: host.clone(),
            facts: facts(1, &[]),
        });
        let (_dir, index) = indexed(vec![host_refused("h3"), observed.clone()]);
        assert_eq!((kept(&index), by_ip(&index).len()), (0, 1));
        // A node does without an address that it may not have.
        let (_dir, index) = indexed(vec![observed, host_refused("h4")]);
        assert_eq!((kept(&index), by_ip(&index).len()), (0, 1));
        let evicted = Event::HostEvicted(HostEvicted { host });
        let (_dir, index) = indexed(vec![
            host_refused("h3"),
            host_refused("h4"),
            evicted.clone(),
        ]);
        assert_eq!(kept(&index), 1, "of h4, whose word was the last");
        let (_dir, index) = indexed(vec![host_refused("h3"), evicted]);
        assert_eq!(kept(&index), 0);
    }

    #[test]
    fn like_refusals_by_different_relays_are_not_one() {
        let by = |relay: Option<&str>| match denied(ProblemCode::NoLease, 1, "") {
            Event::CertDenied(denied) => Event::CertDenied(CertDenied {
                relay: relay.map(|relay| relay.parse().unwrap()),
                ..denied
            }),
            other => other,
        };
        let (_dir, index) = indexed(vec![by(None), by(Some("h5")), by(Some("h6")), by(None)]);
        let found = index.denials_from([10, 0, 0, 1].into());
        let told = gathered(found.collect::<Result<_, _>>().unwrap());
        let relays: Vec<_> = told
            .iter()
            .map(|one| (one.relay.as_ref().map(ToString::to_string), one.count))
            .collect();
        let of = |relay: &str, count| (Some(relay.to_owned()), count);
        assert_eq!(relays, [(None, 2), of("h6", 1), of("h5", 1)]);
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
