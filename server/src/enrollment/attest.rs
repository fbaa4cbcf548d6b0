//! Whose address is it? The view's answer, confirmed by a fresh look at the host.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dockmaster_proto::{
    event::Evidence,
    facts::ContainerFacts,
    id::{ContainerId, Name},
};
use tokio::{sync::watch, time::Instant};

use super::decide::Refusal;
use crate::{
    journal::Journal,
    origin::Origin,
    state::State,
    watchers::{Watcher, Watchers},
};

/// How long a request that came before its host's report is kept waiting.
const PARK: Duration = Duration::from_secs(10);
/// How often a parked request has the host looked at again: an address may be given without an event.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Requests of one address that may be looked into at a time: an honest container makes one.
const MAX_PARKED: usize = 4;

/// The container that an applicant's address belongs to, confirmed by its host a moment ago.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The container.
    pub container: ContainerId,
    /// What the host said of it just now.
    pub facts: ContainerFacts,
    /// What supports the claim besides the host's word.
    pub further: Vec<Evidence>,
}

/// Why an address is not attested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unclaimed {
    /// It is nobody's, or not one container's.
    Refused(Refusal),
    /// The host gave no answer, so nothing can be said of the address.
    NoAnswer,
    /// There are as many requests of this address already as may be.
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
    /// How many requests of each address are being looked into.
    parked: Arc<Mutex<HashMap<Origin, usize>>>,
}

/// A request that is being looked into; it ends with the value.
struct Parked {
    all: Arc<Mutex<HashMap<Origin, usize>>>,
    source: Origin,
}

impl Drop for Parked {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                all.remove(&self.source);
            }
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
            parked: Arc::default(),
        }
    }

    /// The engine is asked for every request, so one address must not ask for all of its time.
    fn park(&self, source: &Origin) -> Option<Parked> {
        let mut all = self.parked.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(source.clone()).or_default();
        if *count >= MAX_PARKED {
            return None;
        }
        *count += 1;
        Some(Parked {
            all: Arc::clone(&self.parked),
            source: source.clone(),
        })
    }

    /// Whose address it is. Waits while the host has not reported yet.
    ///
    /// # Errors
    /// The refusal, when nobody holds the address within the time that a request is parked, or that
    /// the master stops before.
    pub(super) async fn claim(
        &self,
        journal: &Journal,
        source: &Origin,
    ) -> Result<Claimed, Unclaimed> {
        if self.watchers.is_empty() {
            return Err(Refusal::no_inventory(source).into());
        }
        let _parked = self.park(source).ok_or(Unclaimed::Crowded)?;
        let mut stopping = self.stopping.clone();
        let deadline = Instant::now() + self.park;
        let mut changes = journal.changes();
        loop {
            changes.mark_unchanged();
            let mut is_answered = true;
            let (holders, hosts) = {
                let state = journal.state();
                let holders: Vec<ContainerId> = state
                    .leases_from(source)
                    .map(|lease| lease.container)
                    .collect();
                let hosts = match &holders[..] {
                    [] => hosts_of(source, &state),
                    held => hosts_of_holders(held, &state),
                };
                (holders, hosts)
            };
            let watchers: Vec<Watcher> = hosts
                .iter()
                .filter_map(|host| self.watchers.get(host))
                .collect();
            match (&holders[..], &watchers[..]) {
                (&[container], [watcher]) => match watcher.inventory.inspect(&container).await {
                    Ok(Some(facts)) if has_ip(&facts, source.ip) => {
                        let further = Vec::new();
                        return Ok(Claimed {
                            container,
                            facts,
                            further,
                        });
                    }
                    // The host contradicts the view: the event is still on its way.
                    Ok(_) => look_at(watcher, container),
                    Err(error) => {
                        is_answered = false;
                        tracing::warn!(%source, %error, "the host could not confirm a lease; trying again");
                    }
                },
                ([], watchers) => {
                    for watcher in watchers {
                        match watcher.inventory.find(source.ip).await {
                            Ok(found) => {
                                for facts in found {
                                    look_at(watcher, facts.id);
                                }
                            }
                            Err(error) => {
                                is_answered = false;
                                tracing::warn!(%source, %error, "the host could not be asked for an address; trying again");
                            }
                        }
                    }
                }
                // Its host was evicted a moment ago: the end of its lease is on its way.
                ([_], []) => {}
                _ => return Err(Refusal::ambiguous(source, &holders).into()),
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

}

fn look_at(watcher: &Watcher, container: ContainerId) {
    // Not waited for, or an applicant would be parked past its time. A keeper whose queue is
    // full is asked again at the next look, and it ends only with its host.
    let _ = watcher.look.try_send(container);
}

/// The hosts whose container may be at the beginning of a connection.
fn hosts_of(source: &Origin, state: &State) -> Vec<Name> {
    let enrolled = state.hosts().map(|(name, _)| name);
    enrolled
        .chain(state.here())
        .filter(|host| source.may_be_of(host, state))
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
