//! One entry, one line.

use clap::ValueEnum;
use dockmaster_proto::event::Entry;

use super::{cef, record::Record, syslog};
use crate::cli::error::CliError;

/// The form of the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// JSON lines: index, `leaf_hash`, and the entry as it is
    Jsonl,
    /// ArcSight Common Event Format, version 0
    Cef,
    /// Syslog after RFC 5424, one line each
    Syslog,
}

impl Format {
    /// The record's line, without its end.
    ///
    /// # Errors
    /// When the entry is no line of JSON, which a log of ours never holds.
    pub(super) fn line(self, record: &Record<'_>) -> Result<String, CliError> {
        let unreadable = |why: &dyn std::error::Error| {
            let what = format!("entry {} cannot be read", record.index);
            CliError::because(what, why, "is it of a newer version than this program?")
        };
        let text = std::str::from_utf8(record.entry).map_err(|error| unreadable(&error))?;
        let entry: Entry = serde_json::from_str(text).map_err(|error| unreadable(&error))?;
        Ok(match self {
            Self::Jsonl => format!(
                r#"{{"index":{},"leaf_hash":"{}","entry":{text}}}"#,
                record.index, record.leaf
            ),
            Self::Cef => cef::line(record, &entry),
            Self::Syslog => syslog::line(record, &entry, text),
        })
    }
}
