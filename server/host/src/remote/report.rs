//! The host's end of the watch stream: observations out, questions answered.

use std::{convert::Infallible, sync::Arc};

use dockmaster_proto::{
    api::hosts::{
        FoundContainer, HostSays, MAX_FOUND, MAX_SHARING, MasterSays, SharedNamespace, SocketAnswer,
    },
    error::chain,
    facts::ContainerFacts,
    id::ContainerId,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Semaphore, mpsc},
    time::timeout,
};

use super::{
    BEAT, Conduit, SILENCE,
    frame::{self, FrameError},
};
use crate::{
    HostError, Inspected, Inventory, Namespace, Observation, bounded, bounded_facts,
    socket::{Connection, SocketEvidence, Subject},
};

/// Messages that wait to be sent, and observations that wait to be made messages of.
const QUEUE: usize = 1024;
/// Questions that are looked into at a time.
const TOGETHER: usize = 32;

/// Why a watch stream ended.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The stream, or a frame in it.
    #[error("the watch stream to the master ended")]
    Frame(#[from] FrameError),
    /// No word for too long.
    #[error("the master was silent for {} s", SILENCE.as_secs())]
    Silence,
    /// The engine's watch ended, which it never does.
    #[error("the watch of this host ended")]
    Unwatched,
}

/// Tells a master all that happens on this host, from a snapshot on, and answers its questions, until
/// the stream ends. `heard` gets each observation first.
///
/// # Errors
/// Why it ended.
pub async fn report(
    inventory: Arc<Inventory>,
    stream: Conduit,
    heard: impl Fn(&Observation),
) -> Result<Infallible, ReportError> {
    let (mut from, mut to) = tokio::io::split(stream);
    let (say, said) = mpsc::channel(QUEUE);
    let (observe, observations) = mpsc::channel(QUEUE);
    let watched = inventory.clone();
    // Begins anew with every stream, so that the stream begins with a snapshot; ends with the channel.
    tokio::spawn(async move { watched.watch(observe).await });
    tokio::select! {
        ended = speak(&mut to, said) => ended,
        ended = observe_all(observations, &say, heard) => ended,
        ended = answer_all(&mut from, inventory, &say) => ended,
    }
}

async fn speak(
    to: &mut (impl AsyncWrite + Unpin),
    mut said: mpsc::Receiver<HostSays>,
) -> Result<Infallible, ReportError> {
    let mut beat = tokio::time::interval(BEAT);
    loop {
        let says = tokio::select! {
            says = said.recv() => says.ok_or(ReportError::Unwatched)?,
            _ = beat.tick() => HostSays::Beat,
        };
        timeout(SILENCE, frame::write(to, &says))
            .await
            .map_err(|_| ReportError::Silence)??;
    }
}

async fn observe_all(
    mut observations: mpsc::Receiver<Observation>,
    say: &mpsc::Sender<HostSays>,
    heard: impl Fn(&Observation),
) -> Result<Infallible, ReportError> {
    while let Some(observation) = observations.recv().await {
        heard(&observation);
        for says in words(observation) {
            say.send(says).await.map_err(|_| ReportError::Unwatched)?;
        }
    }
    Err(ReportError::Unwatched)
}

/// An observation as messages.
fn words(observation: Observation) -> Vec<HostSays> {
    let container = |facts| HostSays::Container {
        facts: Box::new(facts),
    };
    match bounded(observation) {
        Observation::Snapshot {
            containers,
            unclear,
        } => std::iter::once(HostSays::SnapshotBegins)
            .chain(containers.into_iter().map(container))
            .chain(unclear.into_iter().map(|id| HostSays::Unclear { id }))
            .chain([HostSays::SnapshotEnds])
            .collect(),
        Observation::Up(facts) => vec![HostSays::Up {
            facts: Box::new(facts),
        }],
        Observation::Down { id, cause } => vec![HostSays::Down { id, cause }],
        Observation::Lost(reason) => vec![HostSays::Lost { reason }],
        // Only the master refuses.
        Observation::Refused { .. } => vec![],
    }
}

async fn answer_all(
    from: &mut (impl AsyncRead + Unpin),
    inventory: Arc<Inventory>,
    say: &mpsc::Sender<HostSays>,
) -> Result<Infallible, ReportError> {
    let places = Arc::new(Semaphore::new(TOGETHER));
    loop {
        let (says, _) = timeout(SILENCE, frame::read::<MasterSays>(from))
            .await
            .map_err(|_| ReportError::Silence)??;
        let (inventory, say) = (inventory.clone(), say.clone());
        let Ok(place) = places.clone().acquire_owned().await else {
            return Err(ReportError::Unwatched);
        };
        let looking = async move {
            match says {
                MasterSays::Beat => None,
                MasterSays::Inspect { number, id } => {
                    let found = inventory.inspect(&id).await;
                    Some(answer(number, found, |inspected, answer| {
                        answer.found = inspected
                            .into_iter()
                            .map(|Inspected { facts, main_pid }| found_container(facts, main_pid))
                            .collect();
                    }))
                }
                MasterSays::Find { number, ip } => {
                    let found = inventory.find(ip).await;
                    Some(answer(number, found, |facts, answer| {
                        let found = facts.into_iter().map(|facts| found_container(facts, None));
                        answer.found = found.take(MAX_FOUND).collect();
                    }))
                }
                MasterSays::Sharing { number, namespace } => {
                    let namespace = match namespace {
                        SharedNamespace::Host => Namespace::Host,
                        SharedNamespace::Container { id, name } => {
                            Namespace::Container { id, name }
                        }
                    };
                    let sharing = inventory.sharing(&namespace).await;
                    Some(answer(number, sharing, |mut sharing, answer| {
                        sharing.truncate(MAX_SHARING);
                        answer.sharing = sharing;
                    }))
                }
                MasterSays::Look {
                    number,
                    source,
                    local,
                    subjects,
                } => {
                    let subjects = subjects.into_iter().map(|subject| Subject {
                        id: subject.id,
                        main_pid: subject.main_pid,
                    });
                    let connection = Connection { source, local };
                    let evidence = inventory.look(connection, subjects.collect()).await;
                    Some(answer(number, evidence, |evidence, answer| {
                        answer.socket = Some(socket_answer(evidence));
                    }))
                }
            }
        };
        tokio::spawn(async move {
            let _place = place;
            if let Some(answer) = looking.await {
                // The stream may be over by now.
                let _ = say.send(answer).await;
            }
        });
    }
}

/// The parts of an answer.
#[derive(Default)]
struct Answered {
    found: Vec<FoundContainer>,
    sharing: Vec<ContainerId>,
    socket: Option<SocketAnswer>,
}

fn answer<T>(
    number: u64,
    known: Result<T, HostError>,
    fill: impl FnOnce(T, &mut Answered),
) -> HostSays {
    let mut answered = Answered::default();
    let error = match known {
        Ok(known) => {
            fill(known, &mut answered);
            String::new()
        }
        Err(error) => chain(&error),
    };
    let Answered {
        found,
        sharing,
        socket,
    } = answered;
    HostSays::Answer {
        number,
        found,
        sharing,
        socket,
        error,
    }
}

fn found_container(facts: ContainerFacts, main_pid: Option<u32>) -> FoundContainer {
    FoundContainer {
        facts: bounded_facts(facts),
        main_pid,
    }
}

fn socket_answer(evidence: SocketEvidence) -> SocketAnswer {
    match evidence {
        SocketEvidence::Owned { container, pid } => SocketAnswer::Owned { container, pid },
        SocketEvidence::NotThere => SocketAnswer::NotThere,
        SocketEvidence::Foreign => SocketAnswer::Foreign,
        SocketEvidence::Ended => SocketAnswer::Ended,
        SocketEvidence::Unavailable(why) => SocketAnswer::Unavailable { why },
    }
}
