//! What looks like a mistake but is none for certain.

use std::collections::BTreeSet;

use dockmaster_proto::{
    node::NodeView,
    selector::{BuiltIn, Key, Test},
};

use super::{Classification, Group};
use crate::{names, site::Site};
use dockmaster_document::suggest;

impl Classification {
    /// What looks like a mistake: groups that no live node matches, and, against a site, classes
    /// and parameters that it does not have.
    #[must_use]
    pub fn lint<'n>(
        &self,
        site: Option<&Site>,
        nodes: impl IntoIterator<Item = &'n NodeView>,
    ) -> Vec<String> {
        let nodes: Vec<&NodeView> = nodes.into_iter().collect();
        let labels: BTreeSet<&str> = nodes
            .iter()
            .flat_map(|node| node.labels.iter().map(|(key, _)| key))
            .collect();
        let mut matched: BTreeSet<&str> = BTreeSet::new();
        for node in &nodes {
            matched.extend(self.matching(node).iter().map(|group| group.name.as_str()));
        }
        let mut warnings = Vec::new();
        for group in &self.groups {
            if !nodes.is_empty() && !matched.contains(group.name.as_str()) {
                let advice = group.unknown_label(&labels);
                warnings.push(self.warning(
                    group,
                    group.line,
                    &format!("matches no live node{advice}"),
                ));
            }
            if let Some(site) = site {
                self.lint_classes(group, site, &mut warnings);
                self.lint_params(group, site, &mut warnings);
            }
        }
        warnings
    }

    fn lint_classes(&self, group: &Group, site: &Site, warnings: &mut Vec<String>) {
        for (class, line) in &group.classes {
            if site.class(class).is_none() {
                let hint = advice(class, site.classes());
                warnings.push(self.warning(
                    group,
                    *line,
                    &format!("class {class:?} is not in the site{hint}"),
                ));
            }
        }
    }

    fn lint_params(&self, group: &Group, site: &Site, warnings: &mut Vec<String>) {
        for (key, (_, line)) in &group.params {
            let Some((class, param)) = names::split_param(key) else {
                continue;
            };
            let text = match site.class(class) {
                None => format!(
                    "{key}: class {class:?} is not in the site{}",
                    advice(class, site.classes())
                ),
                Some(declared) if !declared.has_param(param) => {
                    let hint = advice(param, declared.params());
                    format!("{key}: class {class} has no parameter {param:?}{hint}")
                }
                Some(_) => continue,
            };
            warnings.push(self.warning(group, *line, &text));
        }
    }

    fn warning(&self, group: &Group, line: u32, text: &str) -> String {
        format!("{}:{line}: group {:?}: {text}", self.file, group.name)
    }
}

impl Group {
    /// The first required label that no node has.
    fn unknown_label(&self, labels: &BTreeSet<&str>) -> String {
        let terms = self.terms.iter().flat_map(|(selector, _)| selector.terms());
        let required = terms.filter(|term| !matches!(term.test, Test::Absent | Test::NotIn(_)));
        let unknown = required.filter_map(|term| match &term.key {
            Key::Label(key) if !labels.contains(key.as_str()) => Some(key),
            Key::Label(_)
            | Key::BuiltIn(
                BuiltIn::Id
                | BuiltIn::Name
                | BuiltIn::Host
                | BuiltIn::Image
                | BuiltIn::Network
                | BuiltIn::Ip,
            ) => None,
        });
        unknown.into_iter().next().map_or_else(String::new, |key| {
            format!(
                "; none has a label {key:?}{}",
                advice(key, labels.iter().copied())
            )
        })
    }
}

fn advice<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    suggest::nearest(word, known)
        .map_or_else(String::new, |near| format!(", did you mean {near:?}?"))
}

#[cfg(test)]
mod tests {
    use crate::{
        classification::testing::parse,
        testing::{node, site},
    };

    #[test]
    fn what_looks_like_a_mistake_is_told_with_what_was_meant() {
        let site = site(&[
            ("site.yaml", ""),
            (
                "modules/nginx/classes/nginx.yaml",
                "params: { workers: {} }",
            ),
        ]);
        let classification = parse(
            "groups:\n  - name: web\n    match: rloe=web\n    classes: [ngnix, nginx]\n    \
             params: { nginx.wrkers: 1, nginx.workers: 2, apache.x: 1 }\n  - { name: all, match: '' }\n  \
             - { name: db, match: 'role=db, !other' }\n",
        );
        let nodes = [node("n", &[("role", "web")])];
        assert_eq!(
            classification.lint(Some(&site), &nodes),
            [
                "classification.yaml:2: group \"web\": matches no live node; none has a label \"rloe\", did you mean \"role\"?",
                "classification.yaml:4: group \"web\": class \"ngnix\" is not in the site, did you mean \"nginx\"?",
                "classification.yaml:5: group \"web\": apache.x: class \"apache\" is not in the site",
                "classification.yaml:5: group \"web\": nginx.wrkers: class nginx has no parameter \"wrkers\", did you mean \"workers\"?",
                "classification.yaml:7: group \"db\": matches no live node",
            ]
        );
        // Without nodes nothing can be said of them.
        assert_eq!(classification.lint(None, []), Vec::<String>::new());
    }
}
