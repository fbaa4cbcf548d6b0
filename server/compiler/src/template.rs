//! Templates: strict, bounded, and with errors that point into the site's files.

mod check;
mod context;
mod error;
mod filters;
mod output;

use std::{borrow::Cow, collections::BTreeMap};

use minijinja::{
    Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value, syntax::SyntaxConfig,
    value::ValueKind,
};

use dockmaster_document::diagnostic::{Diagnostic, SourceFile};

pub(crate) use context::Context;

/// The largest output of one template, in bytes.
pub(crate) const MAX_OUTPUT: usize = 4 << 20;
/// What one template may cost: about one unit for each instruction and each 64 bytes made.
const FUEL: u64 = 2_000_000;

/// How deep includes and macros may nest.
const MAX_INCLUDES: usize = 64;

/// All templates of a site: its template files and the texts with `{{ }}` in its classes.
pub(crate) struct Templates {
    env: Environment<'static>,
    origins: BTreeMap<String, Origin>,
}

/// Where a template's text stands.
struct Origin {
    file: String,
    /// The text of the whole file.
    text: String,
    /// What to add to a line of the template to get the line of the file.
    offset: u32,
}

/// A text of a class that may have `{{ }}` in it.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    /// The line of the class's file.
    pub(crate) line: u32,
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    Plain(String),
    /// The name of a template.
    Template(String),
    /// Nothing but one `{{ }}`: its value keeps its type.
    Expression {
        name: String,
        source: String,
    },
}

impl Default for Templates {
    fn default() -> Self {
        Self::new()
    }
}

impl Text {
    /// The text, when it is the same for every node.
    pub(crate) fn plain(&self) -> Option<&str> {
        match &self.form {
            Form::Plain(text) => Some(text),
            Form::Template(_) | Form::Expression { .. } => None,
        }
    }
}

impl Templates {
    pub(crate) fn new() -> Self {
        let mut env = Environment::new();
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        // Configuration files are no HTML, and their last newline counts.
        env.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        if let Ok(syntax) = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .keep_trailing_newline(true)
            .build()
        {
            env.set_syntax(syntax);
        }
        env.set_formatter(write_value);
        env.set_debug(true);
        env.set_fuel(Some(FUEL));
        // A module's templates and classes include its own templates by their names.
        env.set_path_join_callback(|name, parent| {
            let module: Vec<&str> = parent.split('/').take(2).collect();
            format!("{}/templates/{name}", module.join("/")).into()
        });
        env.set_recursion_limit(MAX_INCLUDES);
        // It would print what nobody notes as read.
        env.remove_global("debug");
        // It carries values from one turn of a loop to the next, so that a label that says how many
        // turns there are would say how deep a value nests, and how often it doubles.
        env.remove_global("namespace");
        filters::add(&mut env);
        Self {
            env,
            origins: BTreeMap::new(),
        }
    }

    /// Adds a template file under its path.
    pub(crate) fn add_file(&mut self, file: SourceFile<'_>) -> Result<(), Diagnostic> {
        self.add(file, file.name, file.text, 0)
    }

    /// Takes a text of a class.
    pub(crate) fn add_text(
        &mut self,
        file: SourceFile<'_>,
        line: u32,
        text: &str,
    ) -> Result<Text, Diagnostic> {
        if !["{{", "{%", "{#"].iter().any(|mark| text.contains(mark)) {
            return Ok(Text {
                line,
                form: Form::Plain(text.to_owned()),
            });
        }
        if let Some(expression) = only_expression(text) {
            return self.add_expression(file, line, expression);
        }
        let name = self.inline_name(file);
        self.add(file, &name, text, first_line(file, line) - 1)?;
        Ok(Text {
            line,
            form: Form::Template(name),
        })
    }

    /// Takes an expression, such as a resource's `when`.
    pub(crate) fn add_expression(
        &mut self,
        file: SourceFile<'_>,
        line: u32,
        source: &str,
    ) -> Result<Text, Diagnostic> {
        let name = self.inline_name(file);
        self.origins
            .insert(name.clone(), Origin::new(file, line.saturating_sub(1)));
        if let Err(error) = self.env.compile_expression(source) {
            return Err(self.explain(&error, &name));
        }
        let form = Form::Expression {
            name,
            source: source.to_owned(),
        };
        Ok(Text { line, form })
    }

    fn inline_name(&self, file: SourceFile<'_>) -> String {
        format!("{}#{}", file.name, self.origins.len())
    }

    fn add(
        &mut self,
        file: SourceFile<'_>,
        name: &str,
        text: &str,
        offset: u32,
    ) -> Result<(), Diagnostic> {
        self.origins
            .insert(name.to_owned(), Origin::new(file, offset));
        self.env
            .add_template_owned(name.to_owned(), text.to_owned())
            .map_err(|error| self.explain(&error, name))
    }

    /// Whether there is a template file of this path.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.origins.contains_key(path)
    }

    /// Renders a template by its path.
    pub(crate) fn render(&self, name: &str, context: &Context) -> Result<String, Diagnostic> {
        let mut output = output::Bounded::default();
        self.env
            .get_template(name)
            .and_then(|template| {
                template
                    .render_captured_to(context.value(), &mut output)
                    .map(drop)
            })
            .map_err(|error| {
                if output.is_full() {
                    self.at_start(
                        name,
                        &format!("the output is larger than {MAX_OUTPUT} bytes"),
                    )
                } else {
                    self.explain(&error, name)
                }
            })?;
        output
            .into_text()
            .ok_or_else(|| self.at_start(name, "the output is not UTF-8"))
    }

    /// The value of a text: text, or for nothing but one `{{ }}` whatever that is.
    pub(crate) fn value(
        &self,
        text: &Text,
        context: &Context,
    ) -> Result<serde_json::Value, Diagnostic> {
        match &text.form {
            Form::Plain(text) => Ok(serde_json::Value::String(text.clone())),
            Form::Template(name) => self.render(name, context).map(serde_json::Value::String),
            Form::Expression { name, source } => {
                let value = self.evaluate(name, source, context)?;
                serde_json::to_value(value).map_err(|error| {
                    self.at_start(name, &format!("the value cannot be used here: {error}"))
                })
            }
        }
    }

    /// A text as text.
    pub(crate) fn text(&self, text: &Text, context: &Context) -> Result<String, Diagnostic> {
        match &text.form {
            Form::Plain(text) => Ok(text.clone()),
            Form::Template(name) => self.render(name, context),
            Form::Expression { name, source } => {
                let value = self.evaluate(name, source, context)?;
                let Some(text) = as_text(&value) else {
                    return Err(
                        self.at_start(name, &format!("{source} is none, which has no text"))
                    );
                };
                if text.len() > MAX_OUTPUT {
                    return Err(self.at_start(
                        name,
                        &format!("the output is larger than {MAX_OUTPUT} bytes"),
                    ));
                }
                Ok(text.into_owned())
            }
        }
    }

    /// Whether an expression holds.
    pub(crate) fn holds(&self, text: &Text, context: &Context) -> Result<bool, Diagnostic> {
        match &text.form {
            Form::Expression { name, source } => self
                .evaluate(name, source, context)
                .map(|value| value.is_true()),
            Form::Plain(_) | Form::Template(_) => {
                self.text(text, context).map(|text| !text.is_empty())
            }
        }
    }

    fn evaluate(&self, name: &str, source: &str, context: &Context) -> Result<Value, Diagnostic> {
        let value = self
            .env
            .compile_expression(source)
            .and_then(|expression| expression.eval(context.value()))
            .map_err(|error| self.explain(&error, name))?;
        if value.is_undefined() {
            let wrong = self.at_start(name, &format!("`{source}` is undefined"));
            return Err(wrong.hint(error::UNDEFINED_HINT));
        }
        Ok(value)
    }

    fn at_start(&self, name: &str, message: &str) -> Diagnostic {
        match self.origins.get(name) {
            Some(origin) => {
                Diagnostic::new(&origin.file, message).at(origin.offset + 1, &origin.text)
            }
            None => Diagnostic::new(name, message),
        }
    }
}

impl Origin {
    fn new(file: SourceFile<'_>, offset: u32) -> Self {
        Self {
            file: file.name.to_owned(),
            text: file.text.to_owned(),
            offset,
        }
    }
}

/// What `{{ }}` writes: booleans as configuration files spell them, and no `None` by accident.
fn write_value(
    output: &mut Output<'_>,
    _state: &mut State<'_, '_>,
    value: &Value,
) -> Result<(), Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    match as_text(value) {
        Some(text) => Ok(output.write_str(&text)?),
        None => Err(Error::new(
            ErrorKind::InvalidOperation,
            "the value is none, which has no text; test it with \"is none\" first",
        )),
    }
}

fn as_text(value: &Value) -> Option<Cow<'_, str>> {
    match value.kind() {
        ValueKind::None => None,
        ValueKind::Bool => Some(if value.is_true() { "true" } else { "false" }.into()),
        _ => Some(
            value
                .as_str()
                .map_or_else(|| value.to_string().into(), Into::into),
        ),
    }
}

/// `{{ x }}` and nothing else, not even a newline: `x`.
fn only_expression(text: &str) -> Option<&str> {
    let inside = text.strip_prefix("{{")?.strip_suffix("}}")?;
    let inside = inside.strip_prefix('-').unwrap_or(inside);
    let inside = inside.strip_suffix('-').unwrap_or(inside);
    let one = !["{{", "}}", "{%", "{#"]
        .iter()
        .any(|mark| inside.contains(mark));
    one.then(|| inside.trim())
}

/// The line in which a scalar's text begins: behind the header of a block, else its own.
fn first_line(file: SourceFile<'_>, line: u32) -> u32 {
    let header = (line as usize)
        .checked_sub(1)
        .and_then(|index| file.text.lines().nth(index));
    let header = header.unwrap_or_default().trim_end();
    let header = header.trim_end_matches(|c: char| matches!(c, '-' | '+') || c.is_ascii_digit());
    line + u32::from(header.ends_with(['|', '>']))
}

/// What can stand behind `template:` or `source:`: a path below the module's folder.
pub(crate) fn is_relative(path: &str) -> bool {
    !path.is_empty()
        && path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
}
