//! Parameters of classes: JSON Schemas with a default.

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

use dockmaster_document::{
    diagnostic::{Diagnostic, SourceFile},
    suggest,
    yaml::{Entry, Node, Value as Yaml},
};

/// What one pattern may take, in bytes of compiled automaton.
const MAX_PATTERN: usize = 1 << 20;
/// Keywords of JSON Schema (draft 2020-12). A schema with others is legal, but is a typo here.
const KEYWORDS: [&str; 44] = [
    "$anchor",
    "$comment",
    "$defs",
    "$id",
    "$ref",
    "$schema",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "contentEncoding",
    "contentMediaType",
    "default",
    "dependentRequired",
    "dependentSchemas",
    "deprecated",
    "description",
    "else",
    "enum",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "if",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "prefixItems",
    "properties",
    "required",
    "then",
    "title",
    "type",
];
const MORE_KEYWORDS: [&str; 4] = [
    "patternProperties",
    "propertyNames",
    "unevaluatedProperties",
    "uniqueItems",
];

/// A declared parameter.
#[derive(Debug)]
pub(crate) struct Param {
    pub(crate) line: u32,
    pub(crate) default: Option<Value>,
    validator: Validator,
}

impl Param {
    /// What is wrong with a value; nothing when it fits.
    pub(crate) fn errors(&self, value: &Value) -> Vec<String> {
        let errors = self.validator.iter_errors(value);
        errors
            .map(|error| match error.instance_path().as_str() {
                "" => error.to_string(),
                path => format!("{error} (at {path})"),
            })
            .collect()
    }
}

/// Reads `NAME: SCHEMA`.
pub(super) fn parse(
    file: SourceFile<'_>,
    entry: &Entry,
    wrong: &mut Vec<Diagnostic>,
) -> Option<Param> {
    let name = &entry.key;
    check_keywords(file, name, &entry.value, wrong);
    let mut schema = entry.value.to_json();
    if schema.is_null() {
        schema = Value::Bool(true);
    }
    let options = jsonschema::options()
        .offline()
        .should_validate_formats(true)
        .should_ignore_unknown_formats(false)
        .with_pattern_options(PatternOptions::regex().size_limit(MAX_PATTERN));
    let validator = match options.build(&schema) {
        Ok(validator) => validator,
        Err(error) => {
            let message = format!("the schema of parameter {name:?} is none: {error}");
            wrong.push(
                file.error(entry.at.line, message)
                    .hint("write a JSON Schema, such as { type: integer, minimum: 1 }"),
            );
            return None;
        }
    };
    let param = Param {
        line: entry.at.line,
        default: schema.get("default").cloned(),
        validator,
    };
    if let Some(default) = &param.default {
        for error in param.errors(default) {
            let message =
                format!("the default of parameter {name:?} does not fit its own schema: {error}");
            wrong.push(file.error(entry.at.line, message));
        }
    }
    Some(param)
}

fn check_keywords(file: SourceFile<'_>, name: &str, schema: &Node, wrong: &mut Vec<Diagnostic>) {
    let Yaml::Map(entries) = &schema.value else {
        return;
    };
    for entry in entries {
        let keyword = entry.key.as_str();
        let known = || KEYWORDS.into_iter().chain(MORE_KEYWORDS);
        if !known().any(|known| known == keyword) && !keyword.starts_with("x-") {
            let message = format!("parameter {name:?}: {keyword:?} is no keyword of JSON Schema");
            wrong.push(
                file.error(entry.at.line, message)
                    .hint(suggest::hint(keyword, known())),
            );
        }
    }
}
