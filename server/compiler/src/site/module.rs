//! `module.yaml`.

use std::collections::BTreeSet;

use dockmaster_document::{
    diagnostic::{Diagnostic, SourceFile},
    fields::Fields,
    suggest, yaml,
};

const KEYS: [&str; 4] = ["name", "version", "description", "dependencies"];

/// Checks that a module is what it says and that the site has the modules that it needs.
pub(super) fn check(
    file: SourceFile<'_>,
    module: &str,
    modules: &BTreeSet<&str>,
    wrong: &mut Vec<Diagnostic>,
) {
    let document = match yaml::parse(file.text) {
        Ok(document) => document,
        Err(error) => {
            wrong.push(file.yaml_error(&error));
            return;
        }
    };
    let fields = Fields::of(file, &document, "module.yaml", &KEYS, wrong);
    fields.text("description", wrong);
    if let Some((name, line)) = fields.text("name", wrong)
        && name != module
    {
        let message = format!("the module calls itself {name:?}, its folder {module:?}");
        wrong.push(file.error(line, message).hint("give both the same name"));
    }
    for (needed, line) in fields.texts("dependencies", wrong) {
        if !modules.contains(needed.as_str()) {
            let hint = suggest::hint(&needed, modules.iter().copied());
            let message =
                format!("module {module} needs module {needed:?}, which is not in the site");
            wrong.push(file.error(line, message).hint(hint));
        }
    }
}
