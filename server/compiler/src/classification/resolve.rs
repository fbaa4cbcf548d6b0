//! What the groups give one node.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use dockmaster_proto::{api::documents::NodeName, id::Digest, node::NodeView};
use serde::Serialize;
use serde_json::Value;

use super::{Classification, DEFAULT_ENVIRONMENT, Group};
use crate::node_name;

/// What the classification gives one node.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The environment.
    pub environment: String,
    /// The groups that the node matches, strongest first.
    pub groups: Vec<String>,
    /// The classes, in the order of the document.
    pub classes: Vec<Granted>,
    /// The values of parameters, by `CLASS.PARAM`.
    pub params: BTreeMap<String, Given>,
    /// The name of the document, for errors.
    pub file: Arc<str>,
    config: Digest,
    origin: Digest,
}

/// A class that a node gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Granted {
    /// The class.
    pub class: String,
    /// The first group that gives it.
    pub group: String,
    /// The line of the document.
    pub line: u32,
}

/// A parameter's value that a node gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Given {
    /// The value.
    pub value: Value,
    /// The group that won.
    pub group: String,
    /// The line of the document.
    pub line: u32,
}

/// Two groups of equal rank give one node different values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{file}:{}: groups {:?} and {:?} are of equal rank and both give {key} to node {}: {} and {}; \
     give one of them a higher priority",
    lines[1], groups[0], groups[1], node.name, values[0], values[1]
)]
pub struct Conflict {
    /// The node.
    pub node: NodeName,
    /// `CLASS.PARAM`, or `environment`.
    pub key: String,
    /// The groups.
    pub groups: [String; 2],
    /// What each gives.
    pub values: [Value; 2],
    /// The document.
    pub file: Arc<str>,
    /// The line in which each does.
    pub lines: [u32; 2],
}

impl Resolved {
    /// The digest of environment, classes and values: nodes with the same one are configured alike,
    /// but for what templates read of the node.
    #[must_use]
    pub const fn config(&self) -> Digest {
        self.config
    }

    /// The digest of the same with the groups and lines that it comes from: errors name those.
    pub(crate) const fn origin(&self) -> Digest {
        self.origin
    }

    fn new(
        file: Arc<str>,
        environment: String,
        groups: Vec<String>,
        classes: Vec<Granted>,
        params: BTreeMap<String, Given>,
    ) -> Self {
        let names: Vec<&str> = classes
            .iter()
            .map(|granted| granted.class.as_str())
            .collect();
        let values: Vec<(&str, &Value)> = params
            .iter()
            .map(|(key, given)| (key.as_str(), &given.value))
            .collect();
        Self {
            config: digest(&(&environment, names, values)),
            origin: digest(&(&environment, &classes, &params)),
            environment,
            groups,
            classes,
            params,
            file,
        }
    }
}

fn digest<T: Serialize>(value: &T) -> Digest {
    // Strings, numbers and maps with string keys always serialise; were it not so, an empty text
    // would only make configurations look alike that fail to compile alike.
    Digest::of(&serde_json::to_vec(value).unwrap_or_default())
}

impl Classification {
    /// What the groups give a node.
    ///
    /// # Errors
    /// When two groups of equal rank, with none stronger, give it different values of one key.
    pub fn resolve(&self, node: &NodeView) -> Result<Resolved, Box<Conflict>> {
        let mut matching = self.matching(node);
        let mut classes: Vec<Granted> = Vec::new();
        for group in &matching {
            for (class, line) in &group.classes {
                if !classes.iter().any(|granted| granted.class == *class) {
                    classes.push(Granted {
                        class: class.clone(),
                        group: group.name.clone(),
                        line: *line,
                    });
                }
            }
        }
        // Stable: groups of equal rank stay in the order of the document.
        matching.sort_by_key(|group| Reverse(group.rank));
        let mut params: BTreeMap<&str, Candidate<'_>> = BTreeMap::new();
        let mut environment: Option<Candidate<'_>> = None;
        for group in &matching {
            for (key, (value, line)) in &group.params {
                let candidate = Candidate {
                    group,
                    value: value.clone(),
                    line: *line,
                };
                let winner = self.weigh(node, key, params.remove(key.as_str()), candidate)?;
                params.insert(key, winner);
            }
            if let Some((name, line)) = &group.environment {
                let candidate = Candidate {
                    group,
                    value: Value::String(name.clone()),
                    line: *line,
                };
                environment =
                    Some(self.weigh(node, "environment", environment.take(), candidate)?);
            }
        }
        let given = |winner: Candidate<'_>| Given {
            value: winner.value,
            group: winner.group.name.clone(),
            line: winner.line,
        };
        let environment = environment.and_then(|winner| winner.value.as_str().map(str::to_owned));
        Ok(Resolved::new(
            Arc::clone(&self.file),
            environment.unwrap_or_else(|| DEFAULT_ENVIRONMENT.to_owned()),
            matching.iter().map(|group| group.name.clone()).collect(),
            classes,
            params
                .into_iter()
                .map(|(key, winner)| (key.to_owned(), given(winner)))
                .collect(),
        ))
    }

    /// The groups that a node matches, in the order of the document.
    pub(super) fn matching(&self, node: &NodeView) -> Vec<&Group> {
        let candidates = self.index.candidates(node).into_iter();
        candidates
            .map(|at| &self.groups[at])
            .filter(|group| group.matches(node))
            .collect()
    }

    /// `first`, which is at least as strong, against `second`.
    fn weigh<'a>(
        &self,
        node: &NodeView,
        key: &str,
        first: Option<Candidate<'a>>,
        second: Candidate<'a>,
    ) -> Result<Candidate<'a>, Box<Conflict>> {
        match first {
            None => Ok(second),
            Some(first) if first.group.rank == second.group.rank && first.value != second.value => {
                Err(Box::new(Conflict {
                    node: node_name(node),
                    key: key.to_owned(),
                    groups: [first.group.name.clone(), second.group.name.clone()],
                    values: [first.value, second.value],
                    file: Arc::clone(&self.file),
                    lines: [first.line, second.line],
                }))
            }
            Some(first) => Ok(first),
        }
    }
}

struct Candidate<'a> {
    group: &'a Group,
    value: Value,
    line: u32,
}

impl Group {
    pub(super) fn matches(&self, node: &NodeView) -> bool {
        self.terms
            .iter()
            .all(|(selector, tier)| selector.matches(node, *tier))
    }
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::label::Tier;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{classification::testing::parse, testing::node};

    const DOCUMENT: &str = "
groups:
  - { name: base, match: '', classes: [motd] }
  - { name: web, match: role=web, classes: [nginx, motd], params: { nginx.workers: 4, nginx.user: www }, priority: 10, environment: live }
  - { name: canary, parent: web, match: canary, params: { nginx.workers: 2 } }
  - { name: late, match: role=web, params: { nginx.workers: 1 }, environment: test }
";

    #[test]
    fn a_child_overrides_its_parent_and_inherits_the_rest() {
        let classification = parse(DOCUMENT);
        let resolved = classification
            .resolve(&node("n", &[("role", "web"), ("canary", "")]))
            .unwrap();
        assert_eq!(resolved.groups, ["canary", "web", "base", "late"]);
        assert_eq!(resolved.environment, "live");
        let classes: Vec<&str> = resolved
            .classes
            .iter()
            .map(|granted| granted.class.as_str())
            .collect();
        assert_eq!(classes, ["motd", "nginx"]);
        assert_eq!(resolved.params["nginx.workers"].value, json!(2));
        assert_eq!(resolved.params["nginx.workers"].group, "canary");
        assert_eq!(resolved.params["nginx.user"].group, "web");

        let resolved = classification
            .resolve(&node("n", &[("canary", "")]))
            .unwrap();
        assert_eq!(
            resolved.groups,
            ["base"],
            "a child needs its parent's match too"
        );
        assert_eq!(resolved.environment, DEFAULT_ENVIRONMENT);
    }

    #[test]
    fn groups_of_equal_rank_that_differ_are_a_conflict_that_names_both() {
        let classification = parse(
            "groups:\n  - { name: a, match: x, params: { c.p: 1 } }\n  - { name: b, match: y, params: { c.p: 2 } }\n",
        );
        let conflict = classification
            .resolve(&node("web-1", &[("x", ""), ("y", "")]))
            .unwrap_err();
        assert_eq!(
            conflict.to_string(),
            "classification.yaml:3: groups \"a\" and \"b\" are of equal rank and both give c.p to node web-1: \
             1 and 2; give one of them a higher priority"
        );
        assert!(classification.resolve(&node("web-1", &[("x", "")])).is_ok());
    }

    #[test]
    fn equal_values_and_beaten_groups_are_no_conflict() {
        let classification = parse(
            "groups:\n  - { name: a, match: '', params: { c.p: 1 } }\n  - { name: b, match: '', params: { c.p: 1 } }\n",
        );
        assert!(classification.resolve(&node("n", &[])).is_ok());
        let classification = parse(
            "groups:\n  - { name: a, match: '', params: { c.p: 1 } }\n  - { name: b, match: '', params: { c.p: 2 } }\n  \
             - { name: top, match: '', priority: 1, params: { c.p: 3 } }\n",
        );
        assert_eq!(
            classification.resolve(&node("n", &[])).unwrap().params["c.p"].value,
            json!(3)
        );
    }

    #[test]
    fn what_an_agent_claims_does_not_classify_it_unless_a_group_says_so() {
        let mut claimed = node("n", &[]);
        claimed.labels.set("role", "web", Tier::Agent);
        let by_default = parse("groups: [{ name: web, match: role=web }]");
        assert!(by_default.resolve(&claimed).unwrap().groups.is_empty());
        let allowed = parse("groups: [{ name: web, match: role=web, from: agent }]");
        assert_eq!(allowed.resolve(&claimed).unwrap().groups, ["web"]);
        let strict = parse("groups: [{ name: web, match: role=web, from: operator }]");
        assert!(
            strict
                .resolve(&node("n", &[("role", "web")]))
                .unwrap()
                .groups
                .is_empty()
        );
    }

    #[test]
    fn nodes_of_one_configuration_share_its_digest() {
        let classification = parse(DOCUMENT);
        let resolve =
            |labels: &[(&str, &str)]| classification.resolve(&node("n", labels)).unwrap().config();
        assert_eq!(
            resolve(&[("role", "web")]),
            resolve(&[("role", "web"), ("other", "x")])
        );
        assert_ne!(resolve(&[("role", "web")]), resolve(&[("role", "db")]));
    }

    proptest! {
        #[test]
        fn the_order_of_groups_changes_no_value(
            groups in prop::collection::vec((0_i64..5, 0_usize..3, 0_i64..3), 1..8),
            seed in any::<u64>(),
        ) {
            let line = |(name, (priority, param, value)): (usize, &(i64, usize, i64))| {
                format!("  - {{ name: g{name}, match: '', priority: {priority}, classes: [c{param}], params: {{ c.p{param}: {value} }} }}\n")
            };
            let mut lines: Vec<String> = groups.iter().enumerate().map(line).collect();
            let values = |lines: &[String]| {
                let classification = parse(&format!("groups:\n{}", lines.concat()));
                let resolved = classification.resolve(&node("n", &[])).map_err(|conflict| conflict.key);
                resolved.map(|resolved| {
                    resolved.params.into_iter().map(|(key, given)| (key, given.value)).collect::<Vec<_>>()
                })
            };
            let before = values(&lines);
            let length = lines.len();
            lines.rotate_left(usize::try_from(seed % length as u64).unwrap());
            lines.reverse();
            prop_assert_eq!(before.is_ok(), values(&lines).is_ok());
            if let Ok(before) = before {
                prop_assert_eq!(before, values(&lines).unwrap());
            }
        }
    }
}
