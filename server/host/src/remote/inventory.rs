//! The master's view of another machine: whatever connection its watcher has at the moment.

use std::{
    fmt,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dockmaster_proto::{
    api::hosts::{FoundContainer, MAX_SHARING, SharedNamespace, SocketAnswer, SocketSubject},
    error::chain,
    facts::ContainerFacts,
    id::{ContainerId, Name},
};
use tokio::sync::{Notify, mpsc, oneshot};

use super::{
    Conduit, Remit,
    link::{self, Ask, Found, Question},
};
use crate::{
    Inspected, Namespace, Observation, holds,
    socket::{Connection, SocketEvidence, Subject},
};

/// Questions that may wait for a host.
const QUESTIONS: usize = 256;
/// How long a host may take for an answer. Shorter than a request is parked.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why another machine has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// Its watcher is not there.
    #[error("host {0} is not connected; is \"dockmaster host run\" running there?")]
    Away(Name),
    /// It does not answer.
    #[error("host {host} did not answer within {} s", PATIENCE.as_secs())]
    Silent {
        /// The host.
        host: Name,
    },
    /// It has more questions than it answers.
    #[error("host {0} has {QUESTIONS} questions to answer already")]
    Busy(Name),
    /// Its engine has no answer.
    #[error("host {host} has no answer: {why}")]
    Unanswered {
        /// The host.
        host: Name,
        /// What it said.
        why: String,
    },
}

/// The containers of another machine, as its watcher tells them.
pub struct RemoteInventory {
    remit: Remit,
    /// A connection that the host made and that is not in use yet: the newest counts.
    arrived: Mutex<Option<Conduit>>,
    arrival: Notify,
    /// The way to ask on the connection that is in use.
    questions: Mutex<Option<mpsc::Sender<Ask>>>,
}

impl fmt::Debug for RemoteInventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteInventory")
            .field("remit", &self.remit)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RemoteInventory {
    /// A machine that has not connected yet.
    #[must_use]
    pub fn new(remit: Remit) -> Self {
        Self {
            remit,
            arrived: Mutex::default(),
            arrival: Notify::new(),
            questions: Mutex::default(),
        }
    }

    /// What it may vouch for.
    #[must_use]
    pub const fn remit(&self) -> &Remit {
        &self.remit
    }

    /// Its watcher has connected: this stream takes the place of any other.
    pub fn attach(&self, stream: Conduit) {
        *lock(&self.arrived) = Some(stream);
        self.arrival.notify_one();
    }

    pub(crate) async fn watch(&self, observations: mpsc::Sender<Observation>) {
        loop {
            tokio::select! {
                () = self.arrival.notified() => {}
                () = observations.closed() => return,
            }
            // Bound to a name: the guard must not live on in a condition.
            let arrived = lock(&self.arrived).take();
            let Some(stream) = arrived else {
                continue;
            };
            let (ask, asked) = mpsc::channel(QUESTIONS);
            *lock(&self.questions) = Some(ask);
            let reason = tokio::select! {
                ended = link::run(stream, &self.remit, &observations, asked) => chain(&ended),
                () = self.newer() => "the host connected anew".to_owned(),
                () = observations.closed() => return,
            };
            *lock(&self.questions) = None;
            if observations.send(Observation::Lost(reason)).await.is_err() {
                return;
            }
        }
    }

    /// Returns when a newer connection is there, which is then still to be taken.
    async fn newer(&self) {
        self.arrival.notified().await;
        self.arrival.notify_one();
    }

    pub(crate) async fn inspect(&self, id: &ContainerId) -> Result<Option<Inspected>, RemoteError> {
        let found = self.ask(Question::Inspect(*id)).await?.containers;
        let found = found
            .into_iter()
            .find(|found| found.facts.id == *id && self.remit.admits(&found.facts).is_ok());
        Ok(found.map(|FoundContainer { facts, main_pid }| Inspected { facts, main_pid }))
    }

    pub(crate) async fn sharing(
        &self,
        namespace: &Namespace,
    ) -> Result<Vec<ContainerId>, RemoteError> {
        let namespace = match namespace.clone() {
            Namespace::Host => SharedNamespace::Host,
            Namespace::Container { id, name } => SharedNamespace::Container { id, name },
        };
        Ok(self.ask(Question::Sharing(namespace)).await?.sharing)
    }

    pub(crate) async fn look(
        &self,
        connection: Connection,
        subjects: &[Subject],
    ) -> Result<SocketEvidence, RemoteError> {
        let subjects = subjects.iter().map(|subject| SocketSubject {
            id: subject.id,
            main_pid: subject.main_pid,
        });
        let question = Question::Look(connection, subjects.take(MAX_SHARING + 1).collect());
        Ok(match self.ask(question).await?.socket {
            Some(SocketAnswer::Owned { container, pid }) => {
                SocketEvidence::Owned { container, pid }
            }
            Some(SocketAnswer::NotThere) => SocketEvidence::NotThere,
            Some(SocketAnswer::Foreign) => SocketEvidence::Foreign,
            Some(SocketAnswer::Ended) => SocketEvidence::Ended,
            Some(SocketAnswer::Unavailable { why }) => SocketEvidence::Unavailable(why),
            None => {
                return Err(RemoteError::Unanswered {
                    host: self.remit.host.clone(),
                    why: "its answer says nothing of the socket".to_owned(),
                });
            }
        })
    }

    pub(crate) async fn find(&self, ip: IpAddr) -> Result<Vec<ContainerFacts>, RemoteError> {
        let ip = ip.to_canonical();
        let found = self.ask(Question::Find(ip)).await?.containers;
        let mut found: Vec<ContainerFacts> = found.into_iter().map(|found| found.facts).collect();
        found.retain(|facts| holds(facts, ip) && self.remit.admits(facts).is_ok());
        Ok(found)
    }

    async fn ask(&self, question: Question) -> Result<Found, RemoteError> {
        let host = || self.remit.host.clone();
        let questions = lock(&self.questions).clone();
        let questions = questions.ok_or_else(|| RemoteError::Away(host()))?;
        let (answer, answered) = oneshot::channel();
        questions
            .try_send(Ask { question, answer })
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => RemoteError::Busy(host()),
                mpsc::error::TrySendError::Closed(_) => RemoteError::Away(host()),
            })?;
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(Ok(found))) => Ok(found),
            Ok(Ok(Err(why))) => Err(RemoteError::Unanswered { host: host(), why }),
            Ok(Err(_)) => Err(RemoteError::Away(host())),
            Err(_) => Err(RemoteError::Silent { host: host() }),
        }
    }
}
