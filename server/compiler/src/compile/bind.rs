//! Parameters get their values: classification, then data, then default.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::{
    classification::Resolved,
    inputs::{Input, Recorder},
    names,
    site::{Class, Param, Site},
};
use dockmaster_document::{diagnostic::Diagnostic, suggest};

/// The values of a class's parameters; none when one of them is wrong.
pub(super) fn params(
    site: &Site,
    resolved: &Resolved,
    class: &Class,
    recorder: &Arc<Recorder>,
    wrong: &mut Vec<Diagnostic>,
) -> Option<Map<String, Value>> {
    let before = wrong.len();
    unknown(resolved, class, wrong);
    let mut values = Map::new();
    for (name, param) in &class.params {
        let key = format!("{}.{name}", class.name);
        let Some((value, origin)) = value(site, resolved, &key, param, recorder) else {
            let message = format!("parameter {name:?} of class {} has no value", class.name);
            wrong.push(site.error(&class.file, param.line, message).hint(format!(
                "set {key} in the classification or below data/, or give it a default"
            )));
            continue;
        };
        for error in param.errors(&value) {
            let message = format!("parameter {name:?} of class {}: {error}", class.name);
            wrong.push(
                site.error(&class.file, param.line, message)
                    .hint(format!("the value comes from {origin}")),
            );
        }
        values.insert(name.clone(), value);
    }
    (wrong.len() == before).then_some(values)
}

/// Parameters that the classification gives the class and that it does not have.
fn unknown(resolved: &Resolved, class: &Class, wrong: &mut Vec<Diagnostic>) {
    for (key, given) in &resolved.params {
        let Some((name, param)) = names::split_param(key) else {
            continue;
        };
        if name == class.name && !class.has_param(param) {
            let message = format!(
                "parameter {param:?}, which group {:?} gives, is not one of class {name}",
                given.group
            );
            let mut diagnostic = Diagnostic::new(resolved.file.as_ref(), message);
            diagnostic.line = given.line;
            wrong.push(diagnostic.hint(suggest::hint(param, class.params())));
        }
    }
}

/// A value and where it comes from.
fn value(
    site: &Site,
    resolved: &Resolved,
    key: &str,
    param: &Param,
    recorder: &Arc<Recorder>,
) -> Option<(Value, String)> {
    if let Some(given) = resolved.params.get(key) {
        let origin = format!("group {:?}, {}:{}", given.group, resolved.file, given.line);
        return Some((given.value.clone(), origin));
    }
    let data = site.data();
    if data.has_key(key) {
        let node = recorder.read(Input::Hierarchy);
        if let Some(found) = data.find(key, &resolved.environment, node) {
            return Some((found.value, found.origin));
        }
    }
    param
        .default
        .clone()
        .map(|value| (value, "the default".to_owned()))
}
