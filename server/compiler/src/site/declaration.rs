//! Resources as classes declare them: not yet rendered, not yet of any node.

use std::collections::BTreeSet;

use dockmaster_proto::catalog::ResourceRef;

use super::{
    Files, Kind,
    form::{self, shape},
};
use crate::template::{self, Templates, Text};
use dockmaster_document::{
    diagnostic::{Diagnostic, SourceFile},
    suggest,
    yaml::{Entry, Node, Value},
};

/// One declared resource.
#[derive(Debug)]
pub(crate) struct Declaration {
    pub(crate) line: u32,
    pub(crate) kind: Kind,
    pub(crate) title: Text,
    pub(crate) when: Option<Text>,
    pub(crate) content: Option<ContentSource>,
    pub(crate) params: Vec<DeclaredParam>,
    pub(crate) relations: Vec<DeclaredRelation>,
}

/// Where a file's bytes come from.
#[derive(Debug)]
pub(crate) enum ContentSource {
    /// `content:` a text.
    Text(Text),
    /// `template:` the path of a template.
    Template(String),
    /// `source:` the path of a file.
    File(String),
}

/// A parameter of the resource.
#[derive(Debug)]
pub(crate) struct DeclaredParam {
    pub(crate) key: String,
    pub(crate) line: u32,
    pub(crate) value: Tree,
}

/// A value whose texts may have `{{ }}` in them.
#[derive(Debug)]
pub(crate) enum Tree {
    Fixed(serde_json::Value),
    Text(Text),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

/// `require`, `before`, `notify` or `subscribe` with one reference.
#[derive(Debug)]
pub(crate) struct DeclaredRelation {
    pub(crate) relation: Relation,
    pub(crate) line: u32,
    pub(crate) to: Text,
}

/// How a resource relates to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    /// The other comes first.
    Require,
    /// The other comes after.
    Before,
    /// The other comes after and is refreshed by a change of this one.
    Notify,
    /// The other comes first and refreshes this one by a change.
    Subscribe,
}

impl Relation {
    const ALL: [(&'static str, Self); 4] = [
        ("require", Self::Require),
        ("before", Self::Before),
        ("notify", Self::Notify),
        ("subscribe", Self::Subscribe),
    ];

    fn of(key: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|(name, _)| *name == key)
            .map(|(_, relation)| relation)
    }
}

/// Reads the declarations of one class.
pub(super) struct Reader<'a> {
    pub(super) file: SourceFile<'a>,
    pub(super) class: &'a str,
    pub(super) module: &'a str,
    pub(super) params: &'a BTreeSet<&'a str>,
    pub(super) files: &'a Files,
    pub(super) templates: &'a mut Templates,
    pub(super) wrong: &'a mut Vec<Diagnostic>,
}

impl Reader<'_> {
    /// Reads one item of `resources`.
    pub(super) fn read(&mut self, item: &Node) -> Option<Declaration> {
        let Value::Map(entries) = &item.value else {
            let message = format!("a resource has to be a mapping, not {}", item.describe());
            return self.fail(
                item.at.line,
                message,
                "write - file: /path, with its parameters below",
            );
        };
        let types: Vec<(&Entry, Kind)> = entries
            .iter()
            .filter_map(|entry| Some((entry, Kind::of(&entry.key)?)))
            .collect();
        let [(title, kind)] = types[..] else {
            let message = format!(
                "a resource is of exactly one type, this one of {}",
                types.len()
            );
            let hint = match entries.first() {
                Some(entry) if types.is_empty() => suggest::hint(&entry.key, Kind::names()),
                _ => format!(
                    "begin each with \"- \" and one of {}",
                    super::type_name_list()
                ),
            };
            return self.fail(item.at.line, message, hint);
        };
        let line = title.at.line;
        let title = match &title.value.value {
            Value::String(text) if !text.is_empty() => self.text(title.value.at.line, text)?,
            _ => {
                let message = format!(
                    "the title of a {} has to be text, not {}",
                    kind.name(),
                    title.value.describe()
                );
                return self.fail(line, message, "");
            }
        };
        if let Some(plain) = title.plain()
            && let Err(message) = form::check_title(kind, plain)
        {
            return self.fail(line, message, "");
        }
        let mut declaration = Declaration {
            line,
            kind,
            title,
            when: None,
            content: None,
            params: Vec::new(),
            relations: Vec::new(),
        };
        for entry in entries
            .iter()
            .filter(|entry| Kind::of(&entry.key).is_none())
        {
            self.read_entry(entry, &mut declaration);
        }
        self.check_whole(&declaration);
        Some(declaration)
    }

    fn read_entry(&mut self, entry: &Entry, into: &mut Declaration) {
        let (key, line) = (entry.key.as_str(), entry.at.line);
        if let Some(relation) = Relation::of(key) {
            self.read_relation(entry, relation, &mut into.relations);
        } else if key == "when" {
            into.when = match &entry.value.value {
                Value::String(text) => {
                    let added = self
                        .templates
                        .add_expression(self.file, entry.value.at.line, text);
                    self.checked(added)
                }
                Value::Bool(value) => {
                    let added = self
                        .templates
                        .add_expression(self.file, line, &value.to_string());
                    self.checked(added)
                }
                _ => self.fail(
                    line,
                    format!(
                        "\"when\" has to be an expression, not {}",
                        entry.value.describe()
                    ),
                    "",
                ),
            };
        } else if into.kind == Kind::File && ["content", "template", "source"].contains(&key) {
            if into.content.is_some() {
                let message =
                    format!("{key:?} is one too many: a file has content, template or source");
                self.fail::<()>(line, message, "");
            }
            into.content = self.content(entry);
        } else if let Some(form) = into.kind.form(key) {
            let Some(value) = self.tree(&entry.value) else {
                return;
            };
            if let Some(fixed) = value.fixed()
                && let Err(message) = shape(form, fixed)
            {
                self.fail::<()>(entry.value.at.line, format!("{key:?} {message}"), "");
                return;
            }
            into.params.push(DeclaredParam {
                key: key.to_owned(),
                line,
                value,
            });
        } else {
            let message = format!("{key:?} is not known in a {}", into.kind.name());
            self.fail::<()>(line, message, suggest::hint(key, into.kind.keys()));
        }
    }

    fn read_relation(
        &mut self,
        entry: &Entry,
        relation: Relation,
        into: &mut Vec<DeclaredRelation>,
    ) {
        let items = match &entry.value.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(&entry.value),
        };
        for item in items {
            let line = item.at.line;
            let Some(text) = item.as_str() else {
                let message = format!(
                    "{:?} has to be a reference, not {}",
                    entry.key,
                    item.describe()
                );
                self.fail::<()>(
                    line,
                    message,
                    "write TYPE[TITLE], such as process[app]; in a list, in quotes",
                );
                continue;
            };
            let Some(to) = self.text(line, text) else {
                continue;
            };
            if let Some(plain) = to.plain()
                && let Err(error) = plain.parse::<ResourceRef>()
            {
                self.fail::<()>(line, error.to_string(), "");
                continue;
            }
            into.push(DeclaredRelation { relation, line, to });
        }
    }

    fn content(&mut self, entry: &Entry) -> Option<ContentSource> {
        let line = entry.value.at.line;
        let text = match &entry.value.value {
            Value::String(text) => text.as_str(),
            Value::Null if entry.key == "content" => "",
            _ => {
                let message = format!(
                    "{:?} has to be text, not {}",
                    entry.key,
                    entry.value.describe()
                );
                return self.fail(line, message, "put it in quotes");
            }
        };
        if entry.key == "content" {
            return self.text(line, text).map(ContentSource::Text);
        }
        let folder = if entry.key == "template" {
            "templates"
        } else {
            "files"
        };
        let folder = format!("modules/{}/{folder}/", self.module);
        let path = format!("{folder}{text}");
        if !template::is_relative(text) {
            return self.fail(line, format!("{text:?} is no path below {folder}"), "");
        }
        if !self.files.contains_key(&path) {
            let known = self
                .files
                .keys()
                .filter_map(|known| known.strip_prefix(&folder));
            let hint = suggest::hint(text, known);
            return self.fail(line, format!("there is no file {path}"), hint);
        }
        if entry.key == "source" {
            return Some(ContentSource::File(path));
        }
        // One that is no template was told where it is read.
        self.templates.has(&path).then(|| {
            let wrong = self.templates.check_file(&path, self.class, self.params);
            self.wrong.extend(wrong);
            ContentSource::Template(path)
        })
    }

    /// What has to be there, and what cannot be together.
    fn check_whole(&mut self, declaration: &Declaration) {
        let has = |key: &str| declaration.params.iter().any(|param| param.key == key);
        let absent = declaration.params.iter().any(|param| {
            param.key == "ensure" && param.value.fixed().is_some_and(|value| value == "absent")
        });
        let (line, kind) = (declaration.line, declaration.kind);
        if absent && declaration.content.is_some() {
            self.fail::<()>(
                line,
                "a file that is to be absent has no content".to_owned(),
                "",
            );
        }
        let needed = match kind {
            Kind::Symlink if !absent => Some("target"),
            Kind::Exec => Some("command"),
            Kind::Process
                if declaration
                    .title
                    .plain()
                    .is_some_and(|title| title != "app") =>
            {
                Some("command")
            }
            _ => None,
        };
        if let Some(key) = needed
            && !has(key)
        {
            self.fail::<()>(line, format!("this {} has no {key:?}", kind.name()), "");
        }
    }

    fn tree(&mut self, node: &Node) -> Option<Tree> {
        Some(match &node.value {
            Value::String(text) => {
                let text = self.text(node.at.line, text)?;
                match text.plain() {
                    Some(plain) => Tree::Fixed(plain.into()),
                    None => Tree::Text(text),
                }
            }
            Value::List(items) => {
                let items: Option<Vec<Tree>> = items.iter().map(|item| self.tree(item)).collect();
                let items = items?;
                match items.iter().map(Tree::fixed).collect::<Option<Vec<_>>>() {
                    Some(fixed) => Tree::Fixed(fixed.into_iter().cloned().collect()),
                    None => Tree::List(items),
                }
            }
            Value::Map(entries) => {
                let pair = |entry: &Entry| Some((entry.key.clone(), self.tree(&entry.value)?));
                let pairs: Option<Vec<(String, Tree)>> = entries.iter().map(pair).collect();
                let pairs = pairs?;
                let fixed =
                    |(key, value): &(String, Tree)| Some((key.clone(), value.fixed()?.clone()));
                match pairs
                    .iter()
                    .map(fixed)
                    .collect::<Option<serde_json::Map<_, _>>>()
                {
                    Some(fixed) => Tree::Fixed(serde_json::Value::Object(fixed)),
                    None => Tree::Map(pairs),
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => Tree::Fixed(node.to_json()),
        })
    }

    fn text(&mut self, line: u32, text: &str) -> Option<Text> {
        let added = self.templates.add_text(self.file, line, text);
        self.checked(added)
    }

    fn checked(&mut self, added: Result<Text, Diagnostic>) -> Option<Text> {
        match added {
            Ok(text) => {
                let wrong = self.templates.check_text(&text, self.class, self.params);
                self.wrong.extend(wrong);
                Some(text)
            }
            Err(error) => {
                self.wrong.push(error);
                None
            }
        }
    }

    fn fail<T>(&mut self, line: u32, message: String, hint: impl Into<String>) -> Option<T> {
        self.wrong.push(self.file.error(line, message).hint(hint));
        None
    }
}

impl Tree {
    /// The value, when it is the same for every node.
    fn fixed(&self) -> Option<&serde_json::Value> {
        match self {
            Self::Fixed(value) => Some(value),
            Self::Text(_) | Self::List(_) | Self::Map(_) => None,
        }
    }
}
