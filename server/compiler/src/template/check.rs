//! What can be told of a template without a node: names that nothing has.

use std::collections::{BTreeSet, HashSet};

use super::{Context, Form, Templates, Text};
use dockmaster_document::{diagnostic::Diagnostic, suggest};

/// What the language itself brings.
const LANGUAGE: [&str; 6] = ["loop", "self", "super", "caller", "varargs", "kwargs"];
/// What can follow `node.`.
const NODE: [&str; 11] = [
    "id",
    "name",
    "ip",
    "addresses",
    "image",
    "image_digest",
    "host",
    "started_at_ms",
    "labels",
    "label_tiers",
    "limits",
];

impl Templates {
    /// The names in a template file that nothing has, given the class's parameters.
    pub(crate) fn check_file(
        &self,
        path: &str,
        class: &str,
        params: &BTreeSet<&str>,
    ) -> Vec<Diagnostic> {
        match self.env.get_template(path) {
            Ok(template) => self.check(path, template.undeclared_variables(true), class, params),
            Err(_) => Vec::new(),
        }
    }

    /// The same for a text of a class.
    pub(crate) fn check_text(
        &self,
        text: &Text,
        class: &str,
        params: &BTreeSet<&str>,
    ) -> Vec<Diagnostic> {
        match &text.form {
            Form::Plain(_) => Vec::new(),
            Form::Template(name) => self.check_file(name, class, params),
            Form::Expression { name, source } => match self.env.compile_expression(source) {
                Ok(expression) => {
                    self.check(name, expression.undeclared_variables(true), class, params)
                }
                Err(_) => Vec::new(),
            },
        }
    }

    fn check(
        &self,
        name: &str,
        used: HashSet<String>,
        class: &str,
        params: &BTreeSet<&str>,
    ) -> Vec<Diagnostic> {
        let globals: Vec<&str> = self.env.globals().map(|(name, _)| name).collect();
        let mut used: Vec<String> = used.into_iter().collect();
        used.sort();
        let mut wrong = Vec::new();
        for path in used {
            let mut parts = path.split('.');
            let (first, second) = (parts.next().unwrap_or_default(), parts.next());
            let (message, hint, place) = match (first, second) {
                ("params", Some(param)) if !params.contains(param) => (
                    format!("parameter {param:?} is not one of class {class}"),
                    suggest::hint(param, params.iter().copied()),
                    format!("params.{param}"),
                ),
                ("node", Some(field)) if !NODE.contains(&field) => (
                    format!("a node has no {field:?}"),
                    suggest::hint(field, NODE),
                    format!("node.{field}"),
                ),
                (word, _)
                    if Context::WORDS.contains(&word)
                        || LANGUAGE.contains(&word)
                        || globals.contains(&word) =>
                {
                    continue;
                }
                (word, _) => (
                    format!("{word:?} is not known in templates"),
                    suggest::hint(word, Context::WORDS),
                    word.to_owned(),
                ),
            };
            wrong.push(self.at_word(name, &place, &message).hint(hint));
        }
        wrong
    }

    /// At the first line of the template that has the word.
    fn at_word(&self, name: &str, word: &str, message: &str) -> Diagnostic {
        let Some(origin) = self.origins.get(name) else {
            return Diagnostic::new(name, message);
        };
        let lines = origin
            .text
            .lines()
            .zip(1_u32..)
            .skip(origin.offset as usize);
        let mut lines = lines.filter(|(text, _)| has_word(text, word));
        let line = lines.next().map_or(origin.offset + 1, |(_, line)| line);
        Diagnostic::new(&origin.file, message).at(line, &origin.text)
    }
}

fn has_word(text: &str, word: &str) -> bool {
    let is_inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    text.match_indices(word).any(|(at, _)| {
        !text[..at].ends_with(is_inside)
            && !text[at + word.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
    })
}
