//! Which groups could match a node, without asking each of ten thousand.

use std::collections::HashMap;

use dockmaster_proto::{
    node::NodeView,
    selector::{Key, Test},
};

use super::Group;

/// Groups by a label that they need. A group stands below the rarest label that no node without
/// it can match; groups that need none of a known value are asked every time.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    by_label: HashMap<String, HashMap<String, Vec<usize>>>,
    residual: Vec<usize>,
}

impl Index {
    pub(super) fn new(groups: &[Group]) -> Self {
        let mut uses: HashMap<(&str, &str), usize> = HashMap::new();
        for (key, values) in groups.iter().flat_map(needs) {
            for value in values {
                *uses.entry((key, value)).or_default() += 1;
            }
        }
        let cost = |(key, values): &(&str, &[String])| -> usize {
            let each = values.iter().map(|value| uses.get(&(*key, value.as_str())));
            each.map(|uses| uses.copied().unwrap_or_default()).sum()
        };
        let mut index = Self::default();
        for (at, group) in groups.iter().enumerate() {
            let Some((key, values)) = needs(group).min_by_key(cost) else {
                index.residual.push(at);
                continue;
            };
            let by_value = index.by_label.entry(key.to_owned()).or_default();
            for value in values {
                by_value.entry(value.clone()).or_default().push(at);
            }
        }
        index
    }

    /// The groups that could match, in the order of the document, each once.
    pub(super) fn candidates(&self, node: &NodeView) -> Vec<usize> {
        let mut candidates = self.residual.clone();
        for (key, label) in node.labels.iter() {
            let postings = self
                .by_label
                .get(key)
                .and_then(|by_value| by_value.get(&label.value));
            candidates.extend(postings.into_iter().flatten());
        }
        candidates.sort_unstable();
        // `a in (x, x)` stands twice below one label.
        candidates.dedup();
        candidates
    }
}

/// Labels that a node must have with one of these values.
fn needs(group: &Group) -> impl Iterator<Item = (&str, &[String])> {
    let terms = group
        .terms
        .iter()
        .flat_map(|(selector, _)| selector.required());
    terms.filter_map(|term| match (&term.key, &term.test) {
        (Key::Label(key), Test::In(values)) => Some((key.as_str(), values.as_slice())),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::{classification::testing::parse, testing::node};

    #[test]
    fn a_group_stands_below_its_rarest_label() {
        let classification = parse(
            "groups:\n  - { name: a, match: 'role=web, tier=a' }\n  - { name: b, match: 'role=web, tier=b' }\n  \
             - { name: c, match: '!role' }\n  - { name: d, match: 'role=web or x' }\n  - { name: e, parent: a, match: x }\n",
        );
        let candidates =
            |labels: &[(&str, &str)]| classification.index.candidates(&node("n", labels));
        assert_eq!(candidates(&[("role", "web")]), [2, 3]);
        assert_eq!(candidates(&[("tier", "a")]), [0, 2, 3, 4]);
    }

    fn term() -> impl Strategy<Value = String> {
        let key = prop::sample::select(vec!["a", "b", "c"]);
        let value = prop::sample::select(vec!["1", "2", "3"]);
        (key, value.clone(), value, 0..6).prop_map(|(key, one, two, form)| match form {
            0 => format!("{key}={one}"),
            1 => format!("{key} in ({one}, {two})"),
            2 => format!("{key}!={one}"),
            3 => key.to_owned(),
            4 => format!("!{key}"),
            _ => format!("({key}={one} or b={two})"),
        })
    }

    proptest! {
        #[test]
        fn the_index_loses_no_group(
            selectors in prop::collection::vec(prop::collection::vec(term(), 0..3), 1..12),
            labels in prop::collection::btree_map("[abc]", "[123]", 0..4),
        ) {
            let mut text = String::from("groups:\n");
            for (at, terms) in selectors.iter().enumerate() {
                text += &format!("  - {{ name: g{at}, match: '{}' }}\n", terms.join(", "));
            }
            let classification = parse(&text);
            let labels: Vec<(&str, &str)> = labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            let node = node("n", &labels);
            let mut found = classification.resolve(&node).unwrap().groups;
            let mut expected: Vec<String> = classification
                .groups
                .iter()
                .filter(|group| group.matches(&node))
                .map(|group| group.name.clone())
                .collect();
            found.sort();
            expected.sort();
            prop_assert_eq!(found, expected);
        }
    }
}
