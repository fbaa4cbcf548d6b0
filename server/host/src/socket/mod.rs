//! Whose socket is it? The kernel's own answer about one TCP connection: in which network namespace
//! its other end lies, and which container's process holds it.
//!
//! An address alone says nothing of who speaks: whoever shares a bridge can take a neighbour's
//! (ARP), and an address is reused within a second. A socket cannot be borrowed: it lives in one
//! network namespace and in the file tables of the processes that hold it.
//!
//! `diag` and `cgroup` are pure (bytes and texts in, facts out), `probe` asks the kernel.

mod cgroup;
mod diag;
mod probe;

use std::{net::SocketAddr, time::Duration};

use dockmaster_proto::id::ContainerId;
use tokio::sync::{Semaphore, oneshot};

/// How many connections are looked into at a time: each takes a thread for about a millisecond.
const TOGETHER: usize = 8;
static PLACES: Semaphore = Semaphore::const_new(TOGETHER);

/// How long a look may take. It reads of the kernel alone, so it takes longer only where the machine
/// does not come to it.
const PATIENCE: Duration = Duration::from_secs(5);

/// A TCP connection, as both of its ends see it: nothing between them may translate addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// The end that claims to be a container's.
    pub source: SocketAddr,
    /// The master's end.
    pub local: SocketAddr,
}

/// A running container, and its first process as this machine counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// The container.
    pub id: ContainerId,
    /// Its first process.
    pub main_pid: u32,
}

/// What the kernel says of a connection and some containers that may hold its other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketEvidence {
    /// A process of this container holds it, in the network namespace that was looked into.
    Owned {
        /// The container.
        container: ContainerId,
        /// A process that holds it, as this machine counts.
        pid: u32,
    },
    /// There is no such connection in the network namespace: it comes from elsewhere, or its other
    /// end has closed it.
    NotThere,
    /// It is in the network namespace, and none of the containers holds it.
    Foreign,
    /// The first container's process is not that container's (any more).
    Ended,
    /// The kernel of this machine cannot be asked, today or tomorrow, and why.
    Unavailable(String),
}

/// Why there is no answer this time. There may be one in a moment, so it is no [`Unavailable`]: a
/// container that could bring it about would be believed by its address alone.
///
/// [`Unavailable`]: SocketEvidence::Unavailable
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("whose socket it is cannot be told now: {0}")]
pub struct LookError(String);

/// Looks for the other end of a connection in the network namespace of the first container, and
/// among the processes of all of them. Containers that are in another network namespace than the
/// first are no candidates, whatever their engine says.
///
/// # Errors
/// When the machine cannot look now: it is out of threads, files, memory or time.
pub async fn look(
    connection: Connection,
    subjects: Vec<Subject>,
) -> Result<SocketEvidence, LookError> {
    let Ok(_place) = PLACES.acquire().await else {
        return Err(LookError("no more looks are taken".to_owned()));
    };
    let (tell, told) = oneshot::channel();
    // A thread of its own, which ends: one of the runtime's would stay in the container's network
    // namespace with whatever it does next.
    let thread = std::thread::Builder::new()
        .name("socket-evidence".to_owned())
        .spawn(move || {
            let _ = tell.send(probe::probe(connection, &subjects));
        });
    if let Err(error) = thread {
        return Err(LookError(format!("no thread for it can be had: {error}")));
    }
    match tokio::time::timeout(PATIENCE, told).await {
        Ok(Ok(evidence)) => evidence,
        Ok(Err(_)) => Err(LookError("the look at it panicked".to_owned())),
        Err(_) => Err(LookError(format!(
            "the kernel gave no answer within {} s",
            PATIENCE.as_secs()
        ))),
    }
}
