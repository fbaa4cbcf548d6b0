//! What a container host knows about its containers, as a stream of observations and as answers
//! to questions.
//!
//! In scope: watching a Docker-compatible engine over its Unix socket, and an inventory file for
//! places without an engine (VMs, other runtimes, demonstrations, load tests); and both ends of the
//! stream by which the watcher of another machine tells the master the same ([`remote`]). Out of
//! scope: what an observation means. Opening and closing leases is the master's decision.
//!
//! Two ways in, and both are needed: [`Inventory::watch`] tells of changes as they happen, while
//! [`Inventory::inspect`] and [`Inventory::find`] look afresh, for a request that overtakes the
//! news of its own container.

#![forbid(unsafe_code)]

mod backoff;
mod bounded;
mod clock;
pub mod docker;
pub mod file;
mod known;
#[doc(hidden)]
pub mod raw;
pub mod remote;
pub mod socket;

use std::net::IpAddr;

use dockmaster_proto::{
    address::Address,
    error::chain,
    event::LeaseCause,
    facts::{ContainerFacts, NetworkMode},
    id::ContainerId,
};
use tokio::sync::mpsc;

use crate::socket::{Connection, SocketEvidence, Subject};
pub use crate::{
    bounded::{MAX_REFUSED, bounded, bounded_facts},
    docker::DockerInventory,
    file::FileInventory,
    remote::RemoteInventory,
};

/// One piece of news about a host's containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// Everything that runs now: the first news after every (re)connect. What is not in it does not
    /// run; what is in it with a new start time was restarted unseen.
    Snapshot {
        /// What is known of each, sorted by ID.
        containers: Vec<ContainerFacts>,
        /// Those that run, and of which nothing can be told: what was known of them stands.
        unclear: Vec<ContainerId>,
    },
    /// A container started, or what is known of it changed.
    Up(ContainerFacts),
    /// A container ended.
    Down {
        /// The container.
        id: ContainerId,
        /// [`LeaseCause::Died`] when its end was reported, [`LeaseCause::Missing`] when it was
        /// found gone.
        cause: LeaseCause,
    },
    /// The host cannot be watched at the moment, and why. A snapshot follows once it can; until
    /// then nothing is known to have changed.
    Lost(String),
    /// A further host said of a container what it may not say; nothing of it is taken up.
    Refused {
        /// The container.
        id: ContainerId,
        /// Its name, as the host says.
        name: String,
        /// The addresses that are refused to it, as the host says.
        addresses: Vec<Address>,
        /// Why, in words.
        reason: String,
    },
}

/// A running container by a fresh look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// All that is told of it.
    pub facts: ContainerFacts,
    /// Its first process, as the host counts; none where the host has no processes to tell of.
    pub main_pid: Option<u32>,
}

/// A network namespace that a container may use and not own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Namespace {
    /// The host's.
    Host,
    /// That of another container, which engines name by its ID or its name.
    Container {
        /// Its ID.
        id: ContainerId,
        /// Its name.
        name: String,
    },
}

impl Namespace {
    /// Whether a container with this network mode uses it.
    #[must_use]
    pub fn is_used_by(&self, mode: &NetworkMode) -> bool {
        match (self, mode) {
            (Self::Host, NetworkMode::Host) => true,
            (Self::Container { id, name }, NetworkMode::Container(other)) => {
                // Some engines keep the beginning of an ID as it was typed.
                let is_its_id = other.len() >= 12 && id.to_string().starts_with(other);
                is_its_id || other == name
            }
            _ => false,
        }
    }
}

/// Why a host has no answer.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The container engine.
    #[error(transparent)]
    Docker(#[from] docker::EngineError),
    /// The inventory file.
    #[error(transparent)]
    File(#[from] std::sync::Arc<file::FileError>),
    /// The host watcher on another machine.
    #[error(transparent)]
    Remote(#[from] remote::RemoteError),
    /// The look at a socket.
    #[error(transparent)]
    Socket(#[from] socket::LookError),
}

/// A source of truth about the containers of one host.
#[derive(Debug)]
pub enum Inventory {
    /// A Docker-compatible engine.
    Docker(DockerInventory),
    /// A file.
    File(FileInventory),
    /// The host watcher of another machine, over its connection.
    Remote(RemoteInventory),
}

impl Inventory {
    /// Sends observations until the receiver is dropped, reconnecting as often as it takes.
    pub async fn watch(&self, observations: mpsc::Sender<Observation>) {
        match self {
            Self::Docker(docker) => docker.watch(observations).await,
            Self::File(file) => file.watch(observations).await,
            Self::Remote(remote) => remote.watch(observations).await,
        }
    }

    /// The fresh truth about one container; `None` when it does not run.
    ///
    /// # Errors
    /// When the engine does not answer, or the file could never be read.
    pub async fn inspect(&self, id: &ContainerId) -> Result<Option<Inspected>, HostError> {
        match self {
            Self::Docker(docker) => Ok(docker.inspect(id).await?),
            Self::File(file) => Ok(file.inspect(id)?.map(|facts| Inspected {
                facts,
                main_pid: None,
            })),
            Self::Remote(remote) => Ok(remote.inspect(id).await?),
        }
    }

    /// The running containers that use a network namespace without owning it, by a fresh look.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn sharing(&self, namespace: &Namespace) -> Result<Vec<ContainerId>, HostError> {
        match self {
            Self::Docker(docker) => Ok(docker.sharing(namespace).await?),
            // Each container of a file has a namespace of its own.
            Self::File(_) => Ok(Vec::new()),
            Self::Remote(remote) => Ok(remote.sharing(namespace).await?),
        }
    }

    /// What the host's kernel says of a connection and the containers that may hold its other end.
    ///
    /// # Errors
    /// When the host does not answer.
    pub async fn look(
        &self,
        connection: Connection,
        subjects: Vec<Subject>,
    ) -> Result<SocketEvidence, HostError> {
        match self {
            Self::Docker(_) | Self::File(_) => Ok(socket::look(connection, subjects).await?),
            Self::Remote(remote) => Ok(remote.look(connection, &subjects).await?),
        }
    }

    /// The running containers that hold this IP now, by a fresh look: more than one when several
    /// networks of the host use the same range.
    ///
    /// # Errors
    /// When the engine does not answer, or the file could never be read.
    pub async fn find(&self, ip: IpAddr) -> Result<Vec<ContainerFacts>, HostError> {
        match self {
            Self::Docker(docker) => Ok(docker.find(ip).await?),
            Self::File(file) => Ok(file.find(ip)?),
            Self::Remote(remote) => Ok(remote.find(ip).await?),
        }
    }
}

/// Whether a container holds an IP in any network.
fn holds(facts: &ContainerFacts, ip: IpAddr) -> bool {
    facts.attachments.iter().any(|at| at.ips.contains(&ip))
}
