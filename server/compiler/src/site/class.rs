//! Classes: parameters, included classes and resources.

use std::collections::{BTreeMap, BTreeSet};

use super::{Declaration, Files, Param, declaration, param};
use crate::{names, template::Templates};
use dockmaster_document::{
    diagnostic::{Diagnostic, SourceFile},
    fields::Fields,
    yaml,
};

const KEYS: [&str; 4] = ["description", "params", "include", "resources"];

/// A class.
#[derive(Debug)]
pub struct Class {
    pub(crate) name: String,
    pub(crate) module: String,
    /// The file that declares it.
    pub(crate) file: String,
    pub(crate) params: BTreeMap<String, Param>,
    /// Included classes with their lines.
    pub(crate) include: Vec<(String, u32)>,
    pub(crate) resources: Vec<Declaration>,
}

impl Class {
    /// The names of its parameters, sorted.
    pub fn params(&self) -> impl Iterator<Item = &str> {
        self.params.keys().map(String::as_str)
    }

    /// Whether it has a parameter of this name.
    #[must_use]
    pub fn has_param(&self, name: &str) -> bool {
        self.params.contains_key(name)
    }
}

/// Reads one class; what is wrong with it is left out of it.
pub(super) fn parse(
    name: &str,
    file: SourceFile<'_>,
    files: &Files,
    templates: &mut Templates,
    wrong: &mut Vec<Diagnostic>,
) -> Class {
    let mut class = Class {
        name: name.to_owned(),
        module: name.split("::").next().unwrap_or_default().to_owned(),
        file: file.name.to_owned(),
        params: BTreeMap::new(),
        include: Vec::new(),
        resources: Vec::new(),
    };
    let document = match yaml::parse(file.text) {
        Ok(document) => document,
        Err(error) => {
            wrong.push(file.yaml_error(&error));
            return class;
        }
    };
    let fields = Fields::of(file, &document, "a class", &KEYS, wrong);
    fields.text("description", wrong);
    // A parameter whose schema is wrong is still one that templates may use.
    let mut param_names = BTreeSet::new();
    for entry in fields.map("params", wrong) {
        if !names::is_param(&entry.key) {
            let message = format!("{:?} cannot be a parameter", entry.key);
            wrong.push(
                file.error(entry.at.line, message)
                    .hint("use letters, digits and '_', beginning with a letter"),
            );
            continue;
        }
        param_names.insert(entry.key.as_str());
        let param = param::parse(file, entry, wrong);
        class
            .params
            .extend(param.map(|param| (entry.key.clone(), param)));
    }
    class.include = fields.texts("include", wrong);
    let mut reader = declaration::Reader {
        file,
        class: name,
        module: &class.module,
        params: &param_names,
        files,
        templates,
        wrong,
    };
    let items = fields.list("resources", reader.wrong);
    class.resources = items.iter().filter_map(|item| reader.read(item)).collect();
    class
}
