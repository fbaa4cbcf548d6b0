//! `dockmaster audit check`: evidence held against the log's key, without a master.

use std::path::PathBuf;

use clap::Args;
use dockmaster_client::Context;
use dockmaster_tlog::note::VerifierKey;

use super::{
    summary::summary,
    testimony::{self, Shown},
    who,
};
use crate::cli::{
    Global,
    error::{CliError, chain},
    files,
    output::OutputArgs,
    table,
};

/// Check a file of evidence, without a master
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster audit check entry-17.tlog-proof
  dockmaster audit check holder.json --log-key 'dockmaster.example/log1+2840f4cd+AYQEN9E+ce+faUdAd3gop2OuMkj081gzlxvkWQ7CaABh'

Takes what \"audit prove\" and \"audit who --prove\" write. The log's key comes from the context, or from
--log-key; \"dockmaster init\" printed it. Exits with 1 when anything in the file is not proven.")]
pub(super) struct CheckArgs {
    /// The file
    file: PathBuf,
    /// The key of the log, in place of the context's
    #[arg(long, value_name = "KEY", value_parser = key)]
    log_key: Option<VerifierKey>,
    #[command(flatten)]
    output: OutputArgs,
}

fn key(text: &str) -> Result<VerifierKey, String> {
    VerifierKey::parse(text).map_err(|error| chain(&error))
}

/// Checks a file.
pub(super) fn run(global: &Global, args: CheckArgs) -> Result<(), CliError> {
    let key = match args.log_key {
        Some(key) => key,
        None => key_of_context(global)?,
    };
    let text = files::read_text(&args.file)?;
    let shown = testimony::examine(&text, &key).map_err(|faults| {
        CliError::failed(
            format!(
                "{} proves nothing: {}",
                args.file.display(),
                faults.join("; ")
            ),
            "is it whole and unchanged, and the key that of the log it is from?",
        )
    })?;
    args.output.print(&shown, render)
}

fn key_of_context(global: &Global) -> Result<VerifierKey, CliError> {
    let Some(path) = &global.context else {
        return Err(CliError::usage(
            "nothing says which log's key to check with",
            "give --log-key KEY, or --context FILE",
        ));
    };
    let context = Context::load(path).map_err(|error| CliError::failed(error.to_string(), ""))?;
    let bundle = context.trust_bundle()?;
    VerifierKey::parse(bundle.log_key())
        .map_err(|error| CliError::because("the log key in the context's trust bundle", &error, ""))
}

fn render(shown: &Shown) -> String {
    let rows = shown.entries.iter().map(|proven| {
        [
            proven.index.to_string(),
            proven.entry.ts_ms.to_string(),
            proven.entry.event.name().to_owned(),
            proven.log_size.to_string(),
            summary(&proven.entry.event),
        ]
    });
    let heading = ["INDEX", "TIME", "EVENT", "PROVEN BY SIZE", "DETAIL"];
    let mut text = format!("proven in the log {}\n\n", shown.log);
    text.push_str(&table::columns(heading, rows, "no entries"));
    if let Some(answer) = &shown.answer {
        text.push_str("\n\n");
        text.push_str(&who::render(answer));
    }
    for note in &shown.notes {
        text.push_str(&format!("\nnote: {note}\n"));
    }
    text
}
