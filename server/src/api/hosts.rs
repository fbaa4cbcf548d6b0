//! Further hosts: what operators decide about them, and what they themselves call.

use std::sync::Arc;

use dockmaster_host::{Inventory, remote::Conduit};
use dockmaster_proto::{
    api::hosts::{
        Eviction, HostList, HostProposal, HostRenewal, HostSummary, RELAY_PROTOCOL, RelayedFrom,
        WATCH_PROTOCOL, WatchState,
    },
    error::chain,
    event::Reach,
    header as ours,
    id::Name,
    problem::Problem,
};
use http::{HeaderValue, StatusCode, header};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;

use super::{Api, Caller, Peer, Reply, Request, problem, reply, service};
use crate::{
    hosts::{HostsError, evicted},
    origin::Origin,
    state::{EnrolledHost, State},
    watchers::Watcher,
};

/// A connection of a container, relayed by its host: bytes as the container sends them.
pub struct Relayed {
    /// The bytes.
    pub stream: Conduit,
    /// The host.
    pub host: Name,
    /// Where it began, and what was dialled.
    pub from: RelayedFrom,
    /// Becomes true when the host is evicted.
    pub gone: watch::Receiver<bool>,
    /// The host's connection that carries it.
    pub carrier: Arc<Peer>,
}

impl Api {
    pub(super) async fn enroll_host(&self, request: &Request) -> Result<Reply, Problem> {
        let proposal: HostProposal = request.json()?;
        let issued = self
            .hosts
            .enroll(proposal, &request.peer.binding, &request.cause)
            .await
            .map_err(problem)?;
        Ok(reply::json(StatusCode::CREATED, &issued))
    }

    pub(super) async fn renew_host(&self, request: &Request) -> Result<Reply, Problem> {
        let host = caller(request)?;
        let HostRenewal { csr } = request.json()?;
        let issued = self
            .hosts
            .renew(host, &csr, &request.peer.binding, &request.cause)
            .await
            .map_err(problem)?;
        Ok(reply::json(StatusCode::CREATED, &issued))
    }

    pub(super) async fn evict_host(&self, request: &Request) -> Result<Reply, Problem> {
        let host: Name = request
            .parameter
            .parse()
            .map_err(|error| problem::bad_request(format!("{error}")))?;
        let containers = self
            .hosts
            .evict(&host, &request.cause)
            .await
            .map_err(problem)?;
        Ok(reply::json(StatusCode::OK, &Eviction { containers }))
    }

    pub(super) fn list_hosts(&self) -> Reply {
        let state = self.journal.state();
        let enrolled = state
            .hosts()
            .map(|(name, host)| summary(name, Some(host), &state));
        let here = state.here().map(|name| summary(name, None, &state));
        let mut hosts: Vec<HostSummary> = enrolled.chain(here).collect();
        hosts.sort_by(|a, b| a.name.cmp(&b.name));
        reply::json(StatusCode::OK, &HostList { hosts })
    }

    /// The watch stream: the connection is the host's inventory from now on.
    pub(super) fn watch_host(&self, request: &Request) -> Result<Reply, Problem> {
        let (host, watcher) = self.watcher(request)?;
        let upgrade = wanted(request, WATCH_PROTOCOL)?;
        let peer = request.peer.clone();
        let stopping = self.stopping.clone();
        let mut others = self.authorities.changes();
        others.mark_unchanged();
        let should_renew = self.signs_by_another(&host, request);
        tokio::spawn(async move {
            let Some(stream) = upgraded(upgrade, &host).await else {
                return;
            };
            let Inventory::Remote(remote) = &*watcher.inventory else {
                return;
            };
            // The stream's other half waits here for the end, and takes its connection with it.
            let (ours, theirs) = tokio::io::duplex(PIPE);
            remote.attach(Box::new(theirs));
            carry(stream, ours, watcher.gone.clone(), stopping, others).await;
            drop(peer);
        });
        let mut reply = reply::switching(WATCH_PROTOCOL);
        if should_renew {
            let headers = reply.headers_mut();
            headers.insert(ours::RENEW, HeaderValue::from_static("now"));
        }
        Ok(reply)
    }

    /// A connection of a container of the host.
    pub(super) async fn relay(&self, request: &Request) -> Result<Reply, Problem> {
        let (host, watcher) = self.watcher(request)?;
        let from = RelayedFrom {
            origin: required(request, "origin")?,
            dialled: required(request, "dialled")?,
        };
        if let Err(problem) = self.hosts.admit_relay(&host, &from) {
            // Whoever waits behind the relay hears nothing; its operator is to find it.
            let origin = Origin::relayed(from.origin.ip(), host);
            let enrollment = &self.enrollment;
            enrollment
                .record_problem(&origin, None, &problem, &request.cause)
                .await;
            return Err(problem);
        }
        let upgrade = wanted(request, RELAY_PROTOCOL)?;
        let carrier = request.peer.clone();
        let relays = self.relays.clone();
        tokio::spawn(async move {
            let Some(stream) = upgraded(upgrade, &host).await else {
                return;
            };
            let relayed = Relayed {
                stream,
                host,
                from,
                gone: watcher.gone,
                carrier,
            };
            // The listener ends only when the master does.
            let _ = relays.send(relayed).await;
        });
        Ok(reply::switching(RELAY_PROTOCOL))
    }

    /// Whether the host's certificate is by another authority than the one that signs now.
    fn signs_by_another(&self, host: &Name, request: &Request) -> bool {
        let signing = self.authorities.now().operators.key_id().to_string();
        let shown = request.peer.identity.as_ref().map(|it| it.serial);
        let state = self.journal.state();
        let mut keys = state.host(host).into_iter().flat_map(|it| &it.certificates);
        let key = keys.find(|key| Some(key.serial) == shown);
        key.is_some_and(|key| key.issuer_key_id != signing)
    }

    fn watcher(&self, request: &Request) -> Result<(Name, Watcher), Problem> {
        let host = caller(request)?;
        let watcher = self.hosts.watchers().get(host);
        let watcher = watcher.filter(|watcher| !*watcher.gone.borrow());
        Ok((host.clone(), watcher.ok_or_else(|| evicted(host))?))
    }
}

/// Bytes between a watch stream and whoever reads it.
const PIPE: usize = 64 << 10;

/// Passes bytes on until either side ends, the host is evicted, the master stops, or other authorities
/// sign: then the host comes again and is told.
async fn carry(
    mut stream: Conduit,
    mut ours: tokio::io::DuplexStream,
    mut gone: watch::Receiver<bool>,
    mut stopping: watch::Receiver<bool>,
    mut others: watch::Receiver<u64>,
) {
    tokio::select! {
        // Whatever ends it shows as the end of the stream.
        _ = tokio::io::copy_bidirectional(&mut stream, &mut ours) => {}
        _ = gone.wait_for(|gone| *gone) => {}
        _ = stopping.wait_for(|stopping| *stopping) => {}
        _ = others.changed() => {}
    }
}

async fn upgraded(upgrade: OnUpgrade, host: &Name) -> Option<Conduit> {
    match upgrade.await {
        Ok(stream) => Some(Box::new(TokioIo::new(stream))),
        Err(error) => {
            tracing::debug!(%host, error = %chain(&error), "a connection of the host broke off");
            None
        }
    }
}

/// The connection itself, of a peer that asked to speak this protocol on it.
fn wanted(request: &Request, protocol: &str) -> Result<OnUpgrade, Problem> {
    let asked = service::header(request, &header::UPGRADE);
    match &request.upgrade {
        Some(upgrade) if asked == Some(protocol) => Ok(upgrade.clone()),
        _ => Err(problem::bad_request(format!(
            "the route takes an HTTP/1.1 upgrade to {protocol}"
        ))),
    }
}

fn required<T: std::str::FromStr<Err: std::fmt::Display>>(
    request: &Request,
    key: &'static str,
) -> Result<T, Problem> {
    let value = request.query_as(key)?;
    value.ok_or_else(|| problem::bad_request(format!("the query lacks {key}")))
}

fn caller(request: &Request) -> Result<&Name, Problem> {
    match &request.caller {
        Caller::Host(name) => Ok(name),
        // The route table says that only hosts come here.
        Caller::Anyone | Caller::Node(_) | Caller::Operator(_) => {
            Err(problem::bad_request("the route is for hosts"))
        }
    }
}

fn problem(error: HostsError) -> Problem {
    match error {
        HostsError::Problem(problem) => problem,
        HostsError::Commit(error) => problem::from_commit(&error),
    }
}

fn summary(name: &Name, enrolled: Option<&EnrolledHost>, state: &State) -> HostSummary {
    let (watched, lost) = (state.watched_since(name), state.lost_watch(name));
    let (watch, since_ms) = match (watched, lost) {
        (_, Some(lost)) => (WatchState::Lost, Some(lost.since)),
        (Some(since), None) => (WatchState::Watched, Some(since)),
        (None, None) => (WatchState::Unseen, None),
    };
    let containers = state.nodes().filter(|node| node.host == *name).count();
    HostSummary {
        name: name.clone(),
        enrolled_at_ms: enrolled.map(|host| host.enrolled_at_ms),
        state: watch,
        since_ms,
        reason: lost.map(|lost| lost.reason.clone()).unwrap_or_default(),
        containers: containers as u64,
        cidrs: enrolled.map(|host| host.cidrs.clone()).unwrap_or_default(),
        reach: enrolled.map_or(Reach::Direct, |host| host.reach),
        not_after_ms: enrolled
            .and_then(|host| host.certificates.first())
            .map(|key| key.not_after_ms),
    }
}
