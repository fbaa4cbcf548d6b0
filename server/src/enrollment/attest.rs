//! Who speaks? The view says whose address it is, a fresh look at the host confirms it, and the host's
//! kernel says whose socket it is.

use std::{iter, net::IpAddr, sync::Arc, time::Duration};

use dockmaster_host::{HostError, Inventory};
use dockmaster_proto::{
    event::Evidence,
    facts::{ContainerFacts, NetworkMode},
    id::{ContainerId, Name},
    time::UnixMs,
};
use tokio::{sync::watch, time::Instant};

use super::{
    Applicant,
    refusal::Refusal,
    socket::{SocketVerdict, SocketWitness, Speaker},
};
use crate::{
    journal::Journal,
    origin::{Group, Origin, Party},
    state::{NodeRecord, State},
    tally::{Held, Tally},
    watchers::{Watcher, Watchers},
};

/// How long a request that came before its host's report is kept waiting.
const PARK: Duration = Duration::from_secs(10);
/// How often a parked request has the host looked at again: an address may be given without an event.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How long the host may take to list a container that speaks already, or to see that one ended.
const UNLISTED: Duration = Duration::from_secs(2);

/// Requests of one address that may be looked into at a time: an honest container makes one.
const MAX_PARKED: usize = 4;
/// The same of all addresses that nobody is known to have: as many containers may have started before
/// their host says so.
const MAX_STRANGERS_PARKED: usize = 256;

/// The container that speaks from an applicant's address, confirmed by its host a moment ago.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The container.
    pub container: ContainerId,
    /// The host that says so.
    pub host: Name,
    /// What the host said of it just now.
    pub facts: ContainerFacts,
    /// What is known of the socket that it speaks by.
    pub socket: SocketVerdict,
    /// What supports the claim besides.
    pub further: Vec<Evidence>,
}

/// Why an address is not attested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unclaimed {
    /// It is nobody's, or not one container's.
    Refused(Refusal),
    /// The host gave no answer, so nothing can be said of the address.
    NoAnswer,
    /// There are as many requests of this address, or of all strangers, already as may be.
    Crowded,
    /// The master stops: nothing is known about the address yet, and nobody waits for it any more.
    Stopping,
}

impl From<Refusal> for Unclaimed {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Asks the host about addresses.
#[derive(Debug, Clone)]
pub struct Attestor {
    watchers: Watchers,
    /// Becomes true when the master is about to stop.
    stopping: watch::Receiver<bool>,
    park: Duration,
    /// How many requests are being looked into.
    parked: Tally<Place>,
    witness: Arc<SocketWitness>,
}

/// What one look brings.
enum Look {
    /// It is clear who speaks.
    Claimed(Box<Claimed>),
    /// It never will be.
    Refused(Refusal),
    /// Not yet.
    Again,
}

/// Since when each look has found a container without the process that its host names.
#[derive(Debug, Default)]
struct Missing(Option<(ContainerId, UnixMs, Instant)>);

impl Missing {
    /// Since when that is so of this run.
    fn since(&mut self, facts: &ContainerFacts) -> Instant {
        let known = self
            .0
            .filter(|(id, started_at, _)| (*id, *started_at) == (facts.id, facts.started_at_ms));
        let (.., since) =
            *self
                .0
                .insert(known.unwrap_or((facts.id, facts.started_at_ms, Instant::now())));
        since
    }
}

/// Whose requests that are being looked into are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    Origin(Origin),
    Group(Group),
}

impl Place {
    const fn most(&self) -> usize {
        match self {
            Self::Origin(_) => MAX_PARKED,
            Self::Group(Group::Strangers) => MAX_STRANGERS_PARKED,
            // It is the host that is asked, and by its own doing.
            Self::Group(Group::Relay(_)) => usize::MAX,
        }
    }
}

impl Attestor {
    /// An attestor; where no host is watched nothing can be attested and every request is refused.
    #[must_use]
    pub fn new(watchers: Watchers, stopping: watch::Receiver<bool>) -> Self {
        Self {
            watchers,
            stopping,
            park: PARK,
            parked: Tally::new(Place::most),
            witness: Arc::default(),
        }
    }

    /// Whether there is a host that could attest anything.
    pub(super) fn has_inventory(&self) -> bool {
        !self.watchers.is_empty()
    }

    /// Whether a host can be asked about sockets, as far as one knows before one asks.
    pub(super) fn asks_for_sockets(&self, host: &Name) -> bool {
        let watcher = self.watchers.get(host);
        watcher.is_some_and(|watcher| !matches!(&*watcher.inventory, Inventory::File(_)))
    }

    /// Becomes true when the master is about to stop.
    pub(super) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.clone()
    }

    /// The engine is asked about the container for every request, so one address must not ask for all of
    /// its time.
    fn park(&self, state: &State, applicant: &Applicant) -> Option<Held<Place>> {
        let source = applicant.origin();
        // Who shows a certificate that counts is known, wherever it is shown from.
        let Party { origin, group } = match applicant.renewing {
            Some(_) => Party::known(source),
            None => state.party(source),
        };
        let places = iter::once(Place::Origin(origin)).chain(group.map(Place::Group));
        self.parked.take(places.collect::<Vec<_>>())
    }

    /// Who speaks by a connection. Waits while the host has not reported yet.
    ///
    /// # Errors
    /// The refusal, when nobody holds the address within the time that a request is parked, or that
    /// the master stops before.
    pub(super) async fn claim(
        &self,
        journal: &Journal,
        applicant: &Applicant,
    ) -> Result<Claimed, Unclaimed> {
        let source = &applicant.origin();
        if self.watchers.is_empty() {
            return Err(Refusal::no_inventory(source).into());
        }
        let _parked = self
            .park(&journal.state(), applicant)
            .ok_or(Unclaimed::Crowded)?;
        let mut stopping = self.stopping.clone();
        let begun = Instant::now();
        let deadline = begun + self.park;
        let mut changes = journal.changes();
        let mut missing = Missing::default();
        loop {
            changes.mark_unchanged();
            let mut is_answered = true;
            let look = self.look(journal, applicant, begun.elapsed(), &mut missing);
            match look.await {
                Ok(Look::Claimed(claimed)) => return Ok(*claimed),
                Ok(Look::Refused(refusal)) => return Err(refusal.into()),
                Ok(Look::Again) => {}
                Err(error) => {
                    is_answered = false;
                    tracing::warn!(%source, %error, "the host could not be asked about an address; trying again");
                }
            }
            let now = Instant::now();
            if now >= deadline && !is_answered {
                return Err(Unclaimed::NoAnswer);
            }
            if now >= deadline {
                return Err(Refusal::no_lease(source, &journal.state()).into());
            }
            // Woken by any change of the view; the look-again covers what causes none.
            let again = (now + LOOK_AGAIN).min(deadline);
            tokio::select! {
                _ = tokio::time::timeout_at(again, changes.changed()) => {}
                _ = stopping.wait_for(|stopping| *stopping) => return Err(Unclaimed::Stopping),
            }
        }
    }

    async fn look(
        &self,
        journal: &Journal,
        applicant: &Applicant,
        waited: Duration,
        missing: &mut Missing,
    ) -> Result<Look, HostError> {
        let source = &applicant.origin();
        let (holders, hosts) = {
            let state = journal.state();
            let holders = attested(&state, source);
            let hosts = match &holders[..] {
                [] => hosts_of(source, &state),
                holders => hosts_of_holders(holders, &state),
            };
            (holders, hosts)
        };
        match (&holders[..], &hosts[..]) {
            ([], hosts) => self.look_for_holder(journal, applicant, hosts).await,
            (&[container], [host]) => match self.watchers.get(host) {
                Some(watcher) => {
                    let answering = (host, &watcher);
                    let waited = (waited, missing);
                    self.look_at_holder(journal, applicant, answering, container, waited)
                        .await
                }
                // It was evicted a moment ago: the end of the lease is on its way.
                None => Ok(Look::Again),
            },
            _ => Ok(Look::Refused(Refusal::ambiguous(source, &holders))),
        }
    }

    async fn look_at_holder(
        &self,
        journal: &Journal,
        applicant: &Applicant,
        (host, watcher): (&Name, &Watcher),
        container: ContainerId,
        (waited, missing): (Duration, &mut Missing),
    ) -> Result<Look, HostError> {
        let (inventory, connection) = (&*watcher.inventory, applicant.connection);
        match inventory.inspect(&container).await? {
            Some(holder) if has_ip(&holder.facts, applicant.source()) => {
                let facts = holder.facts.clone();
                let at = (host, inventory);
                let speaker = match self.witness.speaker(at, connection, holder).await? {
                    Speaker::NoProcess { holder, why } => {
                        if missing.since(&facts).elapsed() < UNLISTED {
                            return Ok(Look::Again);
                        }
                        self.witness.without_processes(at, *holder, why).await?
                    }
                    speaker => {
                        *missing = Missing::default();
                        speaker
                    }
                };
                if matches!(speaker, Speaker::Unlisted) && waited >= UNLISTED {
                    return Ok(Look::Claimed(Box::new(Claimed {
                        container,
                        host: host.clone(),
                        facts,
                        socket: SocketVerdict::Foreign,
                        further: Vec::new(),
                    })));
                }
                Ok(claimed(journal, host, watcher, speaker))
            }
            // The host contradicts the view: the event is still on its way.
            _ => {
                look_at(watcher, container);
                Ok(Look::Again)
            }
        }
    }

    async fn look_for_holder(
        &self,
        journal: &Journal,
        applicant: &Applicant,
        hosts: &[Name],
    ) -> Result<Look, HostError> {
        let watchers = hosts.iter().filter_map(|host| {
            let watcher = self.watchers.get(host)?;
            Some((host, watcher))
        });
        for (host, watcher) in watchers.collect::<Vec<_>>() {
            let found = watcher.inventory.find(applicant.source()).await?;
            if !found.is_empty() {
                for facts in found {
                    look_at(&watcher, facts.id);
                }
                return Ok(Look::Again);
            }
            let shares_the_hosts = {
                let state = journal.state();
                let on_the_host = |node: &NodeRecord| {
                    node.host == *host && node.facts.network_mode == NetworkMode::Host
                };
                state.nodes().any(on_the_host)
            };
            if shares_the_hosts {
                let inventory: &Inventory = &watcher.inventory;
                let speaker = self
                    .witness
                    .speaker_on_the_host(inventory, applicant.connection);
                if let Some(speaker) = speaker.await? {
                    return Ok(claimed(journal, host, &watcher, speaker));
                }
            }
        }
        Ok(Look::Again)
    }
}

/// The containers that a connection may be of by the word of a host. What holds the IP by a join token
/// alone is no container's business.
pub(super) fn attested(state: &State, source: &Origin) -> Vec<ContainerId> {
    let holders = state.leases_from(source).map(|lease| lease.container);
    holders.filter(|id| !is_by_token(state, id)).collect()
}

fn is_by_token(state: &State, id: &ContainerId) -> bool {
    state.node(id).is_some_and(NodeRecord::is_by_token)
}

fn claimed(journal: &Journal, host: &Name, watcher: &Watcher, speaker: Speaker) -> Look {
    let Speaker::Known(speaker, socket) = speaker else {
        return Look::Again;
    };
    let container = speaker.facts.id;
    if journal.state().node(&container).is_none() {
        look_at(watcher, container);
        return Look::Again;
    }
    Look::Claimed(Box::new(Claimed {
        container,
        host: host.clone(),
        facts: speaker.facts,
        socket,
        further: Vec::new(),
    }))
}

fn look_at(watcher: &Watcher, container: ContainerId) {
    // Not waited for, or an applicant would be parked past its time. A keeper whose queue is
    // full is asked again at the next look, and it ends only with its host.
    let _ = watcher.look.try_send(container);
}

/// The hosts whose container may be at the beginning of a connection.
pub(super) fn hosts_of(source: &Origin, state: &State) -> Vec<Name> {
    let enrolled = state.hosts().map(|(name, _)| name);
    enrolled
        .chain(state.here())
        .filter(|host| state.may_come_from(host, source))
        .cloned()
        .collect()
}

fn hosts_of_holders(holders: &[ContainerId], state: &State) -> Vec<Name> {
    let hosts = holders.iter().filter_map(|holder| state.node(holder));
    hosts.map(|node| node.host.clone()).collect()
}

fn has_ip(facts: &ContainerFacts, ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    facts
        .attachments
        .iter()
        .any(|attachment| attachment.ips.iter().any(|held| held.to_canonical() == ip))
}
