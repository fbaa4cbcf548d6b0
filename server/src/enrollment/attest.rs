//! Who speaks? The view says whose address it is, a fresh look at the host confirms it, and the host's
//! kernel says whose socket it is.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dockmaster_host::{HostError, Inventory, socket::Connection};
use dockmaster_proto::{
    event::Evidence,
    facts::{ContainerFacts, NetworkMode},
    id::ContainerId,
};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use super::{
    refusal::Refusal,
    socket::{SocketVerdict, SocketWitness, Speaker},
};
use crate::{
    journal::Journal,
    state::{NodeRecord, State},
};

/// How long a request that came before its host's report is kept waiting.
const PARK: Duration = Duration::from_secs(10);
/// How often a parked request has the host looked at again: an address may be given without an event.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How long the host may take to list a container that speaks already.
const UNLISTED: Duration = Duration::from_secs(2);

/// Requests of one address that may be looked into at a time: an honest container makes one.
const MAX_PARKED: usize = 4;

/// The container that speaks from an applicant's address, confirmed by its host a moment ago.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The container.
    pub container: ContainerId,
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
    inventory: Option<Arc<Inventory>>,
    /// Containers that the lease keeper should look at again.
    look: mpsc::Sender<ContainerId>,
    /// Becomes true when the master is about to stop.
    stopping: watch::Receiver<bool>,
    park: Duration,
    /// How many requests of each address are being looked into.
    parked: Arc<Mutex<HashMap<IpAddr, usize>>>,
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

/// A request that is being looked into; it ends with the value.
struct Parked {
    all: Arc<Mutex<HashMap<IpAddr, usize>>>,
    source: IpAddr,
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
    /// An attestor; without an inventory nothing can be attested and every request is refused.
    #[must_use]
    pub fn new(
        inventory: Option<Arc<Inventory>>,
        look: mpsc::Sender<ContainerId>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self {
            inventory,
            look,
            stopping,
            park: PARK,
            parked: Arc::default(),
            witness: Arc::default(),
        }
    }

    /// Whether there is a host that could attest anything.
    pub(super) const fn has_inventory(&self) -> bool {
        self.inventory.is_some()
    }

    /// Whether the host can be asked about sockets, as far as one knows before one asks.
    pub(super) fn asks_for_sockets(&self) -> bool {
        matches!(self.inventory.as_deref(), Some(Inventory::Docker(_)))
    }

    /// Becomes true when the master is about to stop.
    pub(super) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.clone()
    }

    /// The engine is asked for every request, so one address must not ask for all of its time.
    fn park(&self, source: IpAddr) -> Option<Parked> {
        let mut all = self.parked.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.entry(source).or_default();
        if *count >= MAX_PARKED {
            return None;
        }
        *count += 1;
        Some(Parked {
            all: Arc::clone(&self.parked),
            source,
        })
    }

    /// Who speaks by a connection. Waits while the host has not reported yet.
    ///
    /// # Errors
    /// The refusal, when nobody holds the address within the time that a request is parked, or that
    /// the master stops before.
    pub(super) async fn claim(
        &self,
        journal: &Journal,
        connection: Connection,
    ) -> Result<Claimed, Unclaimed> {
        let source = connection.source.ip().to_canonical();
        let Some(inventory) = &self.inventory else {
            return Err(Refusal::no_inventory(source).into());
        };
        let _parked = self.park(source).ok_or(Unclaimed::Crowded)?;
        let mut stopping = self.stopping.clone();
        let begun = Instant::now();
        let deadline = begun + self.park;
        let mut changes = journal.changes();
        loop {
            changes.mark_unchanged();
            let mut is_answered = true;
            let look = self.look(journal, inventory, connection, begun.elapsed());
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
        inventory: &Inventory,
        connection: Connection,
        waited: Duration,
    ) -> Result<Look, HostError> {
        let source = connection.source.ip().to_canonical();
        let (holders, shares_the_hosts) = {
            let state = journal.state();
            let holders = attested(&state, source);
            let on_the_host = |node: &NodeRecord| node.facts.network_mode == NetworkMode::Host;
            (holders, state.nodes().any(on_the_host))
        };
        match holders[..] {
            [container] => match inventory.inspect(&container).await? {
                Some(holder) if has_ip(&holder.facts, source) => {
                    let facts = holder.facts.clone();
                    let speaker = self.witness.speaker(inventory, connection, holder).await?;
                    if matches!(speaker, Speaker::Unlisted) && waited >= UNLISTED {
                        return Ok(Look::Claimed(Box::new(Claimed {
                            container,
                            facts,
                            socket: SocketVerdict::Foreign,
                            further: Vec::new(),
                        })));
                    }
                    Ok(self.claimed(journal, speaker))
                }
                // The host contradicts the view: the event is still on its way.
                _ => {
                    self.look_at(container);
                    Ok(Look::Again)
                }
            },
            [] => {
                let found = inventory.find(source).await?;
                if found.is_empty() && shares_the_hosts {
                    let speaker = self.witness.speaker_on_the_host(inventory, connection);
                    return Ok(match speaker.await? {
                        Some(speaker) => self.claimed(journal, speaker),
                        None => Look::Again,
                    });
                }
                for facts in found {
                    self.look_at(facts.id);
                }
                Ok(Look::Again)
            }
            _ => Ok(Look::Refused(Refusal::ambiguous(source, &holders))),
        }
    }

    fn claimed(&self, journal: &Journal, speaker: Speaker) -> Look {
        let Speaker::Known(speaker, socket) = speaker else {
            return Look::Again;
        };
        let container = speaker.facts.id;
        if journal.state().node(&container).is_none() {
            self.look_at(container);
            return Look::Again;
        }
        Look::Claimed(Box::new(Claimed {
            container,
            facts: speaker.facts,
            socket,
            further: Vec::new(),
        }))
    }

    fn look_at(&self, container: ContainerId) {
        // Not waited for, or an applicant would be parked past its time. A keeper whose queue is
        // full is asked again at the next look, and it ends only when the master does.
        let _ = self.look.try_send(container);
    }
}

/// The containers that hold an IP by the word of a host. What holds it by a join token alone is no
/// container's business.
pub(super) fn attested(state: &State, source: IpAddr) -> Vec<ContainerId> {
    let holders = state.leases_of_ip(source).map(|(_, lease)| lease.container);
    let by_token = |id: &ContainerId| state.node(id).is_some_and(NodeRecord::is_by_token);
    holders.filter(|id| !by_token(id)).collect()
}

fn has_ip(facts: &ContainerFacts, ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    facts
        .attachments
        .iter()
        .any(|attachment| attachment.ips.iter().any(|held| held.to_canonical() == ip))
}
