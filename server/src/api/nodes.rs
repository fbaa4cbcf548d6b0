//! Nodes, as operators see them.

use std::cmp::Reverse;

use dockmaster_proto::{
    api::nodes::{Explanation, NodeCatalog, NodeDetail, NodeList, NodeState, NodeSummary},
    event::{Event, LabelsChanged},
    label::{LabelChange, MAX_VALUE, Tier},
    problem::{Problem, ProblemCode},
    selector::Selector,
    time::UnixMs,
};
use http::StatusCode;

use super::{Api, Reply, Request, problem, reply};
use crate::{
    delivery::Assignment,
    env,
    state::{LookupError, NodeRecord, NodeReference, State},
};

impl Api {
    pub(super) fn nodes(&self, request: &Request) -> Result<Reply, Problem> {
        let selector = selector(request)?.unwrap_or_else(Selector::everything);
        let mut records: Vec<NodeRecord> = matching(&self.journal.state(), &selector)
            .cloned()
            .collect();
        if request.query("all") == Some("true") {
            for node in self.index.gone_nodes() {
                let node = node.map_err(|error| problem::from_index(&error))?;
                let is_live = records.iter().any(|live| live.id() == node.id());
                if !is_live && selector.matches(&node.view(), Tier::Agent) {
                    records.push(node);
                }
            }
        }
        let mut nodes: Vec<NodeSummary> = records.iter().map(|node| self.summary(node)).collect();
        nodes.sort_by(|a, b| (&a.view.name, a.view.id).cmp(&(&b.view.name, b.view.id)));
        Ok(reply::json(StatusCode::OK, &NodeList { nodes }))
    }

    pub(super) fn node(&self, request: &Request) -> Result<Reply, Problem> {
        let node = self.find_any(&request.parameter)?;
        let explained = self.delivery.explain(&node.view());
        let catalog_error = match self.delivery.assignment(node.id()) {
            Some(Assignment::Failed(error)) => error.to_string(),
            _ => String::new(),
        };
        let report = self
            .reports
            .last(node.id())
            .map_err(|error| problem::internal(&error))?;
        let certificate = node
            .certificates
            .first()
            .map(|certificate| certificate.serial);
        let record = certificate.and_then(|serial| self.index.certificate(&serial).transpose());
        let record = record
            .transpose()
            .map_err(|error| problem::from_index(&error))?;
        let detail = NodeDetail {
            summary: self.summary(&node),
            certificate,
            evidence: record
                .map(|record| record.issued.evidence)
                .unwrap_or_default(),
            groups: explained.groups,
            classes: explained.classes,
            catalog_error,
            revisions: self.delivery.revisions(),
            report,
            clock_skew_ms: self.clocks.of(node.id()),
            banned: self
                .journal
                .state()
                .ban(node.id())
                .map(|ban| format!("by {} at {}: {}", ban.by, ban.at_ms, ban.reason))
                .unwrap_or_default(),
        };
        Ok(reply::json(StatusCode::OK, &detail))
    }

    pub(super) async fn label(&self, request: &Request) -> Result<Reply, Problem> {
        let change: LabelChange = request.json()?;
        if change.set.is_empty() && change.remove.is_empty() {
            return Err(problem::bad_request("the change sets and removes nothing"));
        }
        if let Some((key, _)) = change.set.iter().find(|(_, value)| value.len() > MAX_VALUE) {
            return Err(problem::bad_request(format!(
                "the value of label {key} is longer than {MAX_VALUE} bytes"
            )));
        }
        let container = *self.find_live(&request.parameter)?.id();
        let event = Event::LabelsChanged(LabelsChanged { container, change });
        self.journal
            .commit(&request.cause, vec![event], vec![])
            .await
            .map_err(|error| problem::from_commit(&error))?;
        let node = self.journal.state().node(&container).cloned();
        let node = node.ok_or_else(|| {
            problem::not_found(format_args!(
                "live node {}; it ended meanwhile",
                container.short()
            ))
        })?;
        Ok(reply::json(StatusCode::OK, &self.summary(&node)))
    }

    pub(super) fn node_catalog(&self, request: &Request) -> Result<Reply, Problem> {
        let node = self.find_live(&request.parameter)?;
        match self.delivery.assignment(node.id()) {
            Some(Assignment::Compiled(compiled)) => {
                let catalog = NodeCatalog {
                    digest: compiled.digest,
                    revisions: self.delivery.revisions(),
                    catalog: compiled.catalog.clone(),
                };
                Ok(reply::json(StatusCode::OK, &catalog))
            }
            Some(Assignment::Failed(error)) => Err(Problem::new(
                ProblemCode::CompileFailed,
                error.to_string(),
                "mend the site or the classification",
            )),
            Some(Assignment::Pending) | None => Err(Problem::new(
                ProblemCode::Unavailable,
                "the catalog is still being compiled",
                "ask again",
            )),
        }
    }

    pub(super) fn node_why(&self, request: &Request) -> Result<Reply, Problem> {
        let node = self.find_any(&request.parameter)?;
        let mut explanation: Explanation = self.delivery.why(&node.view());
        if let Some(class) = request.query("class") {
            explanation.keep_class(class);
        }
        Ok(reply::json(StatusCode::OK, &explanation))
    }

    fn summary(&self, node: &NodeRecord) -> NodeSummary {
        let catalog = match self.delivery.assignment(node.id()) {
            Some(Assignment::Compiled(compiled)) => Some(compiled.digest),
            _ => None,
        };
        let last_apply = self.reports.last_status(node.id());
        NodeSummary {
            view: node.view(),
            state: state(node, env::now()),
            gone_at_ms: node.gone_at_ms,
            catalog,
            last_apply,
        }
    }

    fn find_live(&self, reference: &str) -> Result<NodeRecord, Problem> {
        self.journal
            .state()
            .find(NodeReference(reference))
            .cloned()
            .map_err(|error| problem::from_lookup(&error))
    }

    /// A live node, or else the one that ended last.
    pub(super) fn find_any(&self, reference: &str) -> Result<NodeRecord, Problem> {
        let found = self.journal.state().find(NodeReference(reference)).cloned();
        match found {
            Ok(node) => Ok(node),
            Err(error @ LookupError::Ambiguous { .. }) => Err(problem::from_lookup(&error)),
            Err(error @ LookupError::Unknown(_)) => {
                let mut gone = self
                    .index
                    .gone_nodes()
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(|error| problem::from_index(&error))?;
                gone.retain(|node| NodeReference(reference).fits(node));
                gone.sort_by_key(|node| Reverse(node.gone_at_ms));
                gone.into_iter()
                    .next()
                    .ok_or_else(|| problem::from_lookup(&error))
            }
        }
    }
}

/// Enrolled is who could show a certificate now: one that was revoked or ran out is of no use.
fn state(node: &NodeRecord, now: UnixMs) -> NodeState {
    if node.gone_at_ms.is_some() {
        return NodeState::Gone;
    }
    let mut honoured = node.certificates.iter();
    if honoured.any(|certificate| now < certificate.not_after_ms) {
        NodeState::Enrolled
    } else {
        NodeState::Running
    }
}

pub(super) fn selector(request: &Request) -> Result<Option<Selector>, Problem> {
    request.query_as("selector")
}

pub(super) fn matching<'a>(
    state: &'a State,
    selector: &Selector,
) -> impl Iterator<Item = &'a NodeRecord> {
    state
        .nodes()
        .filter(|node| selector.matches(&node.view(), Tier::Agent))
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::id::Serial;

    use super::*;
    use crate::{
        state::CurrentCertificate,
        testing::{facts, host},
    };

    const NOW: UnixMs = UnixMs(5000);

    fn certified_until(not_after_ms: UnixMs) -> NodeRecord {
        let mut node = NodeRecord::new(host(), facts(1, &[]));
        node.certify(CurrentCertificate {
            serial: Serial::from_bytes([1; 16]),
            index: 7,
            not_after_ms,
            addresses: vec![],
            issuer_key_id: String::new(),
            held: vec![],
            shown_from: None,
        });
        node
    }

    #[test]
    fn a_node_is_enrolled_while_a_certificate_of_it_is_honoured() {
        let mut node = certified_until(UnixMs(NOW.0 + 1));
        assert_eq!(state(&node, NOW), NodeState::Enrolled);
        node.end(NOW);
        assert_eq!(state(&node, NOW), NodeState::Gone);
    }

    #[test]
    fn a_node_whose_only_certificate_was_revoked_or_ran_out_is_not_enrolled() {
        assert_eq!(state(&certified_until(NOW), NOW), NodeState::Running);
        let mut revoked = certified_until(UnixMs(NOW.0 + 1));
        revoked.certificates.clear();
        assert!(revoked.last_certificate.is_some());
        assert_eq!(state(&revoked, NOW), NodeState::Running);
    }
}
