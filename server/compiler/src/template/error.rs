//! What the template engine says, as a diagnostic.

use std::error::Error as _;

use minijinja::{Error, ErrorKind};

use super::Templates;
use dockmaster_document::diagnostic::Diagnostic;

/// What to do about a value that is not there.
pub(super) const UNDEFINED_HINT: &str =
    "test it with \"is defined\" or give it a value with default(…)";

impl Templates {
    /// An error of the engine in the template `name`, or in one that it includes.
    pub(super) fn explain(&self, error: &Error, name: &str) -> Diagnostic {
        let error = innermost(error);
        let named = error
            .name()
            .filter(|inner| self.origins.contains_key(*inner));
        let name = named.unwrap_or(name);
        let message = message(error);
        let diagnostic = match self.origins.get(name) {
            Some(origin) => {
                let line = error
                    .line()
                    .and_then(|line| u32::try_from(line).ok())
                    .unwrap_or(1);
                Diagnostic::new(&origin.file, message).at(origin.offset + line, &origin.text)
            }
            None => Diagnostic::new(name, message),
        };
        diagnostic.hint(hint(error))
    }
}

/// An include that failed is told by what failed in it.
fn innermost(error: &Error) -> &Error {
    let mut error = error;
    while let Some(source) = error
        .source()
        .and_then(|source| source.downcast_ref::<Error>())
    {
        error = source;
    }
    error
}

fn message(error: &Error) -> String {
    match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => "the template does more work than a template may".to_owned(),
        (ErrorKind::UndefinedError, None) => match snippet(error) {
            Some(snippet) => format!("`{snippet}` is undefined"),
            None => "undefined value".to_owned(),
        },
        // The engine's detail of an undefined value is a sentence of its own.
        (ErrorKind::InvalidOperation | ErrorKind::UndefinedError, Some(detail)) => {
            detail.to_owned()
        }
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    }
}

/// The part of the template that failed, when it is short.
fn snippet(error: &Error) -> Option<&str> {
    let snippet = error.template_source()?.get(error.range()?)?.trim();
    (!snippet.is_empty() && snippet.len() <= 80 && !snippet.contains('\n')).then_some(snippet)
}

fn hint(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::UndefinedError => UNDEFINED_HINT,
        ErrorKind::OutOfFuel => "is there a loop in a loop over many nodes?",
        ErrorKind::TemplateNotFound => {
            "a template includes others of its own module by their names"
        }
        _ => "",
    }
}
