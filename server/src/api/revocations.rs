//! Ending certificates before their time, bans, and the lists of what has ended.

use dockmaster_proto::{
    api::certs::{MAX_REVOCATION_MESSAGE, RevocationRequest},
    event::{Event, NodeUnbanned},
    problem::{Problem, ProblemCode},
};
use http::{StatusCode, header};

use super::{Api, Reply, Request, problem, reply, service};
use crate::revocation;

impl Api {
    pub(super) async fn revoke(&self, request: &Request) -> Result<Reply, Problem> {
        let body: RevocationRequest = request.json()?;
        if body.message.len() > MAX_REVOCATION_MESSAGE {
            return Err(problem::bad_request(format!(
                "the message is longer than {MAX_REVOCATION_MESSAGE} bytes"
            )));
        }
        let own = request.peer.identity.as_ref().map(|own| own.serial);
        // A machine that comes back is decided upon and recorded in one turn: before this, or after.
        let turn = self.journal.claim_leases().await;
        let turn = turn.ok_or_else(|| {
            Problem::new(
                ProblemCode::Unavailable,
                "leases are being changed, and that does not end: is the disk full?",
                "ask again; /readyz says whether the ledger takes entries",
            )
        })?;
        let (events, mut revoked) = revocation::decide(&body, own.as_ref(), &self.journal.state())
            .map_err(|refused| problem::from_revocation(&refused))?;
        let receipt = self
            .journal
            .commit(&request.cause, events, vec![])
            .await
            .map_err(|error| problem::from_commit(&error))?;
        let first = receipt.stamps().first().map_or(0, |stamp| stamp.index);
        let overtaken = {
            let state = self.journal.state();
            let node = revoked.container.and_then(|id| state.node(&id));
            node.map_or_else(Vec::new, |node| revocation::overtaken(&body, node, first))
        };
        if !overtaken.is_empty() {
            let serials = overtaken.iter().filter_map(Event::serial);
            revoked.serials.extend(serials);
            self.journal
                .commit(&request.cause, overtaken, vec![])
                .await
                .map_err(|error| problem::from_commit(&error))?;
        }
        drop(turn);
        if let Some(container) = &revoked.container {
            self.delivery.nudge(container);
            let (lists, delivery) = (self.lists.clone(), self.delivery.clone());
            tokio::spawn(async move {
                lists.caught_up().await;
                lists.alert();
                delivery.nudge_all();
            });
        }
        Ok(reply::json(StatusCode::OK, &revoked))
    }

    pub(super) async fn unban(&self, request: &Request) -> Result<Reply, Problem> {
        let container = *self.find_any(&request.parameter)?.id();
        if self.journal.state().ban(&container).is_none() {
            return Err(Problem::new(
                ProblemCode::NotFound,
                format!("container {} is not banned", container.short()),
                "\"dockmaster node why-denied NODE\" says what else is in its way, if anything",
            ));
        }
        let event = Event::NodeUnbanned(NodeUnbanned { container });
        self.journal
            .commit(&request.cause, vec![event], vec![])
            .await
            .map_err(|error| problem::from_commit(&error))?;
        Ok(reply::empty(StatusCode::NO_CONTENT))
    }

    pub(super) fn crl(&self, request: &Request) -> Result<Reply, Problem> {
        let lists = self.lists.published();
        let (content_type, body, etag) = match request.query("form") {
            // The number of the list is in both, so that one name serves each.
            None | Some("der") => ("application/pkix-crl", lists.der.clone(), &lists.etag),
            Some("pem") => ("application/x-pem-file", lists.pem.clone(), &lists.etag),
            Some(other) => {
                return Err(problem::bad_request(format!(
                    "query parameter form: {other:?} is neither der nor pem"
                )));
            }
        };
        let reply = if service::matches_etag(request, etag) {
            reply::empty(StatusCode::NOT_MODIFIED)
        } else {
            reply::bytes(StatusCode::OK, content_type, body)
        };
        let reply = reply::with_header(reply, header::ETAG, etag);
        let age = format!("max-age={}", lists.max_age_s);
        Ok(reply::with_header(reply, header::CACHE_CONTROL, &age))
    }
}
