//! The relay: containers' connections, passed on to the master byte for byte, each inside a
//! connection of the host's own. TLS is between the agent and the master; nothing is read here.

use std::{
    collections::HashSet,
    fmt::Display,
    future::pending,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use dockmaster_client::{Call, ClientError};
use dockmaster_host::Inventory;
use dockmaster_proto::{
    api::hosts::{RELAY_PROTOCOL, RelayedFrom},
    error::chain,
    route::Route,
};
use rustix::net::sockopt;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{
    OutpostError, Place,
    complaints::{Complaints, Reason},
    places::Places,
    standing::Standing,
};

/// Where agents look for a master by default.
const PORT: u16 = 8140;
/// How often the engine is asked for its bridges at most.
const BRIDGES_EVERY: Duration = Duration::from_millis(500);
/// How long the master may go on speaking to an agent that has said its last.
const LINGER: Duration = Duration::from_secs(10);
/// After which silence the kernel asks whether a container is still there, and how often.
const PROBE_AFTER: Duration = Duration::from_secs(30);
const PROBE_EVERY: Duration = Duration::from_secs(10);

/// The relay of one host.
#[derive(Debug)]
pub(super) struct Relay {
    listeners: Vec<TcpListener>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    standing: Arc<Standing>,
    bridges: Option<Bridges>,
    places: Arc<Places>,
    complaints: Complaints,
}

impl Relay {
    pub(super) async fn bind(
        place: Place,
        inventory: Arc<Inventory>,
        standing: Arc<Standing>,
        places: Arc<Places>,
    ) -> Result<Self, OutpostError> {
        let (listeners, bridges) = match place {
            Place::At(addresses) => {
                let mut listeners = Vec::new();
                for address in addresses {
                    listeners.push(listen(address).await?);
                }
                (listeners, None)
            }
            Place::Bridges => {
                if !matches!(&*inventory, Inventory::Docker(_)) {
                    return Err(OutpostError::NoBridges);
                }
                let any = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), PORT);
                let any_v4 = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), PORT);
                // Both families where the machine has both.
                let listener = match listen(any).await {
                    Ok(listener) => listener,
                    Err(_) => listen(any_v4).await?,
                };
                (vec![listener], Some(Bridges::new(inventory)))
            }
        };
        let shared = Shared {
            standing,
            bridges,
            places,
            complaints: Complaints::default(),
        };
        Ok(Self {
            listeners,
            shared: Arc::new(shared),
        })
    }

    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        let addresses = self.listeners.iter().map(TcpListener::local_addr);
        addresses.filter_map(Result::ok).collect()
    }

    /// Takes connections for as long as it is polled.
    pub(super) async fn run(self) {
        for listener in self.listeners {
            tokio::spawn(accept_all(listener, self.shared.clone()));
        }
        pending::<()>().await;
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, OutpostError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| OutpostError::Listen { address, source })
}

async fn accept_all(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (stream, origin) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // The machine is out of open files, most likely: give others time to close some.
                if let Some(more) = shared.complaints.due(Reason::NotAccepted, Instant::now()) {
                    tracing::warn!(%error, more, "containers' connections cannot be accepted");
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        let place = match shared.places.enter(origin.ip()) {
            Ok(place) => place,
            Err(full) => {
                shared.complain(Reason::NoPlace(full), origin, &full, full.hint());
                continue;
            }
        };
        let shared = shared.clone();
        tokio::spawn(async move {
            let _place = place;
            match shared.relay(stream, origin).await {
                Ok(()) => {}
                Err(RelayError::Client(ClientError::Problem(problem))) => {
                    let reason = Reason::Refused(problem.code);
                    shared.complain(reason, origin, &problem.detail, &problem.hint);
                }
                Err(error @ RelayError::NoBridge(_)) => {
                    let hint = "let agents dial the gateway of their network, or name the address with --listen";
                    shared.complain(Reason::NoBridge, origin, &error, hint);
                }
                // A container that goes away; or the master does, of which the watcher tells.
                Err(error @ (RelayError::Io(_) | RelayError::Client(_))) => {
                    tracing::debug!(%origin, error = %chain(&error), "a connection was not relayed");
                }
            }
        });
    }
}

/// Why a connection is not relayed.
#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error("the container's connection")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("{0} is not the address of a bridge of this engine")]
    NoBridge(IpAddr),
}

impl Shared {
    /// Says why a container's connection was closed: to the container nobody can.
    fn complain(&self, reason: Reason, origin: SocketAddr, why: &dyn Display, hint: &str) {
        let ip = origin.ip().to_canonical();
        if let Some(more) = self.complaints.due(reason, Instant::now()) {
            tracing::warn!(origin = %ip, reason = %why, hint, more, "a container's connection was closed");
        }
        tracing::debug!(%origin, reason = %why, "a connection was not relayed");
    }

    async fn relay(&self, mut agent: TcpStream, origin: SocketAddr) -> Result<(), RelayError> {
        let dialled = agent.local_addr()?;
        if let Some(bridges) = &self.bridges
            && !bridges.have(dialled.ip().to_canonical()).await
        {
            return Err(RelayError::NoBridge(dialled.ip()));
        }
        agent.set_nodelay(true)?;
        sockopt::set_socket_keepalive(&agent, true).map_err(io::Error::from)?;
        sockopt::set_tcp_keepidle(&agent, PROBE_AFTER).map_err(io::Error::from)?;
        sockopt::set_tcp_keepintvl(&agent, PROBE_EVERY).map_err(io::Error::from)?;
        let canonical =
            |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        let from = RelayedFrom {
            origin: canonical(origin),
            dialled: canonical(dialled),
        };
        let connection = self.standing.dialer().dial().await?;
        let call = Call::new(Route::HostRelay).query(from.query());
        let (_, mut master) = connection.upgrade(&call, RELAY_PROTOCOL).await?;
        pass(&mut agent, &mut master).await;
        Ok(())
    }
}

/// Passes bytes on until the master ends it, or the agent has ended it and the master had its time.
async fn pass(
    agent: &mut (impl AsyncRead + AsyncWrite + Unpin),
    master: &mut (impl AsyncRead + AsyncWrite + Unpin),
) {
    let (mut from_agent, mut to_agent) = tokio::io::split(agent);
    let (mut from_master, mut to_master) = tokio::io::split(master);
    // What breaks a connection shows at its two ends; here there is nobody to tell.
    let up = async {
        let _ = tokio::io::copy(&mut from_agent, &mut to_master).await;
        let _ = to_master.shutdown().await;
        tokio::time::sleep(LINGER).await;
    };
    let down = async {
        let _ = tokio::io::copy(&mut from_master, &mut to_agent).await;
        let _ = to_agent.shutdown().await;
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}

/// The addresses of the engine's bridges, asked again when an address is not among them: a network
/// may have been made since.
#[derive(Debug)]
struct Bridges {
    inventory: Arc<Inventory>,
    known: tokio::sync::Mutex<(HashSet<IpAddr>, Option<Instant>)>,
}

impl Bridges {
    fn new(inventory: Arc<Inventory>) -> Self {
        Self {
            inventory,
            known: tokio::sync::Mutex::default(),
        }
    }

    async fn have(&self, ip: IpAddr) -> bool {
        let mut known = self.known.lock().await;
        let (bridges, asked) = &mut *known;
        let is_old = asked.is_none_or(|asked| asked.elapsed() > BRIDGES_EVERY);
        if !bridges.contains(&ip)
            && is_old
            && let Inventory::Docker(docker) = &*self.inventory
        {
            match docker.gateways().await {
                Ok(gateways) => *bridges = gateways.into_iter().collect(),
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "the engine could not be asked for its bridges");
                }
            }
            *asked = Some(Instant::now());
        }
        bridges.contains(&ip)
    }
}
