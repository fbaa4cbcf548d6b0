//! The one place that prints. Answers go to the standard output, everything else to standard error.

use std::io::{self, IsTerminal as _, Write as _};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::{error::CliError, table};

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people: short IDs, times in UTC
    Table,
    /// For programs: everything, keys in snake_case
    Json,
    /// The same as JSON, in YAML
    Yaml,
}

/// The option `-o` of everything that lists or shows.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// How to write the answer
    #[arg(
        short,
        long,
        value_enum,
        value_name = "FORMAT",
        default_value = "table"
    )]
    pub(crate) output: Format,
}

impl OutputArgs {
    /// Prints an answer; `table` makes the text for people.
    ///
    /// # Errors
    /// When the standard output takes no more.
    pub(crate) fn print<T: Serialize>(
        &self,
        answer: &T,
        table: impl FnOnce(&T) -> String,
    ) -> Result<(), CliError> {
        print(&render(self.output, answer, table)?)
    }
}

/// Prints text, with a line end where it has none.
///
/// # Errors
/// When the standard output takes no more.
pub(crate) fn print(text: &str) -> Result<(), CliError> {
    print_bytes(text.as_bytes())?;
    if text.is_empty() || text.ends_with('\n') {
        return Ok(());
    }
    print_bytes(b"\n")
}

/// Prints bytes as they are.
///
/// # Errors
/// When the standard output takes no more.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(|error| CliError::printing(&error))
}

/// Tells the person something that is not part of the answer.
pub(crate) fn note(text: &str) {
    // There is nowhere left to say that standard error is gone.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Tells the person why it did not work.
pub(crate) fn error(error: &CliError) {
    if !error.is_quiet() {
        // It may repeat what a container chose, or a master that is none.
        note(&table::printable(&error.to_string()));
    }
}

/// Whether a person can be asked: there is someone to read the question and to answer it.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks a person and returns the line of the answer.
///
/// # Errors
/// When there is no answer to read.
pub(crate) fn ask(question: &str) -> io::Result<String> {
    let mut err = io::stderr().lock();
    write!(err, "{question} ")?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(answer.trim().to_owned())
}

fn render<T: Serialize>(
    format: Format,
    answer: &T,
    table: impl FnOnce(&T) -> String,
) -> Result<String, CliError> {
    let unwritable = |error: &dyn std::error::Error| {
        CliError::because(
            "the answer cannot be written in this format",
            error,
            "try -o table",
        )
    };
    match format {
        Format::Table => Ok(table(answer)),
        Format::Json => serde_json::to_string_pretty(answer).map_err(|e| unwritable(&e)),
        Format::Yaml => serde_yaml::to_string(answer).map_err(|e| unwritable(&e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Answer {
        not_after_ms: u64,
        names: Vec<&'static str>,
    }

    #[test]
    fn one_answer_has_three_forms() {
        let answer = Answer {
            not_after_ms: 7,
            names: vec!["a"],
        };
        let table = |answer: &Answer| format!("NAMES\n{}", answer.names.join(" "));
        assert_eq!(render(Format::Table, &answer, table).unwrap(), "NAMES\na");
        assert_eq!(
            render(Format::Json, &answer, table).unwrap(),
            "{\n  \"not_after_ms\": 7,\n  \"names\": [\n    \"a\"\n  ]\n}"
        );
        assert_eq!(
            render(Format::Yaml, &answer, table).unwrap(),
            "not_after_ms: 7\nnames:\n- a\n"
        );
    }
}
