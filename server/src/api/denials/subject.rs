//! Whom a question is about: the containers that a reference means, and what is told of each.

use std::{collections::BTreeSet, net::IpAddr};

use dockmaster_proto::{
    address::Address,
    api::denials::{Foresight, Standing, Subject},
    event::LeaseCause,
    id::{ContainerId, Name},
    time::UnixMs,
};

use crate::{
    enrollment::{Enrollment, ended, host_refused},
    index::{DenialRecord, HostRefusal},
    journal::Journal,
    origin::Origin,
    state::{NodeRecord, State},
};

/// What is asked about.
#[derive(Debug)]
pub(super) struct Asked {
    /// The IP, where one was asked for: with all that came from it.
    pub(super) ip: Option<IpAddr>,
    /// The containers that are meant.
    pub(super) who: Vec<Who>,
}

/// One container.
#[derive(Debug)]
pub(super) enum Who {
    /// A live node.
    Live(NodeRecord),
    /// A node that has ended, and how its last lease closed.
    Ended(NodeRecord, Option<LeaseCause>),
    /// One that its host may not vouch for.
    Refused(HostRefusal),
}

impl Who {
    pub(super) const fn container(&self) -> &ContainerId {
        match self {
            Self::Live(node) | Self::Ended(node, _) => node.id(),
            Self::Refused(refusal) => &refusal.refused.container,
        }
    }

    const fn host(&self) -> &Name {
        match self {
            Self::Live(node) | Self::Ended(node, _) => &node.host,
            Self::Refused(refusal) => &refusal.refused.host,
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Live(node) | Self::Ended(node, _) => &node.facts.name,
            Self::Refused(refusal) => &refusal.refused.name,
        }
    }

    /// The addresses that it holds, held last, or was said to hold.
    fn addresses(&self) -> Vec<Address> {
        match self {
            Self::Live(node) => {
                let held = node.addresses.iter();
                held.map(|held| held.address.clone()).collect()
            }
            Self::Ended(node, _) => node.facts.addresses(),
            Self::Refused(refusal) => refusal.refused.addresses.clone(),
        }
    }

    fn ips(&self) -> BTreeSet<IpAddr> {
        let addresses = self.addresses().into_iter();
        addresses.map(|address| address.ip).collect()
    }

    /// What came from its addresses before or after is another's.
    fn lives_at(&self, at: UnixMs) -> bool {
        match self {
            Self::Live(node) => node.facts.started_at_ms <= at,
            Self::Ended(node, _) => {
                let gone = node.gone_at_ms.unwrap_or(UnixMs(u64::MAX));
                node.facts.started_at_ms <= at && at <= gone
            }
            Self::Refused(_) => true,
        }
    }

    /// Whether a record is about it. One that names no container is about whom its address was, on the
    /// host whose relay it came by: the same IP on another host is someone else.
    fn is_meant_by(&self, record: &DenialRecord, state: &State) -> bool {
        if let Some(container) = &record.container {
            return container == self.container();
        }
        let origin = Origin {
            ip: record.source.to_canonical(),
            relay: record.relay.clone(),
        };
        let may_come = match &origin.relay {
            // Also of a host that was evicted since.
            Some(relay) => relay == self.host(),
            None => state.may_come_from(self.host(), &origin),
        };
        may_come && self.ips().contains(&origin.ip) && self.lives_at(record.at_ms)
    }

    fn subject(&self) -> Subject {
        let (standing, since_ms) = match self {
            Self::Live(_) => (Standing::Running, None),
            Self::Ended(node, _) => (Standing::Ended, node.gone_at_ms),
            Self::Refused(refusal) => (Standing::Refused, Some(refusal.at_ms)),
        };
        Subject {
            container: *self.container(),
            name: self.name().to_owned(),
            host: self.host().clone(),
            addresses: self.addresses(),
            standing,
            since_ms,
        }
    }

    /// What its requests would come to.
    pub(super) fn now(&self, enrollment: &Enrollment, journal: &Journal) -> Vec<Foresight> {
        let ips = self.ips().into_iter();
        match self {
            Self::Live(node) => enrollment.foresee(node),
            Self::Ended(node, cause) => ips
                .map(|ip| {
                    let is_free = journal.state().leases_of_ip(ip).next().is_none();
                    if node.is_by_token() && is_free {
                        // It may come back by its key.
                        enrollment.foresee_nobody(&Origin::direct(ip))
                    } else {
                        ended(node, ip, *cause, &journal.state())
                    }
                })
                .collect(),
            Self::Refused(refusal) => {
                let state = journal.state();
                ips.map(|ip| host_refused(&refusal.refused, ip, &state))
                    .collect()
            }
        }
    }
}

impl Asked {
    /// All IPs that are looked at.
    pub(super) fn ips(&self) -> BTreeSet<IpAddr> {
        let held = self.who.iter().flat_map(Who::ips);
        held.chain(self.ip).collect()
    }

    /// What is told of each container.
    pub(super) fn subjects(&self) -> Vec<Subject> {
        self.who.iter().map(Who::subject).collect()
    }

    /// Whether a record from one of the IPs is asked for: all that came from an IP, where one was asked
    /// for; of a container what is its own.
    pub(super) fn concerns(&self, record: &DenialRecord, state: &State) -> bool {
        self.ip == Some(record.source.to_canonical())
            || self.who.iter().any(|who| who.is_meant_by(record, state))
    }
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::event::HeldAddress;

    use super::*;
    use crate::testing::{enroll_host, facts, id};

    const IP: &str = "172.17.0.2";

    fn node(number: u8, host: &str) -> NodeRecord {
        let mut node = NodeRecord::new(host.parse().unwrap(), facts(number, &[IP]));
        for address in node.facts.addresses() {
            node.gain(HeldAddress { address, epoch: 1 });
        }
        node
    }

    fn record(relay: Option<&str>, container: Option<ContainerId>, at: u64) -> DenialRecord {
        DenialRecord {
            index: 1,
            at_ms: UnixMs(at),
            source: IP.parse().unwrap(),
            relay: relay.map(|relay| relay.parse().unwrap()),
            container,
            code: "bad-csr".into(),
            detail: "d".into(),
            hint: String::new(),
            rule: String::new(),
            request: None,
            count: 1,
        }
    }

    #[test]
    fn what_one_hosts_relay_brought_is_not_told_of_another_hosts_container() {
        let mut state = State::default();
        for host in ["h5", "h6"] {
            enroll_host(&mut state, host, &[]);
        }
        let of = |who: Who| Asked {
            ip: None,
            who: vec![who],
        };
        let asked = of(Who::Live(node(1, "h5")));
        let told = |asked: &Asked, relay, container, at| {
            asked.concerns(&record(relay, container, at), &state)
        };
        assert!(told(&asked, Some("h5"), None, 2000));
        assert!(!told(&asked, Some("h6"), None, 2000));
        assert!(!told(&asked, None, None, 2000), "behind a masquerade");
        assert!(!told(&asked, Some("h5"), None, 999), "before its start");
        assert!(told(&asked, Some("h6"), Some(id(1)), 2000));
        assert!(!told(&asked, Some("h5"), Some(id(2)), 2000));

        let mut gone = node(1, "h4");
        gone.end(UnixMs(3000));
        let asked = of(Who::Ended(gone, Some(LeaseCause::HostEvicted)));
        assert!(told(&asked, Some("h4"), None, 3000));
        assert!(!told(&asked, Some("h4"), None, 3001), "after its end");
    }

    #[test]
    fn of_an_ip_all_is_told_that_came_from_it() {
        let asked = Asked {
            ip: Some(IP.parse().unwrap()),
            who: vec![Who::Live(node(1, "h5"))],
        };
        for relay in [None, Some("h5"), Some("h6")] {
            assert!(asked.concerns(&record(relay, None, 1), &State::default()));
        }
        assert_eq!(asked.ips().len(), 1);
        assert_eq!(asked.subjects()[0].host.as_str(), "h5");
    }
}
