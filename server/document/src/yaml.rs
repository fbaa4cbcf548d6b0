//! The one place that reads YAML: bounded, without duplicate keys, with the position of everything.
//!
//! `serde_yaml` accepts duplicate keys, spends quadratic time on nested brackets and tells positions
//! only in errors. So size and bracket depth are checked before it sees the text, and every scalar
//! is taken from it by way of an error that carries the position (see `read`).

mod guard;
mod read;

use serde::de::DeserializeOwned;
use serde_json::{Map, Number};

/// The largest document, in bytes: room for a classification of 10 000 groups.
pub const MAX_BYTES: usize = 4 << 20;
/// How deep lists and mappings may nest.
pub const MAX_DEPTH: usize = 32;
/// How many values a document may hold, aliases expanded.
pub const MAX_VALUES: usize = 500_000;

/// A place in a document, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column, in characters.
    pub column: u32,
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it begins; for a list or mapping, where the first thing in it does.
    pub at: Position,
    /// What it is.
    pub value: Value,
}

/// A YAML value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// An integer or a decimal number.
    Number(Number),
    /// Text.
    String(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the document.
    Map(Vec<Entry>),
}

/// One entry of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Where the key stands.
    pub at: Position,
    /// The key.
    pub key: String,
    /// The value.
    pub value: Node,
}

/// Why a text is no document, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {}, column {}: {message}", at.line, at.column)]
pub struct YamlError {
    /// Where.
    pub at: Position,
    /// Why.
    pub message: String,
}

/// Reads one document. An empty one is [`Value::Null`].
///
/// # Errors
/// When the text is too large or too deep, is no YAML, has a duplicate key, a key that is neither
/// text nor a whole number, or a tag.
pub fn parse(text: &str) -> Result<Node, YamlError> {
    guard::check(text, MAX_BYTES)?;
    read::read(text)
}

/// Reads one document straight into a type: what a program writes and nobody edits, where speed
/// counts more than the position of each value. Struct fields that stand twice are refused by
/// serde's derive; a map in `T` has to see to that itself.
///
/// # Errors
/// When the text is larger than `max_bytes` or too deep, is no YAML, or does not fit the type.
pub fn from_str<T: DeserializeOwned>(text: &str, max_bytes: usize) -> Result<T, YamlError> {
    guard::check(text, max_bytes)?;
    serde_yaml::from_str(text).map_err(|error| YamlError {
        at: error.location().map_or(Position::START, |at| Position {
            line: u32::try_from(at.line()).unwrap_or(u32::MAX),
            column: u32::try_from(at.column()).unwrap_or(u32::MAX),
        }),
        message: error.to_string(),
    })
}

impl Position {
    const START: Self = Self { line: 1, column: 1 };
}

impl Node {
    /// The value without positions.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => serde_json::Value::Bool(*value),
            Value::Number(number) => serde_json::Value::Number(number.clone()),
            Value::String(text) => serde_json::Value::String(text.clone()),
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Map(entries) => {
                let pairs = entries
                    .iter()
                    .map(|entry| (entry.key.clone(), entry.value.to_json()));
                serde_json::Value::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }

    /// The text, when it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it is `null` or left out.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// What it is, for an error: `a list`, `text`, ….
    #[must_use]
    pub const fn describe(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(line: u32, column: u32) -> Position {
        Position { line, column }
    }

    fn entries(node: &Node) -> &[Entry] {
        match &node.value {
            Value::Map(entries) => entries,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_key_and_value_knows_its_line() {
        let node = parse("a: 1\nb:\n  - x: y\n    z: [1, \"two\"]\n  - |\n    text\nc:\n").unwrap();
        let top = entries(&node);
        assert_eq!(top[0].at, at(1, 1));
        assert_eq!(top[0].value.at, at(1, 4));
        let Value::List(items) = &top[1].value.value else {
            panic!("b is a list");
        };
        assert_eq!(items[0].at, at(3, 5));
        assert_eq!(entries(&items[0])[1].at, at(4, 5));
        assert_eq!(items[1].at, at(5, 5));
        assert_eq!(items[1].as_str(), Some("text\n"));
        assert!(top[2].value.is_null());
    }

    #[test]
    fn values_have_the_types_of_yaml_1_2() {
        let node =
            parse("[1, -2, 1.5, true, yes, 0644, ~, '', \"1\", 18446744073709551615]").unwrap();
        assert_eq!(
            node.to_json(),
            serde_json::json!([
                1,
                -2,
                1.5,
                true,
                "yes",
                "0644",
                null,
                "",
                "1",
                18446744073709551615_u64
            ])
        );
        assert!(parse("").unwrap().is_null());
        assert!(parse("# only a comment\n").unwrap().is_null());
    }

    #[test]
    fn a_duplicate_key_is_refused_where_it_stands() {
        let error = parse("a:\n  b: 1\n  c: 2\n  b: 3\n").unwrap_err();
        assert_eq!(error.at, at(4, 3));
        assert!(error.message.contains("\"b\""), "{error}");
        assert!(parse("1: a\n\"1\": b").is_err());
    }

    #[test]
    fn what_nobody_should_write_is_refused() {
        for (text, expected) in [
            ("a: !secret x", "tag"),
            ("? [a]\n: b", "key"),
            ("~: b", "key"),
            ("a: [1", ""),
            ("a: .nan", "number"),
            ("a: 1\n---\nb: 2", "more than one document"),
            ("a: *nowhere", "anchor"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.message.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn depth_and_size_are_bounded_before_they_cost_anything() {
        for text in [
            "[".repeat(100_000),
            "{a: ".repeat(50_000),
            "[\n".repeat(50_000),
            format!("a:\n  # |\n   {}", "[".repeat(100_000)),
            "- ".repeat(10_000),
            "x".repeat(MAX_BYTES + 1),
        ] {
            assert!(parse(&text).is_err());
        }
        assert!(parse(&format!("a: |\n  {}\n", "[".repeat(1000))).is_ok());
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
        for level in 1..20 {
            let before = level - 1;
            bomb +=
                &format!("a{level}: &a{level} [*a{before}, *a{before}, *a{before}, *a{before}]\n");
        }
        assert!(parse(&bomb).is_err());
        let many = "- 1\n".repeat(MAX_VALUES + 1);
        let error = parse(&many).unwrap_err();
        assert!(error.message.contains("500000 values"), "{error}");
    }

    #[test]
    fn an_alias_is_what_its_anchor_is() {
        let node = parse("a: &x [1, 2]\nb: *x\n").unwrap();
        assert_eq!(
            node.to_json(),
            serde_json::json!({"a": [1, 2], "b": [1, 2]})
        );
        assert!(parse("a: &x [*x]").is_err());
    }

    proptest! {
        #[test]
        fn garbage_never_panics(text in "[ \\n:\\-\\[\\]{}'\"a-c0-9|>*&!#,?~%@`\\\\]{0,200}") {
            let _ = parse(&text);
        }

        #[test]
        fn any_text_never_panics(text in "\\PC{0,100}") {
            let _ = parse(&text);
        }
    }
}
