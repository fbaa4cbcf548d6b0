//! The data hierarchy: files of values, the nearest to a node first.

mod level;

use std::{collections::BTreeMap, sync::Arc};

use dockmaster_proto::node::NodeView;
use serde_json::{Map, Value};

use dockmaster_document::{
    diagnostic::{Diagnostic, SourceFile},
    yaml,
};

pub(crate) use level::Level;

/// How the values of one key in several files become one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Merge {
    /// The nearest file's value.
    #[default]
    First,
    /// The elements of all lists, each once, the nearest file's first.
    Unique,
    /// The entries of all mappings; of equal keys the nearest file's.
    Hash,
    /// Like `Hash` at every depth, and lists like `Unique`.
    Deep,
}

impl Merge {
    pub(crate) const ALL: [(&'static str, Self); 4] = [
        ("first", Self::First),
        ("unique", Self::Unique),
        ("hash", Self::Hash),
        ("deep", Self::Deep),
    ];
}

/// The hierarchy, the merges and the files of a site.
#[derive(Debug, Default)]
pub(crate) struct Data {
    pub(crate) levels: Vec<Level>,
    pub(crate) merges: BTreeMap<String, Merge>,
    /// By path: `role/web` for `data/role/web.yaml`.
    pub(crate) files: BTreeMap<String, Arc<DataFile>>,
}

/// One file of values.
#[derive(Debug)]
pub(crate) struct DataFile {
    pub(crate) name: String,
    /// Values with their lines.
    pub(crate) values: BTreeMap<String, (Value, u32)>,
}

/// A value and the files that it comes from, such as `data/common.yaml:3`.
pub(crate) struct Found {
    pub(crate) value: Value,
    pub(crate) origin: String,
}

impl Data {
    /// Reads one file of values.
    pub(crate) fn read_file(file: SourceFile<'_>) -> Result<DataFile, Diagnostic> {
        let document = yaml::parse(file.text).map_err(|error| file.yaml_error(&error))?;
        let values = match &document.value {
            yaml::Value::Null => BTreeMap::new(),
            yaml::Value::Map(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), (entry.value.to_json(), entry.at.line)))
                .collect(),
            _ => {
                let message = format!("data has to be a mapping, not {}", document.describe());
                return Err(file.error(document.at.line, message));
            }
        };
        Ok(DataFile {
            name: file.name.to_owned(),
            values,
        })
    }

    /// How a key's values are merged.
    pub(crate) fn merge(&self, key: &str) -> Merge {
        self.merges.get(key).copied().unwrap_or_default()
    }

    /// Whether any file has the key: when none has, nobody needs to ask which apply.
    pub(crate) fn has_key(&self, key: &str) -> bool {
        self.files
            .values()
            .any(|file| file.values.contains_key(key))
    }

    /// The paths of the files that apply to a node, the nearest first.
    pub(crate) fn paths(&self, environment: &str, node: &NodeView) -> Vec<&str> {
        self.applying(environment, node)
            .map(|(path, _)| path)
            .collect()
    }

    /// The value of a key for a node.
    pub(crate) fn find(&self, key: &str, environment: &str, node: &NodeView) -> Option<Found> {
        let merge = self.merge(key);
        let mut found: Option<Found> = None;
        for (_, file) in self.applying(environment, node) {
            let Some((value, line)) = file.values.get(key) else {
                continue;
            };
            let origin = format!("{}:{line}", file.name);
            match &mut found {
                None => {
                    found = Some(Found {
                        value: value.clone(),
                        origin,
                    });
                }
                Some(found) => {
                    merge_into(&mut found.value, value, merge);
                    found.origin = format!("{}, {origin}", found.origin);
                }
            }
            if merge == Merge::First {
                break;
            }
        }
        found
    }

    fn applying<'a, 'n>(
        &'a self,
        environment: &'n str,
        node: &'n NodeView,
    ) -> impl Iterator<Item = (&'a str, &'a Arc<DataFile>)> + use<'a, 'n> {
        self.levels.iter().filter_map(move |level| {
            let path = level.path(environment, node)?;
            let (path, file) = self.files.get_key_value(&path)?;
            Some((path.as_str(), file))
        })
    }
}

/// Adds what a file farther away says; values that do not merge stay the nearest file's.
fn merge_into(near: &mut Value, far: &Value, merge: Merge) {
    match (near, far) {
        (Value::Object(near), Value::Object(far)) if matches!(merge, Merge::Hash | Merge::Deep) => {
            merge_maps(near, far, merge);
        }
        (near, far) if merge == Merge::Unique => {
            let mut items = as_items(near.take());
            for item in as_items(far.clone()) {
                if !items.contains(&item) {
                    items.push(item);
                }
            }
            *near = Value::Array(items);
        }
        (near @ Value::Array(_), far @ Value::Array(_)) if merge == Merge::Deep => {
            merge_into(near, far, Merge::Unique);
        }
        _ => {}
    }
}

fn merge_maps(near: &mut Map<String, Value>, far: &Map<String, Value>, merge: Merge) {
    for (key, value) in far {
        match near.get_mut(key) {
            Some(nearer) if merge == Merge::Deep => merge_into(nearer, value, merge),
            Some(_) => {}
            None => {
                near.insert(key.clone(), value.clone());
            }
        }
    }
}

fn as_items(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        Value::Null => Vec::new(),
        other => vec![other],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::node;

    fn data(merge: Merge, files: &[(&str, &str)]) -> Data {
        let levels = ["node/{{ node.name }}", "role/{{ labels.role }}", "common"];
        let read = |(path, text): &(&str, &str)| {
            let name = format!("data/{path}.yaml");
            let file = Data::read_file(SourceFile { name: &name, text }).unwrap();
            ((*path).to_owned(), Arc::new(file))
        };
        Data {
            levels: levels.map(|level| level.parse().unwrap()).into(),
            merges: [("k".to_owned(), merge)].into(),
            files: files.iter().map(read).collect(),
        }
    }

    fn find(merge: Merge, files: &[(&str, &str)]) -> Option<Value> {
        let node = node("n1", &[("role", "web")]);
        data(merge, files)
            .find("k", "production", &node)
            .map(|found| found.value)
    }

    #[test]
    fn each_merge_does_what_it_is_called() {
        let maps = [
            ("role/web", "k: { a: { x: 1, l: [1] }, b: 1 }"),
            ("common", "k: { a: { y: 2, l: [2, 1] }, b: 2, c: 3 }"),
        ];
        assert_eq!(
            find(Merge::First, &maps),
            Some(json!({"a": {"x": 1, "l": [1]}, "b": 1}))
        );
        assert_eq!(
            find(Merge::Hash, &maps),
            Some(json!({"a": {"x": 1, "l": [1]}, "b": 1, "c": 3}))
        );
        assert_eq!(
            find(Merge::Deep, &maps),
            Some(json!({"a": {"x": 1, "y": 2, "l": [1, 2]}, "b": 1, "c": 3}))
        );
        let lists = [
            ("node/n1", "k: [b]"),
            ("role/web", "k: [a, b]"),
            ("common", "k: c"),
        ];
        assert_eq!(find(Merge::Unique, &lists), Some(json!(["b", "a", "c"])));
        assert_eq!(find(Merge::First, &lists), Some(json!(["b"])));
        assert_eq!(find(Merge::First, &[("common", "other: 1")]), None);
        assert_eq!(
            find(Merge::First, &[("common", "k: null")]),
            Some(Value::Null)
        );
    }

    #[test]
    fn a_level_that_needs_what_the_node_lacks_is_skipped() {
        let data = data(Merge::First, &[("role/web", "k: 1"), ("common", "k: 2")]);
        assert_eq!(data.paths("production", &node("n1", &[])), ["common"]);
        let found = data
            .find("k", "production", &node("n1", &[("role", "web")]))
            .unwrap();
        assert_eq!(found.origin, "data/role/web.yaml:1");
    }
}
