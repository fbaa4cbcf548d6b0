//! A Docker-compatible engine as the source of truth: events are hints, an inspection is the truth.

mod engine;
mod facts;
mod hint;
mod networks;
pub(crate) mod raw;
mod shared;
mod socket;
mod watch;

use std::{net::IpAddr, path::Path, time::Duration};

use bollard::models::ContainerSummary;
use dockmaster_proto::{
    facts::ContainerFacts,
    id::{ContainerId, Name},
};
use futures_util::{StreamExt as _, stream};
use tokio::sync::mpsc;

use self::{engine::Engine, facts::Look, networks::Network};
pub use self::{engine::EngineError, facts::FactsError, socket::SocketError};
use crate::{Inspected, Namespace, Observation, holds};

/// The waits between looks at a container that should have an address and has none yet: about a
/// second in all.
const LOOKS: [Duration; 7] = [
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(300),
    Duration::from_millis(350),
];

/// How many containers are looked at together.
const TOGETHER: usize = 8;

/// The containers of a Docker-compatible engine on this machine.
#[derive(Debug)]
pub struct DockerInventory {
    engine: Engine,
}

impl DockerInventory {
    /// An inventory of the engine behind this socket, whose local networks carry the host's name.
    ///
    /// # Errors
    /// When there is no socket, or root does not own it: only the machine's own engine is
    /// believed. Whether the engine answers is not asked here.
    pub fn new(socket: impl AsRef<Path>, host: Name) -> Result<Self, EngineError> {
        let engine = Engine::new(socket.as_ref(), host)?;
        Ok(Self { engine })
    }

    /// The addresses that the engine's own bridges have on this machine: where containers find it.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn gateways(&self) -> Result<Vec<IpAddr>, EngineError> {
        self.engine.gateways().await
    }

    pub(crate) async fn watch(&self, observations: mpsc::Sender<Observation>) {
        watch::watch(self, observations).await;
    }

    pub(crate) async fn inspect(&self, id: &ContainerId) -> Result<Option<Inspected>, EngineError> {
        self.settled(id).await
    }

    pub(crate) async fn sharing(
        &self,
        namespace: &Namespace,
    ) -> Result<Vec<ContainerId>, EngineError> {
        let mut sharing = Vec::new();
        for summary in &*self.engine.list().await? {
            let Some(id) = listed_id(summary) else {
                continue;
            };
            let config = summary.host_config.as_ref();
            let mode = match config.and_then(|config| config.network_mode.as_deref()) {
                Some(mode) if !mode.is_empty() => facts::mode(mode),
                // An engine whose list does not tell has to be asked for each.
                _ => match self.engine.look(&id).await? {
                    Look::Running { facts, .. } => facts.network_mode,
                    Look::Stopped => continue,
                },
            };
            if namespace.is_used_by(&mode) {
                sharing.push(id);
            }
        }
        Ok(sharing)
    }

    pub(crate) async fn find(&self, ip: IpAddr) -> Result<Vec<ContainerFacts>, EngineError> {
        let ip = ip.to_canonical();
        let mut found = self.running(&|summary| may_hold(summary, ip)).await?.facts;
        found.retain(|facts| holds(facts, ip));
        Ok(found)
    }

    /// The listed containers that are wanted, each by an inspection.
    async fn running(
        &self,
        wanted: &(dyn Fn(&ContainerSummary) -> bool + Sync),
    ) -> Result<Running, EngineError> {
        let listed = self.engine.list().await?;
        let ids = listed
            .iter()
            .filter(|summary| wanted(summary))
            .filter_map(listed_id);
        let mut looks = stream::iter(ids.collect::<Vec<_>>())
            .map(|id| async move { (id, self.settled(&id).await) })
            .buffer_unordered(TOGETHER);
        let mut running = Running::default();
        while let Some((id, look)) = looks.next().await {
            match look {
                Ok(inspected) => running.facts.extend(inspected.map(|it| it.facts)),
                // One stuck container must not hide all the others.
                Err(error) if error.is_local() => {
                    let error = crate::chain(&error);
                    tracing::warn!(container = %id, error, "a running container is not clear");
                    running.unclear.push(id);
                }
                Err(error) => return Err(error),
            }
        }
        running.facts.sort_unstable_by_key(|facts| facts.id);
        Ok(running)
    }

    /// The truth about one container, after as many looks as it takes for its addresses to be there.
    async fn settled(&self, id: &ContainerId) -> Result<Option<Inspected>, EngineError> {
        let mut waits = LOOKS.into_iter();
        loop {
            let wait = waits.next();
            let look = match wait {
                Some(_) => self.engine.look(id).await?,
                None => self.last_look(id).await?,
            };
            match (look, wait) {
                (Look::Stopped, _) => return Ok(None),
                (Look::Running { blank, .. }, Some(wait)) if !blank.is_empty() => {
                    tokio::time::sleep(wait).await;
                }
                (
                    Look::Running {
                        facts, main_pid, ..
                    },
                    _,
                ) => {
                    return Ok(Some(Inspected {
                        facts: *facts,
                        main_pid,
                    }));
                }
            }
        }
    }

    /// The truth about one container whose addresses did not appear: what its networks say of it.
    async fn last_look(&self, id: &ContainerId) -> Result<Look, EngineError> {
        let Look::Running {
            mut facts,
            main_pid,
            blank,
        } = self.engine.look(id).await?
        else {
            return Ok(Look::Stopped);
        };
        for network in &blank {
            let Some(Network::Addressed(name)) = self.engine.network(network) else {
                continue;
            };
            let ips = self.engine.addresses_by_network(network, id).await?;
            let mut attachments = facts.attachments.iter_mut();
            if let Some(attachment) = attachments.find(|at| at.network == name) {
                attachment.ips = ips;
            }
        }
        Ok(Look::Running {
            facts,
            main_pid,
            blank,
        })
    }
}

/// What runs, as far as the engine can tell.
#[derive(Debug, Default)]
struct Running {
    /// The containers that were inspected, sorted by ID.
    facts: Vec<ContainerFacts>,
    /// The containers that run, but whose inspection failed.
    unclear: Vec<ContainerId>,
}

fn listed_id(summary: &ContainerSummary) -> Option<ContainerId> {
    summary.id.as_ref()?.parse().ok()
}

/// Whether a listed container may hold an address: it is listed with it, or with a network whose
/// address is not there yet.
fn may_hold(summary: &ContainerSummary, ip: IpAddr) -> bool {
    let settings = summary.network_settings.as_ref();
    let Some(networks) = settings.and_then(|settings| settings.networks.as_ref()) else {
        return true;
    };
    networks.iter().any(|(name, endpoint)| {
        let ips = facts::addresses(endpoint);
        ips.contains(&ip) || (ips.is_empty() && name != "host" && name != "none")
    })
}
