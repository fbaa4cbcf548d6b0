//! A further host's side: it tells a master elsewhere of this machine's containers, relays their
//! connections to it, and keeps its own certificate current. It decides nothing.

mod complaints;
mod places;
mod relay;
mod standing;

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use dockmaster_client::{Call, ClientError, ContextError};
use dockmaster_host::{
    DockerInventory, FileInventory, Inventory, Observation, docker::EngineError, remote,
};
use dockmaster_proto::{
    api::hosts::WATCH_PROTOCOL,
    error::chain,
    header,
    id::Name,
    problem::{Problem, ProblemCode},
    route::Route,
};

use places::{Limits, Places};
use relay::Relay;
use standing::Standing;

use crate::open_files;

/// The waits between attempts to reach the master, and how long a connection has to have lasted for
/// the waits to begin anew.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(10);
const LASTING: Duration = Duration::from_secs(30);

/// Where the truth about this machine's containers comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// The engine behind this socket.
    Docker(PathBuf),
    /// This inventory file.
    File(PathBuf),
}

/// Where containers' connections are taken.
#[derive(Debug, Clone)]
pub enum Place {
    /// At these addresses.
    At(Vec<SocketAddr>),
    /// At port 8140 of the engine's bridges, also of those that are made later.
    Bridges,
}

/// Why a host's watcher does not start, or ends.
#[derive(Debug, thiserror::Error)]
pub enum OutpostError {
    /// The context cannot be read.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// The context's certificate or bundle cannot be used.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The context is somebody else's.
    #[error("the context {path} is not a host's: {why}", path = .path.display())]
    NotAHost {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        why: String,
    },
    /// The engine cannot be watched.
    #[error("the container engine cannot be watched")]
    Engine(#[from] EngineError),
    /// The relay cannot listen.
    #[error(
        "cannot listen on {address}; is another program listening there, or the address not of this machine?"
    )]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Nothing could be relayed beside the watcher.
    #[error(
        "the limit of open files is {limit}, and the watcher and its relay need {} at least",
        Limits::FEWEST_FILES
    )]
    TooFewFiles {
        /// The limit.
        limit: usize,
    },
    /// Bridges are known of an engine only.
    #[error("an inventory file tells no bridges; say where to listen")]
    NoBridges,
    /// Signals cannot be received.
    #[error("signals cannot be received")]
    Signals(#[source] io::Error),
    /// The master wants nothing more of this host.
    #[error("{}", .0.detail)]
    Refused(Problem),
}

/// A host's watcher and relay.
#[derive(Debug)]
pub struct Outpost {
    standing: Arc<Standing>,
    inventory: Arc<Inventory>,
    places: Arc<Places>,
    relay: Relay,
}

impl Outpost {
    /// Reads the context, opens the inventory and listens for containers.
    ///
    /// # Errors
    /// When one of these cannot be done.
    pub async fn open(context: &Path, source: Source, place: Place) -> Result<Self, OutpostError> {
        let standing = Arc::new(Standing::load(context)?);
        let inventory = Arc::new(inventory(source, standing.host())?);
        let places = Arc::new(Places::new(limits()?));
        let relay = Relay::bind(place, inventory.clone(), standing.clone(), places.clone()).await?;
        Ok(Self {
            standing,
            inventory,
            places,
            relay,
        })
    }

    /// Where it takes containers' connections.
    #[must_use]
    pub fn listening(&self) -> Vec<SocketAddr> {
        self.relay.addresses()
    }

    /// Works until the master wants nothing more of this host.
    pub async fn run(self) -> OutpostError {
        let Self {
            standing,
            inventory,
            places,
            relay,
        } = self;
        tokio::select! {
            error = watch(&standing, &inventory, &places) => error,
            error = standing.keep_current() => error,
            () = relay.run() => unreachable_end(),
        }
    }
}

/// The relay runs for good; should it ever end, the program must not go on without it.
fn unreachable_end() -> OutpostError {
    OutpostError::Refused(Problem::new(
        ProblemCode::Internal,
        "the relay ended",
        "start the watcher again",
    ))
}

/// How many connections may be relayed beside what the watcher needs.
fn limits() -> Result<Limits, OutpostError> {
    let limit = open_files::raise_limit();
    let limits = Limits::within(limit).ok_or(OutpostError::TooFewFiles { limit })?;
    if limits.are_reduced() {
        tracing::warn!(
            limit,
            "the limit of open files is low: {} connections are relayed at a time, {} of one address; a limit of {} (LimitNOFILE=) allows as many as ever",
            limits.all,
            limits.of_one,
            Limits::MOST_FILES
        );
    }
    Ok(limits)
}

fn inventory(source: Source, host: &Name) -> Result<Inventory, OutpostError> {
    Ok(match source {
        Source::Docker(socket) => Inventory::Docker(DockerInventory::new(socket, host.clone())?),
        Source::File(path) => Inventory::File(FileInventory::new(path, host.clone())),
    })
}

/// Tells the master of this machine's containers, again and again.
async fn watch(standing: &Standing, inventory: &Arc<Inventory>, places: &Places) -> OutpostError {
    let mut wait = FIRST_WAIT;
    let mut told = String::new();
    loop {
        let began = Instant::now();
        let why = match watch_once(standing, inventory, places).await {
            Ok(ended) => chain(&ended),
            Err(ClientError::Problem(problem)) if is_final(&problem) => {
                return OutpostError::Refused(problem);
            }
            Err(error) => chain(&error),
        };
        if began.elapsed() > LASTING {
            wait = FIRST_WAIT;
        }
        if why != told {
            tracing::warn!(reason = %why, "not connected to the master; trying again");
            told = why;
        }
        tokio::time::sleep(wait + standing.jitter(wait)).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

async fn watch_once(
    standing: &Standing,
    inventory: &Arc<Inventory>,
    places: &Places,
) -> Result<remote::ReportError, ClientError> {
    let connection = standing.dialer().dial().await?;
    let (headers, stream) = connection
        .upgrade(&Call::new(Route::HostWatch), WATCH_PROTOCOL)
        .await?;
    if headers.contains_key(header::RENEW) {
        standing.renew_now();
    }
    tracing::info!(host = %standing.host(), "the master hears of this host's containers");
    let heard = |observation: &Observation| places.take_up(observation);
    match remote::report(inventory.clone(), Box::new(stream), heard).await {
        Err(ended) => Ok(ended),
    }
}

/// Whether asking again makes no sense: this host is evicted.
fn is_final(problem: &Problem) -> bool {
    matches!(
        problem.code,
        ProblemCode::CertificateRevoked | ProblemCode::Forbidden
    )
}
