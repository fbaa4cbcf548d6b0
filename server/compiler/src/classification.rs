//! Rules that map nodes to classes, parameters and an environment.

mod explain;
mod index;
mod lint;
mod parse;
mod resolve;

use std::{collections::BTreeMap, sync::Arc};

use dockmaster_proto::{label::Tier, selector::Selector};
use serde_json::Value;

use dockmaster_document::diagnostic::Diagnostics;

pub use resolve::{Conflict, Given, Granted, Resolved};

/// The environment of nodes to which no group gives one.
pub const DEFAULT_ENVIRONMENT: &str = "production";

/// A parsed classification document. The default one has no group.
#[derive(Debug, Clone, Default)]
pub struct Classification {
    file: Arc<str>,
    groups: Vec<Group>,
    index: index::Index,
}

/// One rule.
#[derive(Debug, Clone)]
struct Group {
    name: String,
    line: u32,
    /// The selectors that all have to match, with their label tiers: the outermost parent's first.
    terms: Vec<(Selector, Tier)>,
    classes: Vec<(String, u32)>,
    params: BTreeMap<String, (Value, u32)>,
    environment: Option<(String, u32)>,
    rank: Rank,
}

/// How strong a group is: priority first, then depth of parents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    priority: i64,
    depth: usize,
}

impl Classification {
    /// Reads a document; `file_name` is for errors.
    ///
    /// # Errors
    /// When it is no YAML or not of this form: everything that is wrong at once.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, Diagnostics> {
        parse::parse(file_name, text)
    }

    /// The groups' names, in the order of the document.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.iter().map(|group| group.name.as_str())
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    pub(crate) fn parse(text: &str) -> Classification {
        Classification::parse("classification.yaml", text).unwrap_or_else(|error| panic!("{error}"))
    }
}
