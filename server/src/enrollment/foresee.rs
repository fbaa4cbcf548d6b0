//! What a request would come to now: the same decision, on what the view knows.

mod past;

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use dockmaster_host::{Namespace, socket::Connection};
use dockmaster_ledger::Status;
use dockmaster_proto::{
    api::denials::{ForeseenRequest, ForeseenVerdict, Foresight},
    facts::NetworkMode,
    id::{ContainerId, Digest, Name},
    problem::{Problem, ProblemCode},
};

use super::{
    Applicant, Binding, Claimed, Enrollment, Refusal, SocketVerdict,
    attest::{attested, hosts_of},
    decide,
    grant::Decision,
    next_step::next_step,
    token,
};
use crate::{
    env,
    origin::Origin,
    state::{NodeRecord, State},
    store::WAY_OUT,
};
pub use past::{about_host_refused, ended, host_refused};

impl Enrollment {
    /// What requests of a live node would come to: from each of its addresses, by each way on which it
    /// comes to the master, with the evidence that its host can give and a key that nobody has seen.
    /// Who has a certificate does not enroll but renews.
    #[must_use]
    pub fn foresee(&self, node: &NodeRecord) -> Vec<Foresight> {
        let renews = node
            .certificates
            .iter()
            .any(|certificate| env::now() < certificate.not_after_ms);
        let request = if renews {
            ForeseenRequest::Renewal
        } else {
            ForeseenRequest::Enrollment
        };
        let mut all = Vec::new();
        let ips = speaks_from(node, &self.journal.state());
        for ip in ips {
            let mut ways = self.journal.state().ways(&node.host, ip);
            if ways.is_empty() {
                // Its host was the master's own once, and nobody watches it: so it would come.
                ways.push(Origin::direct(ip));
            }
            for way in &ways {
                if !node.is_by_token() {
                    all.push(self.foresight(way, Some(node), request));
                    continue;
                }
                all.push(self.foresight(way, Some(node), ForeseenRequest::Renewal));
                all.push(self.foresight(way, Some(node), ForeseenRequest::Token));
            }
        }
        all
    }

    /// What a request would come to whose beginning no container is known to be at.
    #[must_use]
    pub fn foresee_nobody(&self, origin: &Origin) -> Foresight {
        self.foresight(origin, None, ForeseenRequest::Enrollment)
    }

    fn foresight(
        &self,
        origin: &Origin,
        node: Option<&NodeRecord>,
        request: ForeseenRequest,
    ) -> Foresight {
        let blank = Foresight {
            request,
            ..blank(origin, node.map(NodeRecord::id))
        };
        match self.foresee_from(origin, node, request) {
            Ok(Decision::Grant(grant)) => Foresight {
                verdict: ForeseenVerdict::Issued,
                rule: grant.rule,
                lifetime_ms: Some(grant.validity.not_after.since(env::now())),
                ..blank
            },
            Ok(Decision::Hold(held) | Decision::Wait(held)) => Foresight {
                verdict: ForeseenVerdict::Held,
                rule: held.rule,
                detail: held.reason,
                hint: "an operator has to approve it: \"dockmaster request list\"".to_owned(),
                ..blank
            },
            Err(refusal) => refused(blank, refusal),
        }
    }

    fn foresee_from(
        &self,
        origin: &Origin,
        node: Option<&NodeRecord>,
        request: ForeseenRequest,
    ) -> Result<Decision, Refusal> {
        self.check_ours()?;
        let state = self.journal.state();
        let signing = self.authorities.now();
        let permits = |ip| signing.containers.permits(ip);
        let given = self.given(&state, &permits);
        let key = Digest::of(b"");
        if let Some(machine) = node.filter(|node| node.is_by_token()) {
            let applicant = applicant(origin, Some(*machine.id()));
            let grant = match request {
                ForeseenRequest::Token => token::again(&applicant, machine, &key, &given),
                _ => token::renew(&applicant, machine, &given),
            };
            return grant.map(Decision::Grant);
        }
        // Where a machine left the address: with the key that brings it back.
        if node.is_none()
            && origin.relay.is_none()
            && let Some(decided) = token::foresee(&applicant(origin, None), &given)
        {
            return decided.map(|admission| Decision::Grant(admission.grant));
        }
        if !self.attestor.has_inventory() {
            let refusal = Refusal::no_inventory(origin);
            return Err(token::explained(refusal, origin.ip, &state, env::now()));
        }
        // One that shares a network is known by its socket, and not by the IP.
        let node = match node.filter(|node| node.shares_its_address()) {
            Some(node) => heard(node, &state)?,
            None => holder(origin, &state)?,
        };
        let renewing = (request == ForeseenRequest::Renewal).then(|| *node.id());
        decide::decide(
            &applicant(origin, renewing),
            &self.claimed(node),
            &key,
            &given,
        )
    }

    /// What the master itself cannot do now, whoever asks.
    fn check_ours(&self) -> Result<(), Refusal> {
        if let Some(why) = self.continuity.trouble() {
            return Err(unavailable(why.to_owned(), WAY_OUT.to_owned()));
        }
        let why = match self.journal.ledger().status() {
            // What is stalled still takes entries.
            Status::Healthy | Status::Stalled { .. } => return Ok(()),
            Status::Full { why } => format!("there is no room for the ledger: {why}"),
            Status::Closed => "the ledger is closed; the master shuts down".to_owned(),
        };
        Err(unavailable(
            why,
            "/readyz says when it can again".to_owned(),
        ))
    }

    /// What the host would say of a holder; asked about its connection, it would find it to be itself.
    fn claimed(&self, node: &NodeRecord) -> Claimed {
        let socket = if self.attestor.asks_for_sockets(&node.host) {
            SocketVerdict::Owned { pid: 0 }
        } else {
            SocketVerdict::Unavailable {
                why: "the host tells of no processes".to_owned(),
                sharing: Vec::new(),
            }
        };
        Claimed {
            container: *node.id(),
            host: node.host.clone(),
            facts: node.facts.clone(),
            socket,
            further: Vec::new(),
        }
    }
}

/// The one container that a connection can be of, when its host is heard of.
fn holder<'s>(origin: &Origin, state: &'s State) -> Result<&'s NodeRecord, Refusal> {
    let holders = attested(state, origin);
    let container = match holders[..] {
        [container] => container,
        [] => {
            let mut hosts = hosts_of(origin, state).into_iter();
            // Which containers it has nobody knows.
            if let Some(refusal) = hosts.find_map(|host| unheard(&host, state)) {
                return Err(refusal);
            }
            let refusal = Refusal::no_lease(origin, state);
            return Err(token::explained(refusal, origin.ip, state, env::now()));
        }
        _ => return Err(Refusal::ambiguous(origin, &holders)),
    };
    let node = state.node(&container);
    let node = node.ok_or_else(|| Refusal::lease_closed(origin.ip, container))?;
    heard(node, state)
}

fn heard<'n>(node: &'n NodeRecord, state: &State) -> Result<&'n NodeRecord, Refusal> {
    unheard(&node.host, state).map_or(Ok(node), Err)
}

/// The IPs that a node speaks from: its own; those of the container whose network it uses; on its host's
/// network that of the machine itself.
fn speaks_from(node: &NodeRecord, state: &State) -> BTreeSet<IpAddr> {
    let ips = |node: &NodeRecord| -> Vec<IpAddr> {
        let held = node.addresses.iter();
        held.map(|held| held.address.ip).collect()
    };
    let mode = &node.facts.network_mode;
    match mode {
        NetworkMode::Own => ips(node).into_iter().collect(),
        NetworkMode::Host => BTreeSet::from([Ipv4Addr::LOCALHOST.into()]),
        NetworkMode::Container(_) => {
            let neighbours = state.nodes().filter(|other| other.host == node.host);
            let owner = neighbours.filter(|other| {
                let namespace = Namespace::Container {
                    id: *other.id(),
                    name: other.facts.name.clone(),
                };
                namespace.is_used_by(mode)
            });
            owner.flat_map(ips).collect()
        }
    }
}

/// Why a host cannot be asked: then its containers get nothing new.
fn unheard(host: &Name, state: &State) -> Option<Refusal> {
    let is_here = state.is_here(host);
    let why = match state.lost_watch(host) {
        Some(lost) => format!(
            "host {host} is lost since {}, and nothing is issued to its containers until it is back: {}",
            lost.since, lost.reason
        ),
        // The master's own engine is asked whether or not it is watched already.
        None if is_here || state.is_watched(host) => return None,
        None => format!(
            "host {host} has not reported since the master started, and nothing is issued to its containers until it does"
        ),
    };
    let hint = if is_here {
        "/readyz and the master's log say how the engine does".to_owned()
    } else {
        format!(
            "is \"dockmaster host run\" running on {host}, and does it reach the master? \"dockmaster host list\" shows the hosts"
        )
    };
    Some(unavailable(why, hint))
}

fn unavailable(detail: String, hint: String) -> Refusal {
    Refusal {
        code: ProblemCode::Unavailable,
        detail,
        hint,
        container: None,
        rule: String::new(),
    }
}

fn applicant(origin: &Origin, renewing: Option<ContainerId>) -> Applicant {
    let nowhere = SocketAddr::new(origin.ip, 0);
    Applicant {
        connection: Connection {
            source: nowhere,
            local: nowhere,
        },
        relay: origin.relay.clone(),
        binding: Arc::new(Binding::new([0; 32])),
        renewing,
    }
}

fn refused(blank: Foresight, refusal: Refusal) -> Foresight {
    let rule = refusal.rule.clone();
    let Problem {
        code, detail, hint, ..
    } = refusal.into_problem();
    let hint = if hint.is_empty() {
        next_step(code).unwrap_or_default().to_owned()
    } else {
        hint
    };
    Foresight {
        code: code.as_str().to_owned(),
        detail,
        hint,
        rule,
        ..blank
    }
}

fn blank(origin: &Origin, container: Option<&ContainerId>) -> Foresight {
    Foresight {
        source: origin.ip,
        relay: origin.relay.clone(),
        container: container.copied(),
        request: ForeseenRequest::Enrollment,
        verdict: ForeseenVerdict::Refused,
        rule: String::new(),
        code: String::new(),
        detail: String::new(),
        hint: String::new(),
        lifetime_ms: None,
    }
}

#[cfg(test)]
mod tests;
