//! Questions to the ledger.

use dockmaster_proto::{
    api::audit::{EntryQuery, HolderQuery, ProvenEntry},
    id::ContainerId,
    problem::Problem,
};
use http::StatusCode;

use super::{Api, Reply, Request, problem, reply};
use crate::{audit, env, state::NodeReference};

impl Api {
    pub(super) async fn audit(&self, request: &Request) -> Result<Reply, Problem> {
        let query = EntryQuery {
            ip: request.query_as("ip")?,
            node: request.query("node").map(str::to_owned),
            serial: request.query_as("serial")?,
            event: request.query("event").map(str::to_owned),
            since: request.query_as("since")?,
            until: request.query_as("until")?,
            before: request.query_as("before")?,
            limit: request.query_as("limit")?,
        };
        let nodes = query
            .node
            .as_deref()
            .map(|node| self.ever_named(node))
            .transpose()?;
        let ledger = self.journal.ledger().clone();
        // Reads through much of the log where conditions are rare; agents must not wait for it.
        let list =
            tokio::task::spawn_blocking(move || audit::list(&ledger, &query, nodes.as_deref()));
        let list = list
            .await
            .map_err(|error| problem::internal(&error))?
            .map_err(|error| problem::from_audit(&error))?;
        Ok(reply::json(StatusCode::OK, &list))
    }

    /// Every container, live or ended, that a reference may mean: an audit is rather about too many than too few.
    fn ever_named(&self, reference: &str) -> Result<Vec<ContainerId>, Problem> {
        let reference = NodeReference(reference);
        let mut ids: Vec<ContainerId> = self
            .journal
            .state()
            .nodes()
            .filter(|node| reference.fits(node))
            .map(|node| *node.id())
            .collect();
        for node in self.index.gone_nodes() {
            let node = node.map_err(|error| problem::from_index(&error))?;
            if reference.fits(&node) {
                ids.push(*node.id());
            }
        }
        if ids.is_empty() {
            return Err(problem::not_found(format_args!(
                "node, live or ended, with the name, IP or container-ID prefix {:?}",
                reference.0
            )));
        }
        Ok(ids)
    }

    pub(super) fn who(&self, request: &Request) -> Result<Reply, Problem> {
        let ip = request
            .query_as("ip")?
            .ok_or_else(|| problem::bad_request("query parameter ip is missing"))?;
        let query = HolderQuery {
            ip,
            network: request.query_as("network")?,
            at: request.query_as("at")?,
        };
        let newest = self.journal.state().newest();
        let holders = audit::who(&self.index, &query, newest, env::now())
            .map_err(|error| problem::from_audit(&error))?;
        Ok(reply::json(StatusCode::OK, &holders))
    }

    pub(super) fn prove(&self, request: &Request) -> Result<Reply, Problem> {
        let index: u64 = request
            .parameter
            .parse()
            .map_err(|_| problem::bad_request("an entry's index is a whole number"))?;
        let proven = self.proven(index)?;
        Ok(reply::json(StatusCode::OK, &proven))
    }

    pub(super) fn proven(&self, index: u64) -> Result<ProvenEntry, Problem> {
        let ledger = self.journal.ledger();
        if index >= ledger.head().size {
            return Err(problem::not_found(format_args!(
                "entry {index}; the log has {}",
                ledger.head().size
            )));
        }
        let committed = ledger
            .entry(index)
            .map_err(|error| problem::internal(&error))?;
        let committed =
            committed.ok_or_else(|| problem::not_found(format_args!("entry {index}")))?;
        let proof = ledger
            .inclusion_proof(index)
            .map_err(|error| problem::internal(&error))?;
        Ok(ProvenEntry {
            index,
            entry: String::from_utf8_lossy(&committed.entry).into_owned(),
            proof: proof.encode(),
        })
    }
}
