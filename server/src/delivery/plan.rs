//! What a change of documents would do to the nodes that live now.

use std::{collections::BTreeMap, sync::Arc};

use dockmaster_compiler::{
    cache::Cache, classification::Classification, compile::Compiled, diff::diff, site::Site,
};
use dockmaster_proto::{
    api::documents::{CatalogChange, CompileFailure, GroupChange, NodeName, Plan},
    id::Digest,
    node::NodeView,
};

use super::{Assignment, Delivery, in_force::InForce};
use crate::stored::StoredError;

/// Documents that someone would like; what is `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct Proposed {
    /// Another classification.
    pub classification: Option<Arc<Classification>>,
    /// Another site.
    pub site: Option<Arc<Site>>,
}

impl Delivery {
    /// What the change would do to what the view says is in force. Compiles every live node's
    /// catalog; blocks.
    ///
    /// # Errors
    /// When the documents in force cannot be read.
    pub fn plan(&self, proposed: &Proposed) -> Result<Plan, StoredError> {
        let (nodes, documents) = {
            let state = self.journal.state();
            (super::views(&state), state.documents().clone())
        };
        // What was put in force a moment ago may not have been taken up by the compiling task yet.
        let current = self.up_to(&documents)?;
        let next = InForce {
            revisions: current.revisions,
            classification: proposed
                .classification
                .clone()
                .unwrap_or_else(|| current.classification.clone()),
            cache: match &proposed.site {
                Some(site) => Arc::new(Cache::new(site.clone())),
                None => current.cache.clone(),
            },
        };
        let (catalogs, failures) = self.compare(&nodes, next.compile_all(&nodes));
        Ok(Plan {
            base: current.revisions.classification,
            nodes: nodes.len() as u64,
            groups: group_changes(&nodes, &current.classification, &next.classification),
            catalogs,
            failures,
            warnings: next.classification.lint(
                Some(next.cache.site().as_ref()),
                nodes.iter().map(Arc::as_ref),
            ),
        })
    }

    fn compare(
        &self,
        nodes: &[Arc<NodeView>],
        results: Vec<Result<Arc<Compiled>, String>>,
    ) -> (Vec<CatalogChange>, Vec<CompileFailure>) {
        let mut failures = Vec::new();
        let mut diffs: BTreeMap<(Option<Digest>, Digest), String> = BTreeMap::new();
        let mut by_diff: BTreeMap<String, Vec<NodeName>> = BTreeMap::new();
        for (node, result) in nodes.iter().zip(results) {
            let new = match result {
                Ok(new) => new,
                Err(error) => {
                    failures.push(CompileFailure {
                        node: name(node),
                        error,
                    });
                    continue;
                }
            };
            let old = match self.assignment(&node.id) {
                Some(Assignment::Compiled(old)) => Some(old),
                _ => None,
            };
            let old_digest = old.as_ref().map(|old| old.digest);
            if old_digest == Some(new.digest) {
                continue;
            }
            let text = diffs
                .entry((old_digest, new.digest))
                .or_insert_with(|| difference(old.as_deref(), &new));
            by_diff.entry(text.clone()).or_default().push(name(node));
        }
        let mut changes: Vec<CatalogChange> = by_diff
            .into_iter()
            .map(|(diff, nodes)| CatalogChange { nodes, diff })
            .collect();
        changes.sort_by_key(|change| std::cmp::Reverse(change.nodes.len()));
        (changes, failures)
    }
}

fn group_changes(
    nodes: &[Arc<NodeView>],
    old: &Classification,
    new: &Classification,
) -> Vec<GroupChange> {
    let mut changes: BTreeMap<String, GroupChange> = BTreeMap::new();
    for node in nodes {
        let (before, after) = (groups(old, node), groups(new, node));
        for group in after.iter().filter(|group| !before.contains(group)) {
            entry(&mut changes, group).gained.push(name(node));
        }
        for group in before.iter().filter(|group| !after.contains(group)) {
            entry(&mut changes, group).lost.push(name(node));
        }
    }
    changes.into_values().collect()
}

fn entry<'a>(changes: &'a mut BTreeMap<String, GroupChange>, group: &str) -> &'a mut GroupChange {
    changes
        .entry(group.to_owned())
        .or_insert_with(|| GroupChange {
            group: group.to_owned(),
            gained: Vec::new(),
            lost: Vec::new(),
        })
}

fn groups(classification: &Classification, node: &NodeView) -> Vec<String> {
    classification
        .resolve(node)
        .map(|resolved| resolved.groups)
        .unwrap_or_default()
}

fn name(node: &NodeView) -> NodeName {
    NodeName {
        name: node.name.clone(),
        id: node.id,
    }
}

fn difference(old: Option<&Compiled>, new: &Compiled) -> String {
    let blobs = |digest: &Digest| {
        let of_old = old.into_iter().flat_map(|old| &old.blobs);
        new.blobs
            .iter()
            .chain(of_old)
            .find(|(named, _)| named == digest)
            .map(|(_, bytes)| bytes.clone())
    };
    diff(old.map(|old| &old.catalog), &new.catalog, blobs)
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::{
        api::documents::SiteManifest,
        event::{DocumentChanged, Event, NodeObserved},
        id::Revision,
    };

    use super::*;
    use crate::testing::{Running, facts, host};

    fn proposed(class: &str) -> Proposed {
        let text = format!("groups: [{{ name: g, match: '', classes: [{class}] }}]");
        let classification = Classification::parse("classification.yaml", &text).unwrap();
        Proposed {
            classification: Some(Arc::new(classification)),
            site: None,
        }
    }

    #[tokio::test]
    async fn a_plan_is_made_against_the_view_although_nothing_was_compiled_since() {
        // Nobody runs it: the compiling task is as far behind as it can be.
        let running = Running::new();
        let (blobs, delivery) = (&running.blobs, &running.delivery);

        let files = [
            ("site.yaml", "description: x\n"),
            ("modules/extra/classes/extra.yaml", "resources: []\n"),
        ];
        let manifest = SiteManifest {
            files: files
                .map(|(path, text)| (path.to_owned(), blobs.put(text.as_bytes()).unwrap()))
                .into(),
        };
        let site = DocumentChanged {
            revision: Revision(1),
            sha256: blobs.put(&manifest.to_bytes()).unwrap(),
            message: String::new(),
        };
        let node = NodeObserved {
            host: host(),
            facts: facts(1, &["172.17.0.2"]),
        };
        let events = vec![Event::NodeObserved(node), Event::SiteDeployed(site)];
        running.commit(events).await;

        let failures = |class: &str| delivery.plan(&proposed(class)).unwrap().failures;
        assert_eq!(failures("extra"), []);
        assert_eq!(failures("other").len(), 1);
        running.shutdown().await;
    }
}
