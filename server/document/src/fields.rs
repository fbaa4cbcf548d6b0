//! Reading mappings with known keys: what is missing, misspelt or of another kind becomes a
//! diagnostic, and reading goes on.

use std::{fmt::Display, str::FromStr};

use crate::{
    diagnostic::{Diagnostic, SourceFile},
    suggest,
    yaml::{Entry, Node, Value},
};

/// A mapping whose keys are known ones.
pub struct Fields<'a> {
    file: SourceFile<'a>,
    entries: &'a [Entry],
}

impl<'a> Fields<'a> {
    /// Takes a mapping apart. `what` names it in errors, such as `a group`.
    pub fn of(
        file: SourceFile<'a>,
        node: &'a Node,
        what: &str,
        known: &[&str],
        wrong: &mut Vec<Diagnostic>,
    ) -> Self {
        let entries = match &node.value {
            Value::Map(entries) => entries.as_slice(),
            Value::Null => &[],
            _ => {
                let message = format!("{what} has to be a mapping, not {}", node.describe());
                wrong.push(file.error(node.at.line, message));
                &[]
            }
        };
        for entry in entries {
            if !known.contains(&entry.key.as_str()) {
                let message = format!("{:?} is not known in {what}", entry.key);
                let hint = suggest::hint(&entry.key, known.iter().copied());
                wrong.push(file.error(entry.at.line, message).hint(hint));
            }
        }
        Self { file, entries }
    }

    /// The value of a key, unless it is `null`.
    pub fn get(&self, key: &str) -> Option<&'a Entry> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        (!entry.value.is_null()).then_some(entry)
    }

    /// Text and its line.
    pub fn text(&self, key: &str, wrong: &mut Vec<Diagnostic>) -> Option<(String, u32)> {
        let entry = self.get(key)?;
        match entry.value.as_str() {
            Some(text) => Some((text.to_owned(), entry.value.at.line)),
            None => {
                wrong.push(self.not_a(entry, "text"));
                None
            }
        }
    }

    /// A whole number.
    pub fn integer(&self, key: &str, wrong: &mut Vec<Diagnostic>) -> Option<i64> {
        let entry = self.get(key)?;
        let number = match &entry.value.value {
            Value::Number(number) => number.as_i64(),
            _ => None,
        };
        if number.is_none() {
            wrong.push(self.not_a(entry, "a whole number"));
        }
        number
    }

    /// The items of a list; none when the key is not there.
    pub fn list(&self, key: &str, wrong: &mut Vec<Diagnostic>) -> &'a [Node] {
        match self.get(key).map(|entry| (entry, &entry.value.value)) {
            None => &[],
            Some((_, Value::List(items))) => items,
            Some((entry, _)) => {
                wrong.push(self.not_a(entry, "a list"));
                &[]
            }
        }
    }

    /// A list of text, or one text, each with its line.
    pub fn texts(&self, key: &str, wrong: &mut Vec<Diagnostic>) -> Vec<(String, u32)> {
        let Some(entry) = self.get(key) else {
            return Vec::new();
        };
        let items = match &entry.value.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(&entry.value),
        };
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            match item.as_str() {
                Some(text) => texts.push((text.to_owned(), item.at.line)),
                None => {
                    let message = format!("{key:?} has to hold text, not {}", item.describe());
                    wrong.push(self.file.error(item.at.line, message));
                }
            }
        }
        texts
    }

    /// Text or a whole number, read as a `T`. Absent without a diagnostic when the key is.
    pub fn parsed<T: FromStr<Err: Display>>(
        &self,
        key: &str,
        wrong: &mut Vec<Diagnostic>,
    ) -> Option<T> {
        let entry = self.get(key)?;
        self.scalar(key, &entry.value, wrong)
    }

    /// The same, where a document without it cannot be used.
    pub fn required<T: FromStr<Err: Display>>(
        &self,
        key: &str,
        wrong: &mut Vec<Diagnostic>,
    ) -> Option<T> {
        if self.get(key).is_none() {
            wrong.push(Diagnostic::new(
                self.file.name,
                format!("{key:?} is missing"),
            ));
        }
        self.parsed(key, wrong)
    }

    /// The items of a list, each read as a `T`; none when the key is not there.
    pub fn parsed_list<T: FromStr<Err: Display>>(
        &self,
        key: &str,
        wrong: &mut Vec<Diagnostic>,
    ) -> Vec<T> {
        let items = self.list(key, wrong);
        let read = |item| self.scalar(key, item, wrong);
        items.iter().filter_map(read).collect()
    }

    fn scalar<T: FromStr<Err: Display>>(
        &self,
        key: &str,
        node: &Node,
        wrong: &mut Vec<Diagnostic>,
    ) -> Option<T> {
        let parsed = match &node.value {
            Value::String(text) => text.parse(),
            Value::Number(number) if !number.is_f64() => number.to_string().parse(),
            _ => {
                let message = format!("{key:?} has to be text, not {}", node.describe());
                wrong.push(self.file.error(node.at.line, message));
                return None;
            }
        };
        let problem = |error| {
            let message = format!("{key:?}: {error}");
            wrong.push(self.file.error(node.at.line, message));
        };
        parsed.map_err(problem).ok()
    }

    /// The entries of a mapping; none when the key is not there.
    pub fn map(&self, key: &str, wrong: &mut Vec<Diagnostic>) -> &'a [Entry] {
        match self.get(key).map(|entry| (entry, &entry.value.value)) {
            None => &[],
            Some((_, Value::Map(entries))) => entries,
            Some((entry, _)) => {
                wrong.push(self.not_a(entry, "a mapping"));
                &[]
            }
        }
    }

    fn not_a(&self, entry: &Entry, expected: &str) -> Diagnostic {
        let Entry { key, value, .. } = entry;
        let message = format!("{key:?} has to be {expected}, not {}", value.describe());
        self.file.error(value.at.line, message)
    }
}
