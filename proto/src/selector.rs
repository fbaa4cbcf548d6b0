//! Label selectors: Kubernetes' syntax, built-in keys, and a small extension.
//!
//! ```text
//! any    = all *( "or" all )                          ; extension
//! all    = term *( "," term )
//! term   = "(" any ")"                                ; extension
//!        | "!" key | key
//!        | key ( "=" | "==" | "!=" ) value
//!        | key ( "in" | "notin" ) "(" value *( "," value ) ")"
//!        | key ( "<" | ">" ) number                   ; extension
//! key    = label key | "@network" | "@ip" | "@host" | "@image" | "@name" | "@id"
//! ```
//! As in Kubernetes, `!=` and `notin` also match a node that lacks the key. Values of built-in keys
//! are globs (`@image=nginx:*`), those of `@ip` addresses or CIDR ranges. A value with other
//! characters than those of a label key, `:`, `*`, `?`, `@` stands in double quotes.
//! The empty selector matches every node.

mod matching;
mod parse;

use std::{fmt, str::FromStr};

use crate::id::serde_as_text;

pub use matching::glob_matches;
pub use parse::SelectorError;

/// The longest selector text, in bytes.
pub const MAX_LEN: usize = 8 * 1024;

/// A parsed selector; prints as it was written, less white space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    expression: Expression,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Expression {
    Any(Vec<Expression>),
    All(Vec<Expression>),
    Term(Term),
}

/// One requirement of a selector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// What is looked at.
    pub key: Key,
    /// What it has to be.
    pub test: Test,
}

/// What a term looks at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A label.
    Label(String),
    /// A fact that every node has.
    BuiltIn(BuiltIn),
}

/// The built-in keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BuiltIn {
    /// The container ID.
    Id,
    /// The container's name.
    Name,
    /// The host that vouches for it.
    Host,
    /// The image as it was asked for.
    Image,
    /// Any of its networks.
    Network,
    /// Any of its IPs.
    Ip,
}

impl BuiltIn {
    const ALL: [Self; 6] = [
        Self::Id,
        Self::Name,
        Self::Host,
        Self::Image,
        Self::Network,
        Self::Ip,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Id => "@id",
            Self::Name => "@name",
            Self::Host => "@host",
            Self::Image => "@image",
            Self::Network => "@network",
            Self::Ip => "@ip",
        }
    }
}

/// What a term demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// The key is there.
    Exists,
    /// The key is not there.
    Absent,
    /// The key is there with one of these values.
    In(Vec<String>),
    /// The key is not there, or has none of these values.
    NotIn(Vec<String>),
    /// The key is there and a number less than this.
    Less(i64),
    /// The key is there and a number greater than this.
    Greater(i64),
}

impl Selector {
    /// The selector that every node matches.
    #[must_use]
    pub const fn everything() -> Self {
        Self {
            expression: Expression::All(Vec::new()),
        }
    }

    /// Whether it is the empty selector.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.expression == Expression::All(Vec::new())
    }

    /// Every term in the selector, left to right.
    #[must_use]
    pub fn terms(&self) -> Vec<&Term> {
        fn collect<'a>(expression: &'a Expression, into: &mut Vec<&'a Term>) {
            match expression {
                Expression::Any(parts) | Expression::All(parts) => {
                    for part in parts {
                        collect(part, into);
                    }
                }
                Expression::Term(term) => into.push(term),
            }
        }
        let mut terms = Vec::new();
        collect(&self.expression, &mut terms);
        terms
    }
}

impl Selector {
    /// The terms without any of which no node matches: those that stand in no alternative.
    #[must_use]
    pub fn required(&self) -> Vec<&Term> {
        fn collect<'a>(expression: &'a Expression, into: &mut Vec<&'a Term>) {
            match expression {
                Expression::All(parts) => parts.iter().for_each(|part| collect(part, into)),
                Expression::Term(term) => into.push(term),
                Expression::Any(_) => {}
            }
        }
        let mut terms = Vec::new();
        collect(&self.expression, &mut terms);
        terms
    }
}

impl FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        parse::parse(text).map(|expression| Self { expression })
    }
}

serde_as_text!(Selector);

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expression.fmt(f)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any(parts) => list(f, parts, " or ", Nesting::Any),
            Self::All(parts) => list(f, parts, ", ", Nesting::All),
            Self::Term(term) => term.fmt(f),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Nesting {
    Any,
    All,
}

fn list(
    f: &mut fmt::Formatter<'_>,
    parts: &[Expression],
    separator: &str,
    within: Nesting,
) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        let parenthesised = match part {
            Expression::Any(_) => true,
            Expression::All(_) => within == Nesting::All,
            Expression::Term(_) => false,
        };
        if parenthesised {
            write!(f, "({part})")?;
        } else {
            write!(f, "{part}")?;
        }
    }
    Ok(())
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Label(key) => f.write_str(key),
            Self::BuiltIn(key) => f.write_str(key.as_str()),
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, test } = self;
        match test {
            Test::Exists => write!(f, "{key}"),
            Test::Absent => write!(f, "!{key}"),
            Test::In(values) if values.len() == 1 => write!(f, "{key}={}", Quoted(&values[0])),
            Test::NotIn(values) if values.len() == 1 => write!(f, "{key}!={}", Quoted(&values[0])),
            Test::In(values) => write_set(f, key, "in", values),
            Test::NotIn(values) => write_set(f, key, "notin", values),
            Test::Less(number) => write!(f, "{key}<{number}"),
            Test::Greater(number) => write!(f, "{key}>{number}"),
        }
    }
}

fn write_set(
    f: &mut fmt::Formatter<'_>,
    key: &Key,
    operator: &str,
    values: &[String],
) -> fmt::Result {
    write!(f, "{key} {operator} (")?;
    for (index, value) in values.iter().enumerate() {
        let separator = if index > 0 { ", " } else { "" };
        write!(f, "{separator}{}", Quoted(value))?;
    }
    f.write_str(")")
}

struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if parse::is_bare_value(self.0) {
            f.write_str(self.0)
        } else {
            write!(
                f,
                "\"{}\"",
                self.0.replace('\\', "\\\\").replace('"', "\\\"")
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_term_in_an_alternative_is_not_required() {
        let selector: Selector = "a=1, (b or c=2), (d, !e)".parse().unwrap();
        let required: Vec<String> = selector
            .required()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(required, ["a=1", "d", "!e"]);
        assert!("a or b".parse::<Selector>().unwrap().required().is_empty());
    }
}
