//! The few calls to the engine that this crate needs, each bounded in time.

use std::{
    collections::HashMap,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bollard::{
    API_DEFAULT_VERSION, Docker,
    errors::Error as Cause,
    models::ContainerSummary,
    query_parameters::{EventsOptionsBuilder, ListContainersOptions},
};
use dockmaster_proto::id::{ContainerId, Name};
use futures_util::{Stream, StreamExt as _};

use super::{
    facts::{self, FactsError, Look},
    hint::{self, Hint},
    networks::Networks,
    shared::Shared,
    socket::{self, SocketError},
};

/// How long a call may take, in seconds: an engine under load is slow.
const PATIENCE_SECONDS: u64 = 10;

/// How long one inspection may take. It waits for the container's lock, and an engine can be stuck
/// with one container for good; all others must not wait for that.
const LOOK_PATIENCE: Duration = Duration::from_secs(2);

/// Why an engine has no answer.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The socket cannot speak for the containers of this machine.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// A call failed.
    #[error("the container engine at {socket} could not {what}")]
    Call {
        /// The engine's socket.
        socket: PathBuf,
        /// What was asked of it.
        what: String,
        /// What went wrong.
        source: Box<Cause>,
    },
    /// The events ended: the engine stops, or restarts.
    #[error("the container engine at {socket} ended its events; is it restarting?")]
    EventsEnded {
        /// The engine's socket.
        socket: PathBuf,
    },
    /// More events came than could be looked into.
    #[error("the container engine at {socket} sent events faster than they could be looked into")]
    Overrun {
        /// The engine's socket.
        socket: PathBuf,
    },
    /// An answer cannot be used.
    #[error(transparent)]
    Facts(#[from] FactsError),
    /// Why a question had no answer that others asked too.
    #[error(transparent)]
    Shared(#[from] Arc<EngineError>),
}

impl EngineError {
    /// Whether the engine lives and only one container (or one answer) is the trouble.
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Self::Facts(_) => true,
            Self::Call { source, .. } => matches!(
                **source,
                Cause::DockerResponseServerError { .. }
                    | Cause::RequestTimeoutError
                    | Cause::JsonDataError { .. }
            ),
            Self::Shared(error) => error.is_local(),
            Self::Socket(_) | Self::EventsEnded { .. } | Self::Overrun { .. } => false,
        }
    }
}

/// One engine.
#[derive(Debug)]
pub(super) struct Engine {
    socket: PathBuf,
    docker: Docker,
    host: Name,
    networks: Mutex<Arc<Networks>>,
    list: Shared<Result<Arc<[ContainerSummary]>, Arc<EngineError>>>,
}

impl Engine {
    /// An engine behind a trusted socket; nothing is asked of it yet.
    pub(super) fn new(socket: &Path, host: Name) -> Result<Self, EngineError> {
        socket::check(socket)?;
        let text = socket.to_string_lossy();
        let docker = Docker::connect_with_unix(&text, PATIENCE_SECONDS, API_DEFAULT_VERSION)
            .map_err(|source| EngineError::Call {
                socket: socket.to_owned(),
                what: "be reached".to_owned(),
                source: Box::new(source),
            })?;
        Ok(Self {
            socket: socket.to_owned(),
            docker,
            host,
            networks: Mutex::default(),
            list: Shared::default(),
        })
    }

    fn failed(&self, what: impl Into<String>) -> impl FnOnce(Cause) -> EngineError {
        let (socket, what) = (self.socket.clone(), what.into());
        move |source| EngineError::Call {
            socket,
            what,
            source: Box::new(source),
        }
    }

    /// What ended an event stream that simply stopped.
    pub(super) fn events_ended(&self) -> EngineError {
        EngineError::EventsEnded {
            socket: self.socket.clone(),
        }
    }

    /// The verdict on a queue of hints that is full.
    pub(super) fn overrun(&self) -> EngineError {
        EngineError::Overrun {
            socket: self.socket.clone(),
        }
    }

    /// Hints from everything that happened since a point in time, and from now on.
    pub(super) fn hints(
        &self,
        since: Duration,
    ) -> Result<impl Stream<Item = Result<Hint, EngineError>> + use<>, EngineError> {
        socket::check(&self.socket)?;
        let filters = HashMap::from([
            ("type", hint::TYPES.to_vec()),
            ("event", hint::ACTIONS.to_vec()),
        ]);
        let since = format!("{}.{:09}", since.as_secs(), since.subsec_nanos());
        let options = EventsOptionsBuilder::new()
            .since(&since)
            .filters(&filters)
            .build();
        let socket = self.socket.clone();
        Ok(self.docker.events(Some(options)).filter_map(move |event| {
            let hint = match event {
                Ok(event) => hint::hint(&event).map(Ok),
                Err(source) => Some(Err(EngineError::Call {
                    socket: socket.clone(),
                    what: "send its events".to_owned(),
                    source: Box::new(source),
                })),
            };
            std::future::ready(hint)
        }))
    }

    /// The running containers in the engine's own summary. It is the dearest question, asked for every
    /// address that nobody is known to have: so once for all who ask.
    pub(super) async fn list(&self) -> Result<Arc<[ContainerSummary]>, EngineError> {
        let list = self.list.ask(async || {
            let list = self.list_now().await;
            list.map(Arc::from).map_err(Arc::new)
        });
        Ok(list.await?)
    }

    async fn list_now(&self) -> Result<Vec<ContainerSummary>, EngineError> {
        socket::check(&self.socket)?;
        let running_only = None::<ListContainersOptions>;
        self.docker
            .list_containers(running_only)
            .await
            .map_err(self.failed("list its containers"))
    }

    /// Lists the networks anew.
    pub(super) async fn refresh_networks(&self) -> Result<Arc<Networks>, EngineError> {
        let list = self
            .docker
            .list_networks(None)
            .await
            .map_err(self.failed("list its networks"))?;
        let networks = Arc::new(Networks::read(list, &self.host));
        let mut held = self.networks.lock().unwrap_or_else(PoisonError::into_inner);
        *held = Arc::clone(&networks);
        Ok(networks)
    }

    /// The addresses that the engine's own bridges have on this machine.
    pub(super) async fn gateways(&self) -> Result<Vec<IpAddr>, EngineError> {
        socket::check(&self.socket)?;
        let networks = self
            .docker
            .list_networks(None)
            .await
            .map_err(self.failed("list its networks"))?;
        let bridges = networks
            .into_iter()
            .filter(|network| network.driver.as_deref() == Some("bridge"));
        let ranges = bridges.filter_map(|network| network.ipam?.config).flatten();
        Ok(ranges
            .filter_map(|range| facts::address(&range.gateway?))
            .collect())
    }

    /// One look at one container.
    pub(super) async fn look(&self, id: &ContainerId) -> Result<Look, EngineError> {
        socket::check(&self.socket)?;
        let text = id.to_string();
        let inspection = self.docker.inspect_container(&text, None);
        let answer = match tokio::time::timeout(LOOK_PATIENCE, inspection).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(Cause::DockerResponseServerError {
                status_code: 404, ..
            })) => return Ok(Look::Stopped),
            Ok(Err(error)) => return Err(self.failed(format!("inspect container {id}"))(error)),
            Err(_) => {
                let stuck = self.failed(format!("inspect container {id}"));
                return Err(stuck(Cause::RequestTimeoutError));
            }
        };
        let networks = Arc::clone(&self.networks.lock().unwrap_or_else(PoisonError::into_inner));
        match facts::read(answer.clone(), &networks) {
            Err(FactsError::UnknownNetwork { .. }) => {
                let networks = self.refresh_networks().await?;
                Ok(facts::read(answer, &networks)?)
            }
            read => Ok(read?),
        }
    }

    /// What the network itself says of a container's addresses: a second source for an endpoint
    /// whose address the container's own account lacks.
    pub(super) async fn addresses_by_network(
        &self,
        network: &str,
        id: &ContainerId,
    ) -> Result<Vec<IpAddr>, EngineError> {
        let answer = self
            .docker
            .inspect_network(network, None)
            .await
            .map_err(self.failed(format!("inspect network {network}")))?;
        let mut containers = answer.containers.unwrap_or_default();
        let Some(endpoint) = containers.remove(&id.to_string()) else {
            return Ok(Vec::new());
        };
        Ok([endpoint.ipv4_address, endpoint.ipv6_address]
            .into_iter()
            .flatten()
            .filter_map(|text| facts::address(&text))
            .collect())
    }

    /// The name by which a network of this ID is known here.
    pub(super) fn network(&self, id: &str) -> Option<super::networks::Network> {
        let networks = self.networks.lock().unwrap_or_else(PoisonError::into_inner);
        networks.get(id).cloned()
    }
}
