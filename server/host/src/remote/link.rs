//! The master's end of one watch stream: frames to observations, questions to answers.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use dockmaster_proto::{
    api::hosts::{
        FoundContainer, HostSays, MAX_FOUND, MAX_SHARING, MasterSays, SharedNamespace,
        SocketAnswer, SocketSubject,
    },
    event::LeaseCause,
    facts::ContainerFacts,
    id::ContainerId,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};

use super::{
    BEAT, Conduit, Remit, SILENCE,
    frame::{self, FrameError},
};
use crate::{Observation, socket::Connection};

/// The most containers of a host, and bytes that tell of them in one snapshot.
const MAX_CONTAINERS: usize = 20_000;
const MAX_SNAPSHOT: usize = 128 << 20;
/// Changes that a host may report at once, and one more for each of these spans: more than any
/// engine starts, too few to fill the ledger with.
const BURST: u32 = 4096;
const REFILL: Duration = Duration::from_millis(5);

/// A question to a host.
#[derive(Debug, Clone)]
pub(super) enum Question {
    /// One container.
    Inspect(ContainerId),
    /// The holders of an IP.
    Find(IpAddr),
    /// Those that share a namespace.
    Sharing(SharedNamespace),
    /// Whose socket it is.
    Look(Connection, Vec<SocketSubject>),
}

/// What a host answers; each question has one kind of it.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) containers: Vec<FoundContainer>,
    pub(super) sharing: Vec<ContainerId>,
    pub(super) socket: Option<SocketAnswer>,
}

/// The host's answer, or why it has none.
pub(super) type Answer = Result<Found, String>;

/// A question and where its answer goes.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) question: Question,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// Why a watch stream ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// The stream or a frame in it.
    #[error("the watch stream of the host ended")]
    Frame(#[from] FrameError),
    /// No word for too long.
    #[error("the host was silent for {} s", SILENCE.as_secs())]
    Silence,
    /// Messages in an order that makes no sense.
    #[error("the host said {0}")]
    OutOfOrder(&'static str),
    /// More than a host can have.
    #[error("the host told of more than {MAX_CONTAINERS} containers, or {MAX_SNAPSHOT} bytes")]
    TooMuch,
    /// The master does not listen any more.
    #[error("the master ended the watch")]
    Ended,
}

/// Questions that were asked and not answered yet, by number.
#[derive(Debug, Default)]
struct Pending(Mutex<HashMap<u64, oneshot::Sender<Answer>>>);

impl Pending {
    fn put(&self, number: u64, answer: oneshot::Sender<Answer>) {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever asked may have stopped waiting.
        pending.retain(|_, answer| !answer.is_closed());
        pending.insert(number, answer);
    }

    fn answer(&self, number: u64, answer: Answer) {
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = pending.remove(&number) {
            // Nobody waits any more: nothing to tell.
            let _ = waiting.send(answer);
        }
    }
}

/// Speaks with a host until the stream ends, and says why it did.
pub(super) async fn run(
    stream: Conduit,
    remit: &Remit,
    observations: &mpsc::Sender<Observation>,
    asked: mpsc::Receiver<Ask>,
) -> LinkError {
    let (mut from, mut to) = tokio::io::split(stream);
    let pending = Pending::default();
    let ended = tokio::select! {
        ended = listen(&mut from, remit, observations, &pending) => ended,
        ended = ask(&mut to, asked, &pending) => ended,
    };
    match ended {
        Err(error) => error,
        Ok(()) => LinkError::Ended,
    }
}

async fn ask(
    to: &mut (impl AsyncWrite + Unpin),
    mut asked: mpsc::Receiver<Ask>,
    pending: &Pending,
) -> Result<(), LinkError> {
    let mut beat = tokio::time::interval(BEAT);
    let mut number = 0;
    loop {
        let says = tokio::select! {
            question = asked.recv() => match question {
                None => return Ok(()),
                Some(Ask { question, answer }) => {
                    number += 1;
                    pending.put(number, answer);
                    match question {
                        Question::Inspect(id) => MasterSays::Inspect { number, id },
                        Question::Find(ip) => MasterSays::Find { number, ip },
                        Question::Sharing(namespace) => MasterSays::Sharing { number, namespace },
                        Question::Look(Connection { source, local }, subjects) => MasterSays::Look {
                            number,
                            source,
                            local,
                            subjects,
                        },
                    }
                }
            },
            _ = beat.tick() => MasterSays::Beat,
        };
        timeout(SILENCE, frame::write(to, &says))
            .await
            .map_err(|_| LinkError::Silence)??;
    }
}

async fn listen(
    from: &mut (impl AsyncRead + Unpin),
    remit: &Remit,
    observations: &mpsc::Sender<Observation>,
    pending: &Pending,
) -> Result<(), LinkError> {
    let mut hearing = Hearing::new(remit);
    let mut pace = Pace::new();
    loop {
        let (says, length) = timeout(SILENCE, frame::read::<HostSays>(from))
            .await
            .map_err(|_| LinkError::Silence)??;
        if let HostSays::Answer {
            number,
            mut found,
            mut sharing,
            socket,
            error,
        } = says
        {
            found.truncate(MAX_FOUND);
            sharing.truncate(MAX_SHARING);
            let answer = if error.is_empty() {
                Ok(Found {
                    containers: found,
                    sharing,
                    socket,
                })
            } else {
                Err(error)
            };
            pending.answer(number, answer);
            continue;
        }
        for observation in hearing.hear(says, length)? {
            pace.wait().await;
            if observations.send(observation).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// What is taken up of a stream that brings these bytes and no more; an error where it does not end between
/// two frames. For tests, which have no clock to wait by.
pub(crate) async fn heard(
    mut bytes: &[u8],
    remit: &Remit,
) -> (Vec<Observation>, Result<(), LinkError>) {
    let mut hearing = Hearing::new(remit);
    let mut heard = vec![];
    loop {
        let taken_up = match frame::read::<HostSays>(&mut bytes).await {
            Ok((says, length)) => hearing.hear(says, length),
            Err(FrameError::Closed) => return (heard, Ok(())),
            Err(error) => Err(error.into()),
        };
        match taken_up {
            Ok(observations) => heard.extend(observations),
            Err(error) => return (heard, Err(error)),
        }
    }
}

/// How fast a host may report changes.
struct Pace {
    /// When as many as may be at once would have been reported at the steady pace.
    free_at: Instant,
}

impl Pace {
    fn new() -> Self {
        Self {
            free_at: Instant::now(),
        }
    }

    async fn wait(&mut self) {
        let now = Instant::now();
        self.free_at = self.free_at.max(now) + REFILL;
        if let Some(until) = self.free_at.checked_sub(REFILL * BURST) {
            tokio::time::sleep_until(until).await;
        }
    }
}

/// What was heard so far. Pure: messages in, observations out.
struct Hearing<'a> {
    remit: &'a Remit,
    snapshot: Option<Snapshot>,
    /// Whether a snapshot was whole since the stream began.
    begun: bool,
}

#[derive(Default)]
struct Snapshot {
    containers: Vec<ContainerFacts>,
    unclear: Vec<ContainerId>,
    refused: Vec<Observation>,
    bytes: usize,
}

impl<'a> Hearing<'a> {
    const fn new(remit: &'a Remit) -> Self {
        Self {
            remit,
            snapshot: None,
            begun: false,
        }
    }

    /// Takes up a message that is no answer.
    fn hear(&mut self, says: HostSays, length: usize) -> Result<Vec<Observation>, LinkError> {
        match (says, &mut self.snapshot) {
            (HostSays::Beat | HostSays::Answer { .. }, _) => Ok(vec![]),
            (HostSays::SnapshotBegins, None) => {
                self.snapshot = Some(Snapshot::default());
                Ok(vec![])
            }
            (HostSays::Container { facts }, Some(snapshot)) => {
                snapshot.grow(length)?;
                match self.remit.admits(&facts) {
                    Ok(()) => snapshot.containers.push(*facts),
                    Err(trespass) => snapshot.refused.push(refused(*facts, &trespass)),
                }
                Ok(vec![])
            }
            (HostSays::Unclear { id }, Some(snapshot)) => {
                snapshot.grow(length)?;
                snapshot.unclear.push(id);
                Ok(vec![])
            }
            (HostSays::SnapshotEnds, whole @ Some(_)) => {
                let Snapshot {
                    mut containers,
                    unclear,
                    refused,
                    bytes: _,
                } = whole.take().unwrap_or_default();
                self.begun = true;
                // Each once: what is said twice of one container would open its leases twice.
                containers.sort_by_key(|facts| facts.id);
                containers.dedup_by_key(|facts| facts.id);
                let snapshot = Observation::Snapshot {
                    containers,
                    unclear,
                };
                Ok(refused.into_iter().chain([snapshot]).collect())
            }
            (HostSays::Up { facts }, None) if self.begun => {
                Ok(match self.remit.admits(&facts) {
                    Ok(()) => vec![Observation::Up(*facts)],
                    // What was known of it does not hold any more, and what is said of it may not.
                    Err(trespass) => {
                        let down = Observation::Down {
                            id: facts.id,
                            cause: LeaseCause::Disconnected,
                        };
                        vec![refused(*facts, &trespass), down]
                    }
                })
            }
            (HostSays::Down { id, cause }, None) if self.begun => {
                // A host knows of its own containers' ends; the other causes are the master's words.
                let cause = match cause {
                    LeaseCause::Missing => LeaseCause::Missing,
                    _ => LeaseCause::Died,
                };
                Ok(vec![Observation::Down { id, cause }])
            }
            (HostSays::Lost { mut reason }, None) => {
                let mut end = reason.len().min(500);
                while !reason.is_char_boundary(end) {
                    end -= 1;
                }
                reason.truncate(end);
                Ok(vec![Observation::Lost(reason)])
            }
            (HostSays::SnapshotBegins, Some(_)) => {
                Err(LinkError::OutOfOrder("that a snapshot begins within one"))
            }
            (
                HostSays::Container { .. } | HostSays::Unclear { .. } | HostSays::SnapshotEnds,
                None,
            ) => Err(LinkError::OutOfOrder("a part of a snapshot outside of one")),
            (HostSays::Up { .. } | HostSays::Down { .. } | HostSays::Lost { .. }, _) => Err(
                LinkError::OutOfOrder("that something changed before its snapshot was whole"),
            ),
        }
    }
}

impl Snapshot {
    fn grow(&mut self, length: usize) -> Result<(), LinkError> {
        self.bytes += length;
        let count = self.containers.len() + self.unclear.len() + self.refused.len();
        if count >= MAX_CONTAINERS || self.bytes > MAX_SNAPSHOT {
            return Err(LinkError::TooMuch);
        }
        Ok(())
    }
}

fn refused(facts: ContainerFacts, trespass: &super::Trespass) -> Observation {
    Observation::Refused {
        id: facts.id,
        addresses: facts.addresses(),
        name: facts.name,
        reason: trespass.to_string(),
    }
}

#[cfg(test)]
#[path = "link_tests.rs"]
mod tests;
