//! `site.yaml`.

use crate::data::{Data, Level, Merge};
use dockmaster_document::{
    diagnostic::{Diagnostic, SourceFile},
    fields::Fields,
    suggest, yaml,
};

const KEYS: [&str; 3] = ["description", "hierarchy", "merge"];

/// Reads the hierarchy and the merges. Without a hierarchy there is one level, `common`.
pub(super) fn parse(file: SourceFile<'_>, wrong: &mut Vec<Diagnostic>) -> Data {
    let mut data = Data::default();
    let document = match yaml::parse(file.text) {
        Ok(document) => document,
        Err(error) => {
            wrong.push(file.yaml_error(&error));
            return data;
        }
    };
    let fields = Fields::of(file, &document, "site.yaml", &KEYS, wrong);
    fields.text("description", wrong);
    for (text, line) in fields.texts("hierarchy", wrong) {
        match text.parse::<Level>() {
            Ok(level) => data.levels.push(level),
            Err(hint) => wrong.push(
                file.error(line, format!("{text:?} is no level of the hierarchy"))
                    .hint(hint),
            ),
        }
    }
    if fields.get("hierarchy").is_none() {
        data.levels.extend("common".parse());
    }
    for entry in fields.map("merge", wrong) {
        let merge = entry.value.as_str().unwrap_or_default();
        match Merge::ALL.into_iter().find(|(name, _)| *name == merge) {
            Some((_, merge)) => drop(data.merges.insert(entry.key.clone(), merge)),
            None => wrong.push(
                file.error(entry.value.at.line, format!("{merge:?} is no way to merge"))
                    .hint(suggest::hint(merge, Merge::ALL.map(|(name, _)| name))),
            ),
        }
    }
    data
}
