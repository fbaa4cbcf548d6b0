//! Whose address is it? The view's answer, confirmed by a fresh look at the host.

use std::{net::IpAddr, sync::Arc, time::Duration};

use dockmaster_host::Inventory;
use dockmaster_proto::{facts::ContainerFacts, id::ContainerId};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use super::decide::Refusal;
use crate::journal::Journal;

/// How long a request that came before its host's report is kept waiting.
const PARK: Duration = Duration::from_secs(10);
/// How often a parked request has the host looked at again: an address may be given without an event.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// The container that an applicant's address belongs to, confirmed by its host a moment ago.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// The container.
    pub container: ContainerId,
    /// What the host said of it just now.
    pub facts: ContainerFacts,
}

/// Why an address is not attested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unclaimed {
    /// It is nobody's, or not one container's.
    Refused(Refusal),
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
}

impl Attestor {
    /// An attestor; without an inventory nothing can be attested and every request is refused.
    #[must_use]
    pub const fn new(
        inventory: Option<Arc<Inventory>>,
        look: mpsc::Sender<ContainerId>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self {
            inventory,
            look,
            stopping,
            park: PARK,
        }
    }

    /// Whose address it is. Waits while the host has not reported yet.
    ///
    /// # Errors
    /// The refusal, when nobody holds the address within the time that a request is parked, or that
    /// the master stops before.
    pub(super) async fn claim(
        &self,
        journal: &Journal,
        source: IpAddr,
    ) -> Result<Claimed, Unclaimed> {
        let Some(inventory) = &self.inventory else {
            return Err(Refusal::no_inventory(source).into());
        };
        let mut stopping = self.stopping.clone();
        let deadline = Instant::now() + self.park;
        let mut changes = journal.changes();
        loop {
            changes.mark_unchanged();
            let holders: Vec<ContainerId> = journal
                .state()
                .leases_of_ip(source)
                .map(|(_, lease)| lease.container)
                .collect();
            match holders[..] {
                [container] => match inventory.inspect(&container).await {
                    Ok(Some(facts)) if has_ip(&facts, source) => {
                        return Ok(Claimed { container, facts });
                    }
                    // The host contradicts the view: the event is still on its way.
                    Ok(_) => self.look_at(container),
                    Err(error) => {
                        tracing::warn!(%source, %error, "the host could not confirm a lease; trying again");
                    }
                },
                [] => match inventory.find(source).await {
                    Ok(found) => {
                        for facts in found {
                            self.look_at(facts.id);
                        }
                    }
                    Err(error) => {
                        tracing::warn!(%source, %error, "the host could not be asked for an address; trying again");
                    }
                },
                _ => return Err(Refusal::ambiguous(source, &holders).into()),
            }
            let now = Instant::now();
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

    fn look_at(&self, container: ContainerId) {
        // Not waited for, or an applicant would be parked past its time. A keeper whose queue is
        // full is asked again at the next look, and it ends only when the master does.
        let _ = self.look.try_send(container);
    }
}

fn has_ip(facts: &ContainerFacts, ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    facts
        .attachments
        .iter()
        .any(|attachment| attachment.ips.iter().any(|held| held.to_canonical() == ip))
}
