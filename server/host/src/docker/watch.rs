//! The watch: subscribe, list, reconcile, then follow.
//!
//! One container's news keep their order, since hints are followed one after the other. An end
//! needs no look, so it is always told before the start of whoever inherits the address. What
//! cannot be decided yet (an address that is not there) waits in `unsettled` and holds nobody up.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use dockmaster_proto::{event::LeaseCause, id::ContainerId};
use futures_util::{Stream, StreamExt as _};
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    task::JoinSet,
    time::{Instant, MissedTickBehavior},
};

use super::{
    DockerInventory, EngineError, LOOKS,
    facts::{self, Look},
    hint::Hint,
    listed_id,
};
use crate::{Observation, backoff::Backoff, chain, clock, known::Known};

/// Hints that may wait. An engine drops its events when nobody reads them for 100 ms, so they are
/// read at once and wait here.
const QUEUE: usize = 16_384;

/// How often the engine's list is compared with what was reported, since an engine may drop events.
const COMPARE_EVERY: Duration = Duration::from_secs(15);

/// The wait before the second and last look at a container whose inspection failed.
const LOOK_AFTER_FAILURE: Duration = Duration::from_millis(500);

/// Watches until the receiver is gone.
pub(super) async fn watch(docker: &DockerInventory, observations: mpsc::Sender<Observation>) {
    let mut backoff = Backoff::new();
    let mut told = None;
    let mut known = Known::default();
    loop {
        let mut session = Session::new(docker, &observations, known);
        let reason = match session.run().await {
            Ok(Closed) => return,
            Err(error) => chain(&error),
        };
        known = session.known;
        if session.began {
            (backoff, told) = (Backoff::new(), None);
        }
        // The same trouble is told once, not at every attempt.
        if told.as_ref() != Some(&reason) {
            tracing::warn!(reason, "the container engine cannot be watched");
            told = Some(reason.clone());
            if observations.send(Observation::Lost(reason)).await.is_err() {
                return;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next_delay()) => {}
            () = observations.closed() => return,
        }
    }
}

/// Nobody listens any more.
struct Closed;

/// One connection's time.
struct Session<'a> {
    docker: &'a DockerInventory,
    observations: &'a mpsc::Sender<Observation>,
    known: Known,
    unsettled: BTreeMap<ContainerId, Unsettled>,
    /// Containers that the engine could not inspect; looked at again when something happens to them,
    /// and at each comparison.
    stuck: BTreeSet<ContainerId>,
    /// Whether the snapshot was sent.
    began: bool,
}

/// A container that is looked at again.
struct Unsettled {
    looks: usize,
    due: Instant,
}

impl<'a> Session<'a> {
    fn new(
        docker: &'a DockerInventory,
        observations: &'a mpsc::Sender<Observation>,
        known: Known,
    ) -> Self {
        Self {
            docker,
            observations,
            known,
            unsettled: BTreeMap::new(),
            stuck: BTreeSet::new(),
            began: false,
        }
    }

    async fn run(&mut self) -> Result<Closed, EngineError> {
        // Subscribed before the list is made: what happens meanwhile waits in the queue. The
        // subscription may reach the engine a moment later than the list does, hence `since`.
        let engine = &self.docker.engine;
        let (queue, mut hints) = mpsc::channel(QUEUE);
        let mut reader = JoinSet::new();
        let stream = engine.hints(clock::since_epoch())?;
        reader.spawn(read(stream, queue, engine.events_ended(), engine.overrun()));

        engine.refresh_networks().await?;
        let running = self.docker.running(&|_| true).await?;
        self.stuck.extend(&running.unclear);
        let snapshot = self.known.snapshot(running.facts, running.unclear);
        if self.tell([snapshot]).await.is_err() {
            return Ok(Closed);
        }
        self.began = true;

        let mut compare = tokio::time::interval_at(Instant::now() + COMPARE_EVERY, COMPARE_EVERY);
        compare.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = self.next_due();
            let news = tokio::select! {
                biased;
                () = self.observations.closed() => return Ok(Closed),
                hint = hints.recv() => match hint {
                    Some(hint) => self.follow(hint).await?,
                    None => match reader.join_next().await {
                        Some(Ok(error)) => return Err(error),
                        _ => return Err(engine.events_ended()),
                    },
                },
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.look_again().await?
                }
                _ = compare.tick() => self.compare().await?,
            };
            if self.tell(news).await.is_err() {
                return Ok(Closed);
            }
        }
    }

    async fn tell(&self, news: impl IntoIterator<Item = Observation>) -> Result<(), Closed> {
        for observation in news {
            if self.observations.send(observation).await.is_err() {
                return Err(Closed);
            }
        }
        Ok(())
    }

    async fn follow(&mut self, hint: Hint) -> Result<Vec<Observation>, EngineError> {
        tracing::debug!(?hint, "engine event");
        match hint {
            Hint::Died(id, at) => {
                // A later run of the container that is unsettled is looked at again anyway.
                Ok(self.known.died(&id, at).into_iter().collect())
            }
            Hint::Started(id) => self.look(id, 0).await,
            Hint::Touched(id) if self.is_of_interest(&id) => self.look(id, 0).await,
            // Before its start a container is no news: the start itself follows.
            Hint::Touched(_) => Ok(Vec::new()),
        }
    }

    fn is_of_interest(&self, id: &ContainerId) -> bool {
        self.known.get(id).is_some() || self.unsettled.contains_key(id) || self.stuck.contains(id)
    }

    /// One look, and what it changes. Without all addresses it changes nothing but is repeated,
    /// until the last look is believed as it is.
    async fn look(
        &mut self,
        id: ContainerId,
        looks: usize,
    ) -> Result<Vec<Observation>, EngineError> {
        self.unsettled.remove(&id);
        self.stuck.remove(&id);
        let wait = LOOKS.get(looks);
        let look = match wait {
            Some(_) => self.docker.engine.look(&id).await,
            None => self.docker.last_look(&id).await,
        };
        match (look, wait) {
            (Ok(Look::Running { blank, .. }), Some(wait)) if !blank.is_empty() => {
                self.look_later(id, looks + 1, *wait);
                Ok(Vec::new())
            }
            (Ok(Look::Running { facts, .. }), _) => Ok(self.known.up(*facts)),
            (Ok(Look::Stopped), _) => {
                Ok(self.known.down(&id, LeaseCause::Died).into_iter().collect())
            }
            (Err(error), Some(_)) if error.is_local() => {
                self.look_later(id, LOOKS.len(), LOOK_AFTER_FAILURE);
                Ok(Vec::new())
            }
            (Err(error), None) if error.is_local() => {
                let error = chain(&error);
                tracing::warn!(container = %id, error, "a running container is not clear");
                self.stuck.insert(id);
                Ok(Vec::new())
            }
            (Err(error), _) => Err(error),
        }
    }

    fn look_later(&mut self, id: ContainerId, looks: usize, wait: Duration) {
        let due = Instant::now() + wait;
        self.unsettled.insert(id, Unsettled { looks, due });
    }

    fn next_due(&self) -> Option<Instant> {
        self.unsettled.values().map(|unsettled| unsettled.due).min()
    }

    async fn look_again(&mut self) -> Result<Vec<Observation>, EngineError> {
        let now = Instant::now();
        let due: Vec<_> = self
            .unsettled
            .iter()
            .filter(|(_, unsettled)| unsettled.due <= now)
            .map(|(id, unsettled)| (*id, unsettled.looks))
            .collect();
        let mut news = Vec::new();
        for (id, looks) in due {
            news.extend(self.look(id, looks).await?);
        }
        Ok(news)
    }

    /// Looks at each container that the list and the reports disagree about.
    async fn compare(&mut self) -> Result<Vec<Observation>, EngineError> {
        let summaries = self.docker.engine.list().await?;
        let listed: Vec<_> = summaries.iter().filter_map(listed_id).collect();
        let mut news = Vec::new();
        let gone: Vec<_> = self
            .known
            .ids()
            .filter(|id| !listed.contains(id))
            .copied()
            .collect();
        for id in gone {
            if matches!(self.docker.engine.look(&id).await, Ok(Look::Stopped)) {
                news.extend(self.known.down(&id, LeaseCause::Missing));
            }
        }
        let moved: Vec<_> = summaries
            .iter()
            .filter_map(|summary| {
                let id = listed_id(summary)?;
                let reported = self.known.get(&id)?;
                facts::has_moved(summary, reported).then_some(id)
            })
            .collect();
        for id in moved {
            news.extend(self.look(id, 0).await?);
        }
        for id in listed {
            // One that could not be inspected is tried again: the engine may only have been busy.
            if self.known.get(&id).is_none() && !self.unsettled.contains_key(&id) {
                news.extend(self.look(id, 0).await?);
            }
        }
        Ok(news)
    }
}

/// Reads the engine's events into the queue, until it cannot; the answer is why.
async fn read(
    stream: impl Stream<Item = Result<Hint, EngineError>>,
    queue: mpsc::Sender<Hint>,
    ended: EngineError,
    overrun: EngineError,
) -> EngineError {
    let mut stream = std::pin::pin!(stream);
    while let Some(hint) = stream.next().await {
        match hint.map(|hint| queue.try_send(hint)) {
            Ok(Ok(())) => {}
            Ok(Err(TrySendError::Full(_))) => return overrun,
            Ok(Err(TrySendError::Closed(_))) => return ended,
            Err(error) => return error,
        }
    }
    ended
}
