//! The HTTP API: bytes to requests, requests to the parts of the master, results to answers.

mod audit;
mod auth;
mod authority;
mod backup;
mod budget;
mod certs;
mod denials;
mod documents;
mod health;
mod hosts;
mod log;
mod node;
mod nodes;
pub mod problem;
mod reply;
mod requests;
mod revocations;
mod router;
mod service;
mod tokens;

use std::{path::PathBuf, sync::Arc};

use bytes::Bytes;
use dockmaster_proto::{
    id::Name,
    problem::{Problem, ProblemCode},
    route::{Route, parse_query},
};
use http::HeaderMap;
use hyper::upgrade::OnUpgrade;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, watch};

pub use auth::{Caller, Peer, Slots};
pub use budget::Budget;
pub use hosts::Relayed;
pub use reply::Reply;

use crate::{
    acknowledged::Acknowledged,
    authorities::Authorities,
    blobs::Blobs,
    clocks::Clocks,
    crl::ListMaker,
    datadir::DataDir,
    delivery::Delivery,
    documents::DocumentStore,
    enrollment::{Continuity, Enrollment},
    env,
    hosts::Hosts,
    index::Index,
    journal::{Cause, Journal},
    operators::Operators,
    origin::{Group, Party},
    pace::Pace,
    reports::Reports,
    rotor::Rotor,
    tokens::TokenDesk,
    witnesses::Witnesses,
};

/// Everything that the API needs of the master.
#[derive(Debug)]
pub struct Api {
    /// The way to the ledger, and the view.
    pub journal: Journal,
    /// The index.
    pub index: Index,
    /// Blobs.
    pub blobs: Blobs,
    /// Certificates.
    pub enrollment: Enrollment,
    /// Join tokens.
    pub tokens: TokenDesk,
    /// Catalogs.
    pub delivery: Arc<Delivery>,
    /// The classification and the site.
    pub documents: DocumentStore,
    /// Last reports.
    pub reports: Reports,
    /// How much requests and answers may hold.
    pub budget: Budget,
    /// How fast an origin's requests are answered.
    pub pace: Pace,
    /// Whether the log goes on from what containers have seen.
    pub continuity: Arc<Continuity>,
    /// The host whose containers this master watches; none when it watches nobody.
    pub host: Option<Name>,
    /// Further hosts.
    pub hosts: Hosts,
    /// Where connections go that hosts relay.
    pub relays: mpsc::Sender<Relayed>,
    /// What is signed with, and what agents trust.
    pub authorities: Authorities,
    /// Changes the authorities.
    pub rotor: Arc<Rotor>,
    /// Which bundle each node has confirmed.
    pub acknowledged: Arc<Acknowledged>,
    /// How far each node's clock is off.
    pub clocks: Clocks,
    /// Operators' certificates.
    pub operators: Operators,
    /// Revocation lists.
    pub lists: Arc<ListMaker>,
    /// Who cosigns the head of the log.
    pub witnesses: Arc<Witnesses>,
    /// The data directory.
    pub dir: DataDir,
    /// `ledger/public`.
    pub public_log: PathBuf,
    /// Becomes true when the master is about to stop: waiting requests end.
    pub stopping: watch::Receiver<bool>,
}

/// One request whose peer may make it.
struct Request {
    route: Route,
    /// The path's parameter, decoded; empty where the route has none.
    parameter: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
    /// The connection itself, where the peer asked to speak another protocol.
    upgrade: Option<OnUpgrade>,
    peer: Arc<Peer>,
    caller: Caller,
    cause: Cause,
}

impl Request {
    fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        serde_json::from_slice(&self.body).map_err(|error| {
            problem::bad_request(format!(
                "the body is not what {} {} takes: {error}",
                self.route.method(),
                self.route.template()
            ))
        })
    }

    fn query(&self, key: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    fn query_as<T: std::str::FromStr<Err: std::fmt::Display>>(
        &self,
        key: &str,
    ) -> Result<Option<T>, Problem> {
        self.query(key)
            .map(str::parse)
            .transpose()
            .map_err(|error| problem::bad_request(format!("query parameter {key}: {error}")))
    }
}

impl Api {
    /// Whether a peer is an operator or a host.
    pub(crate) fn appoints(&self, peer: &Peer) -> bool {
        auth::is_appointed(peer, &self.journal.state(), env::now())
    }

    /// Whose limits count for a peer.
    pub(crate) fn party(&self, peer: &Peer) -> Party {
        let state = self.journal.state();
        let party = state.party(peer.origin());
        let is_stranger = party.group == Some(Group::Strangers);
        if is_stranger && auth::is_honoured(peer, &state, env::now()) {
            return Party::known(party.origin);
        }
        party
    }

    async fn dispatch(&self, request: &Request) -> Result<Reply, Problem> {
        self.settle(request.route).await;
        match request.route {
            Route::Trust => self.trust(request),
            Route::Crl => self.crl(request),
            Route::Enroll | Route::Renew => self.enroll(request).await,
            Route::Catalog => self.catalog(request).await,
            Route::Blob => self.blob(request),
            Route::Reports => self.report(request),
            Route::HostRenew => self.renew_host(request).await,
            Route::HostWatch => self.watch_host(request),
            Route::HostRelay => self.relay(request).await,
            Route::Hosts => Ok(self.list_hosts()),
            Route::HostEnroll => self.enroll_host(request).await,
            Route::HostEvict => self.evict_host(request).await,
            Route::Nodes => self.nodes(request),
            Route::Node => self.node(request),
            Route::NodeLabels => self.label(request).await,
            Route::NodeCatalog => self.node_catalog(request),
            Route::NodeWhy => self.node_why(request),
            Route::NodeDenials => self.why_denied(request),
            Route::Requests => Ok(self.requests()),
            Route::Request => self.request(request),
            Route::RequestApprove => self.approve(request).await,
            Route::RequestDeny => self.deny(request).await,
            Route::Classification => self.classification(),
            Route::ClassificationPlan => self.plan_classification(request).await,
            Route::ClassificationApply => self.apply_classification(request).await,
            Route::Site => self.site(),
            Route::SiteMissing => self.missing_files(request),
            Route::SiteFile => self.upload_file(request).await,
            Route::SiteDeploy => self.deploy_site(request).await,
            Route::Certificates => self.certificates(request),
            Route::Certificate => self.certificate(request),
            Route::OperatorRenew => self.renew_operator(request).await,
            Route::Authorities => self.authorities(),
            Route::Rotate => self.rotate(request).await,
            Route::Revoke => self.revoke(request).await,
            Route::Unban => self.unban(request).await,
            Route::Tokens => Ok(self.tokens()),
            Route::TokenCreate => self.create_token(request).await,
            Route::TokenRevoke => self.revoke_token(request).await,
            Route::Audit => self.audit(request).await,
            Route::AuditWho => self.who(request),
            Route::AuditProof => self.prove(request),
            Route::Backup => self.small_files(request).await,
            Route::BackupBlobs => self.backup_blobs(request).await,
            Route::Checkpoint => self.checkpoint().await,
            Route::Tile => self.tile(request),
            Route::Healthz => Ok(Self::healthz()),
            Route::Readyz => Ok(self.readyz()),
        }
    }
}

impl Api {
    /// Waits for the projections that a question of an operator is answered from, so that whoever
    /// changed something sees it. Agents never wait for this.
    async fn settle(&self, route: Route) {
        match route {
            Route::Nodes
            | Route::Node
            | Route::NodeWhy
            | Route::NodeCatalog
            | Route::NodeLabels => {
                self.journal.settle().await;
                self.delivery.settle().await;
            }
            Route::Certificates
            | Route::Certificate
            | Route::Audit
            | Route::AuditWho
            | Route::NodeDenials => {
                self.journal.settle().await;
            }
            _ => {}
        }
    }
}

/// A request that its peer may make, before its body is read.
struct Admitted {
    route: Route,
    parameter: String,
    query: Vec<(String, String)>,
    cause: Cause,
}

/// What the router and the peer make of a request head.
fn admit(
    api: &Api,
    peer: &Peer,
    head: &http::request::Parts,
    request_id: &str,
) -> Result<Admitted, Problem> {
    let (route, parameter) = router::find(&head.method, head.uri.path())?;
    auth::authorise(route, peer, &api.journal.state(), env::now())?;
    let query = parse_query(head.uri.query().unwrap_or_default());
    let query =
        query.ok_or_else(|| problem::bad_request("the query is not percent-encoded UTF-8"))?;
    let length = head.headers.get(http::header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > route.max_body() as u64) {
        return Err(too_large(route));
    }
    let cause = Cause {
        actor: peer.actor(),
        request_id: request_id.to_owned(),
    };
    Ok(Admitted {
        route,
        parameter,
        query,
        cause,
    })
}

fn too_large(route: Route) -> Problem {
    Problem::new(
        ProblemCode::TooLarge,
        format!(
            "the body is larger than the {} bytes that {} {} takes",
            route.max_body(),
            route.method(),
            route.template()
        ),
        "",
    )
}
