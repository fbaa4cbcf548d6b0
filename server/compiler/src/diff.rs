//! The difference between two catalogs, for people.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use dockmaster_proto::{
    catalog::{Catalog, Edge, EdgeKind, Resource, ResourceRef},
    id::Digest,
    resource::{Content, ResourceKind},
};
use serde_json::{Map, Value};
use similar::TextDiff;

/// How many lines of one content's difference are shown.
const MAX_LINES: usize = 200;
/// Contents larger than this are compared by their digests only.
const MAX_COMPARED: usize = 1 << 20;

/// What a change of catalogs would do, resource by resource in the new order; empty when nothing.
/// `blobs` gives contents by digest, old and new ones, as far as they are at hand.
#[must_use]
pub fn diff(
    old: Option<&Catalog>,
    new: &Catalog,
    blobs: impl Fn(&Digest) -> Option<Arc<[u8]>>,
) -> String {
    let nothing = Catalog {
        environment: new.environment.clone(),
        classes: Vec::new(),
        resources: Vec::new(),
        edges: Vec::new(),
        ..*new
    };
    let old = old.unwrap_or(&nothing);
    let mut writer = Writer {
        text: String::new(),
        blobs: &blobs,
    };
    if old.environment != new.environment {
        writer.line(&format!(
            "~ environment: {} -> {}",
            old.environment, new.environment
        ));
    }
    for class in old
        .classes
        .iter()
        .filter(|class| !new.classes.contains(class))
    {
        writer.line(&format!("- class {class}"));
    }
    for class in new
        .classes
        .iter()
        .filter(|class| !old.classes.contains(class))
    {
        writer.line(&format!("+ class {class}"));
    }
    let before: BTreeMap<ResourceRef, &Resource> = by_reference(old);
    let after = by_reference(new);
    for resource in &new.resources {
        match before.get(&resource.reference()) {
            None => writer.added(resource),
            Some(old) if *old != resource => writer.changed(old, resource),
            Some(_) => {}
        }
    }
    for reference in old.resources.iter().map(Resource::reference) {
        if !after.contains_key(&reference) {
            writer.line(&format!("- {reference}: no longer managed"));
        }
    }
    let kept = |edge: &&Edge| {
        before.contains_key(&edge.from)
            && after.contains_key(&edge.from)
            && before.contains_key(&edge.to)
            && after.contains_key(&edge.to)
    };
    for edge in old
        .edges
        .iter()
        .filter(kept)
        .filter(|edge| !new.edges.contains(edge))
    {
        writer.line(&format!("- {}", edge_text(edge)));
    }
    for edge in new
        .edges
        .iter()
        .filter(kept)
        .filter(|edge| !old.edges.contains(edge))
    {
        writer.line(&format!("+ {}", edge_text(edge)));
    }
    if writer.text.is_empty() && old != new {
        writer.line("~ only the order of resources, or where they are declared");
    }
    writer.text
}

fn by_reference(catalog: &Catalog) -> BTreeMap<ResourceRef, &Resource> {
    let each = catalog.resources.iter();
    each.map(|resource| (resource.reference(), resource))
        .collect()
}

fn edge_text(edge: &Edge) -> String {
    let verb = match edge.kind {
        EdgeKind::Before | EdgeKind::Automatic => "before",
        EdgeKind::Notify => "notifies",
    };
    format!("{} {verb} {}", edge.from, edge.to)
}

struct Writer<'a> {
    text: String,
    blobs: &'a dyn Fn(&Digest) -> Option<Arc<[u8]>>,
}

impl Writer<'_> {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn added(&mut self, resource: &Resource) {
        self.line(&format!("+ {}", resource.reference()));
        for (key, value) in params(resource) {
            self.line(&format!("    {key}: {value}"));
        }
        if let Some(content) = content(resource) {
            self.content(None, content);
        }
    }

    fn changed(&mut self, old: &Resource, new: &Resource) {
        if old.kind == new.kind {
            // Declared elsewhere: nothing that an agent would do anything about.
            return;
        }
        self.line(&format!("~ {}", new.reference()));
        let (old_params, new_params) = (params(old), params(new));
        for (key, value) in &new_params {
            match old_params.get(key) {
                None => self.line(&format!("    {key}: {value} (was left alone)")),
                Some(before) if before != value => {
                    self.line(&format!("    {key}: {before} -> {value}"));
                }
                Some(_) => {}
            }
        }
        for (key, value) in old_params
            .iter()
            .filter(|(key, _)| !new_params.contains_key(*key))
        {
            self.line(&format!("    {key}: {value} -> left alone"));
        }
        match (content(old), content(new)) {
            (before, Some(after)) if before != Some(after) => self.content(before, after),
            (Some(_), None) => self.line("    content: no longer managed"),
            _ => {}
        }
    }

    fn content(&mut self, old: Option<&Content>, new: &Content) {
        let before = match old {
            None => Some(String::new()),
            Some(old) => self.readable(old),
        };
        let (Some(before), Some(after)) = (before, self.readable(new)) else {
            let from = old.map_or_else(|| "nothing".to_owned(), summary);
            self.line(&format!("    content: {from} -> {}", summary(new)));
            return;
        };
        let changes = TextDiff::from_lines(&before, &after);
        let mut unified = changes.unified_diff();
        let unified = unified
            .context_radius(2)
            .missing_newline_hint(false)
            .to_string();
        self.line("    content:");
        let lines: Vec<&str> = unified.lines().collect();
        for line in lines.iter().take(MAX_LINES) {
            // Writing to a string does not fail.
            let _ = writeln!(self.text, "      {line}");
        }
        if lines.len() > MAX_LINES {
            self.line(&format!("      … {} more lines", lines.len() - MAX_LINES));
        }
    }

    /// The content as text, when it is at hand, text, and not too large to compare.
    fn readable(&self, content: &Content) -> Option<String> {
        match content {
            Content::Inline(text) => Some(text.clone()),
            Content::Blob { sha256, .. } => {
                let bytes = (self.blobs)(sha256).filter(|bytes| bytes.len() <= MAX_COMPARED)?;
                std::str::from_utf8(&bytes).ok().map(str::to_owned)
            }
        }
    }
}

fn summary(content: &Content) -> String {
    match content {
        Content::Inline(text) => format!("{} bytes", text.len()),
        Content::Blob { sha256, size } => {
            format!("{size} bytes sha256:{}", &sha256.to_string()[..12])
        }
    }
}

fn content(resource: &Resource) -> Option<&Content> {
    match &resource.kind {
        ResourceKind::File(file) => file.content.as_ref(),
        ResourceKind::Directory(_)
        | ResourceKind::Symlink(_)
        | ResourceKind::Exec(_)
        | ResourceKind::Process(_) => None,
    }
}

/// The parameters but for the content.
fn params(resource: &Resource) -> Map<String, Value> {
    let json = serde_json::to_value(&resource.kind).unwrap_or_default();
    let mut params = match json.get("params") {
        Some(Value::Object(params)) => params.clone(),
        _ => Map::new(),
    };
    params.remove("content");
    params
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        classification::testing::parse,
        compile::{Compiled, compile},
        fleet::Fleet,
        testing::{node, site},
    };

    fn compiled(class: &str) -> Compiled {
        let site = site(&[("site.yaml", ""), ("modules/m/classes/m.yaml", class)]);
        let node = node("n", &[]);
        let resolved = parse("groups: [{ name: all, match: '', classes: [m] }]")
            .resolve(&node)
            .unwrap();
        compile(&site, &resolved, &node, &Fleet::default())
            .unwrap_or_else(|wrong| panic!("{wrong}"))
    }

    fn changes(old: &str, new: &str) -> String {
        let (old, new) = (compiled(old), compiled(new));
        let blobs: BTreeMap<Digest, Arc<[u8]>> =
            old.blobs.iter().chain(&new.blobs).cloned().collect();
        diff(Some(&old.catalog), &new.catalog, |digest| {
            blobs.get(digest).cloned()
        })
    }

    const OLD: &str = "resources:\n  - file: /a\n    content: \"one\\ntwo\\nthree\\n\"\n    mode: '0600'\n    owner: root\n  - exec: x\n    command: [x]\n  - process: app\n";

    #[test]
    fn each_resource_says_what_changes() {
        let new = "resources:\n  - file: /a\n    content: \"one\\n2\\nthree\\n\"\n    mode: '0644'\n    notify: process[app]\n  - process: app\n  - file: /b\n    content: new\n";
        assert_eq!(
            changes(OLD, new),
            "~ file[/a]\n    mode: \"0600\" -> \"0644\"\n    owner: \"root\" -> left alone\n    content:\n      \
             @@ -1,3 +1,3 @@\n       one\n      -two\n      +2\n       three\n\
             + file[/b]\n    content:\n      @@ -0,0 +1 @@\n      +new\n\
             - exec[x]: no longer managed\n+ file[/a] notifies process[app]\n"
        );
    }

    #[test]
    fn nothing_is_said_of_what_stays() {
        assert_eq!(changes(OLD, OLD), "");
        assert_eq!(
            changes(OLD, &format!("# moved by a line\n{OLD}")),
            "~ only the order of resources, or where they are declared\n"
        );
    }

    #[test]
    fn large_contents_are_compared_when_they_are_at_hand() {
        let class = |line: &str| {
            format!("resources:\n  - file: /a\n    content: \"{{{{ 'x\\n' * 3000 }}}}{line}\"\n")
        };
        let (old, new) = (compiled(&class("old")), compiled(&class("new")));
        assert_eq!(old.blobs.len(), 1);
        let text = changes(&class("old"), &class("new"));
        assert!(text.contains("-old\n      +new"), "{text}");
        let text = diff(Some(&old.catalog), &new.catalog, |_| None);
        assert!(text.contains("6003 bytes sha256:"), "{text}");
        assert!(diff(None, &new.catalog, |_| None).starts_with("+ class m\n+ file[/a]\n"));
    }
}
