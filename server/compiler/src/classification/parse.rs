//! Text to groups.

use std::collections::{BTreeMap, HashMap};

use dockmaster_proto::{label::Tier, selector::Selector};

use super::{Classification, Group, Rank, index::Index};
use crate::{DEFAULT_TIER, names};
use dockmaster_document::{
    diagnostic::{Diagnostic, Diagnostics, SourceFile},
    fields::Fields,
    suggest,
    yaml::{self, Node},
};

const KEYS: [&str; 8] = [
    "name",
    "match",
    "from",
    "classes",
    "params",
    "environment",
    "priority",
    "parent",
];
/// A chain of parents longer than this is a mistake.
const MAX_PARENTS: usize = 32;

pub(super) fn parse(file_name: &str, text: &str) -> Result<Classification, Diagnostics> {
    let file = SourceFile {
        name: file_name,
        text,
    };
    let document = yaml::parse(text).map_err(|error| file.yaml_error(&error))?;
    let mut wrong = Vec::new();
    let mut drafts = Vec::new();
    if !document.is_null() {
        let fields = Fields::of(
            file,
            &document,
            "the classification",
            &["groups"],
            &mut wrong,
        );
        for node in fields.list("groups", &mut wrong) {
            drafts.extend(draft(file, node, &mut wrong));
        }
    }
    let groups = link(file, drafts, &mut wrong);
    Diagnostics::unless(
        wrong,
        Classification {
            file: file_name.into(),
            index: Index::new(&groups),
            groups,
        },
    )
}

/// A group whose parent is still a name.
struct Draft {
    name: String,
    line: u32,
    selector: Option<Selector>,
    from: Option<Tier>,
    classes: Vec<(String, u32)>,
    params: BTreeMap<String, (serde_json::Value, u32)>,
    environment: Option<(String, u32)>,
    priority: Option<i64>,
    parent: Option<(String, u32)>,
}

fn draft(file: SourceFile<'_>, node: &Node, wrong: &mut Vec<Diagnostic>) -> Option<Draft> {
    let fields = Fields::of(file, node, "a group", &KEYS, wrong);
    let Some((name, line)) = fields.text("name", wrong) else {
        if fields.get("name").is_none() {
            wrong.push(
                file.error(node.at.line, "a group has no name")
                    .hint("add \"name: …\""),
            );
        }
        return None;
    };
    if !names::is_label(&name) {
        wrong.push(
            file.error(line, format!("{name:?} cannot be a group's name"))
                .hint("1 to 128 letters, digits, '.', '-', '_', '/', ' '"),
        );
    }
    let selector = fields.text("match", wrong).and_then(|(text, line)| {
        text.parse::<Selector>()
            .map_err(|error| wrong.push(file.error(line, format!("group {name:?}: {error}"))))
            .ok()
    });
    let parent = fields.text("parent", wrong);
    if parent.is_none() && fields.get("match").is_none() {
        wrong.push(
            file.error(
                line,
                format!("group {name:?} has neither \"match\" nor \"parent\""),
            )
            .hint("write match: \"\" when it is meant for every node"),
        );
    }
    Some(Draft {
        selector,
        from: fields
            .text("from", wrong)
            .and_then(|(text, line)| tier(file, &text, line, wrong)),
        classes: classes(file, &fields, wrong),
        params: params(file, &fields, wrong),
        environment: fields.text("environment", wrong).filter(|(text, line)| {
            let fits = names::is_path_segment(text);
            if !fits {
                wrong.push(file.error(*line, format!("{text:?} cannot be an environment")).hint(
                    "1 to 64 of a-z, A-Z, 0-9, '.', '-', '_', beginning with a letter or digit",
                ));
            }
            fits
        }),
        priority: fields.integer("priority", wrong),
        parent,
        name,
        line,
    })
}

fn tier(file: SourceFile<'_>, text: &str, line: u32, wrong: &mut Vec<Diagnostic>) -> Option<Tier> {
    let all = [Tier::Agent, Tier::Token, Tier::Host, Tier::Operator];
    let tier = all.into_iter().find(|tier| tier.as_str() == text);
    if tier.is_none() {
        wrong.push(
            file.error(line, format!("{text:?} is no label tier"))
                .hint(suggest::hint(text, all.map(Tier::as_str))),
        );
    }
    tier
}

fn classes(
    file: SourceFile<'_>,
    fields: &Fields<'_>,
    wrong: &mut Vec<Diagnostic>,
) -> Vec<(String, u32)> {
    let mut classes = Vec::new();
    for (class, line) in fields.texts("classes", wrong) {
        if names::is_class(&class) {
            classes.push((class, line));
        } else {
            wrong.push(
                file.error(line, format!("{class:?} cannot be a class"))
                    .hint(names::CLASS_FORM),
            );
        }
    }
    classes
}

fn params(
    file: SourceFile<'_>,
    fields: &Fields<'_>,
    wrong: &mut Vec<Diagnostic>,
) -> BTreeMap<String, (serde_json::Value, u32)> {
    let mut params = BTreeMap::new();
    for entry in fields.map("params", wrong) {
        if names::split_param(&entry.key).is_some() {
            params.insert(entry.key.clone(), (entry.value.to_json(), entry.at.line));
        } else {
            wrong.push(
                file.error(entry.at.line, format!("{:?} is no parameter", entry.key))
                    .hint("write CLASS.PARAM: value, such as nginx.workers: 4"),
            );
        }
    }
    params
}

/// Resolves parents: selectors are joined, priority and label tier inherited.
fn link(file: SourceFile<'_>, drafts: Vec<Draft>, wrong: &mut Vec<Diagnostic>) -> Vec<Group> {
    let mut index = HashMap::new();
    for (at, draft) in drafts.iter().enumerate() {
        if let Some(first) = index.insert(draft.name.clone(), at) {
            let first: &Draft = &drafts[first];
            wrong.push(file.error(
                draft.line,
                format!(
                    "group {:?} stands in line {} already",
                    draft.name, first.line
                ),
            ));
        }
    }
    let ancestry: Vec<Vec<usize>> = (0..drafts.len())
        .map(|at| ancestry(file, &drafts, &index, at, wrong))
        .collect();
    let mut drafts: Vec<(Draft, Vec<usize>)> = drafts.into_iter().zip(ancestry).collect();
    let mut groups = Vec::with_capacity(drafts.len());
    for at in 0..drafts.len() {
        let chain = &drafts[at].1;
        // From the outermost parent inwards.
        let mut tier = DEFAULT_TIER;
        let mut priority = 0;
        let mut terms = Vec::new();
        for member in chain.iter().rev().map(|member| &drafts[*member].0) {
            tier = member.from.unwrap_or(tier);
            priority = member.priority.unwrap_or(priority);
            terms.extend(member.selector.clone().map(|selector| (selector, tier)));
        }
        let depth = chain.len().saturating_sub(1);
        let draft = &mut drafts[at].0;
        groups.push(Group {
            name: draft.name.clone(),
            line: draft.line,
            terms,
            classes: std::mem::take(&mut draft.classes),
            params: std::mem::take(&mut draft.params),
            environment: draft.environment.take(),
            rank: Rank { priority, depth },
        });
    }
    groups
}

/// The group and its parents, itself first; only itself when its parents are not in order.
fn ancestry(
    file: SourceFile<'_>,
    drafts: &[Draft],
    index: &HashMap<String, usize>,
    start: usize,
    wrong: &mut Vec<Diagnostic>,
) -> Vec<usize> {
    let mut chain = vec![start];
    let mut at = start;
    while let Some((parent, line)) = &drafts[at].parent {
        let Some(next) = index.get(parent) else {
            // Told once, where it stands, and not again for each child.
            if at == start {
                wrong.push(
                    file.error(
                        *line,
                        format!("there is no group {parent:?} to be the parent"),
                    )
                    .hint(suggest::hint(
                        parent,
                        drafts.iter().map(|draft| draft.name.as_str()),
                    )),
                );
            }
            return vec![start];
        };
        if chain.contains(next) || chain.len() > MAX_PARENTS {
            let path: Vec<&str> = chain
                .iter()
                .chain([next])
                .map(|at| drafts[*at].name.as_str())
                .collect();
            if *next == start {
                wrong
                    .push(file.error(*line, format!("parents in a circle: {}", path.join(" -> "))));
            } else if chain.len() > MAX_PARENTS {
                wrong.push(file.error(*line, format!("more than {MAX_PARENTS} parents")));
            }
            return vec![start];
        }
        chain.push(*next);
        at = *next;
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn errors(text: &str) -> String {
        Classification::parse("c.yaml", text)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn every_mistake_is_told_at_once_with_its_line() {
        let errors = errors(
            "groups:\n  - name: a\n    mtach: x\n  - name: b\n    match: \"role=\\\"\"\n    from: hots\n    \
             params: { nginx: 1 }\n    priority: high\n  - match: \"\"\n  - name: a\n    match: \"\"\n    classes: [\"A b\"]\n",
        );
        for part in [
            "c.yaml:3: \"mtach\" is not known in a group\n    3 |     mtach: x\n  did you mean \"match\"?",
            "c.yaml:2: group \"a\" has neither",
            "c.yaml:5: group \"b\": column",
            "c.yaml:6: \"hots\" is no label tier",
            "did you mean \"host\"?",
            "c.yaml:7: \"nginx\" is no parameter",
            "c.yaml:8: \"priority\" has to be a whole number",
            "c.yaml:9: a group has no name",
            "c.yaml:10: group \"a\" stands in line 2 already",
            "c.yaml:12: \"A b\" cannot be a class",
        ] {
            assert!(errors.contains(part), "{part}\nis not in\n{errors}");
        }
    }

    #[test]
    fn parents_in_a_circle_are_refused_with_the_path() {
        let errors = errors(
            "groups:\n  - { name: a, parent: b }\n  - { name: b, parent: c }\n  - { name: c, parent: a }\n  \
             - { name: d, parent: a }\n  - { name: e, parent: basse }\n  - { name: base, match: '' }\n",
        );
        assert!(errors.contains("a -> b -> c -> a"), "{errors}");
        assert!(errors.contains("did you mean \"base\"?"), "{errors}");
    }

    #[test]
    fn an_empty_document_has_no_groups() {
        assert_eq!(
            Classification::parse("c.yaml", "")
                .unwrap()
                .groups()
                .count(),
            0
        );
        assert_eq!(
            Classification::parse("c.yaml", "groups: []")
                .unwrap()
                .groups()
                .count(),
            0
        );
        assert!(Classification::parse("c.yaml", "[]").is_err());
    }

    proptest! {
        #[test]
        fn garbage_never_panics(text in "(groups:|name|match|parent|params|: |\n|  |- |\\[|\\]|\\{|\\}|a|,){0,60}") {
            let _ = Classification::parse("c.yaml", &text);
        }
    }
}
