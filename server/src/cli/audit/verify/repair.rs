//! `dockmaster audit verify --repair`.

use std::path::Path;

use dockmaster::{datadir::DataDir, store};
use dockmaster_ledger::Repair;
use serde::Serialize;

use crate::cli::{
    error::{CliError, chain},
    output::OutputArgs,
    table,
};

/// What was done.
#[derive(Debug, Serialize)]
struct Repaired {
    /// Entries in the log: all of them were read, and give the root that is signed.
    size: u64,
    /// Files that were made again.
    rewritten: Vec<String>,
    /// Where an unreadable checkpoint was put.
    set_aside: Option<String>,
}

/// Repairs a data directory and says what was done.
pub(super) fn run(data: &Path, output: &OutputArgs) -> Result<(), CliError> {
    let repair = store::repair(&DataDir::new(data)).map_err(|error| {
        CliError::failed(
            chain(&error),
            "nothing that could be read was changed; keep a copy of the directory before going on",
        )
    })?;
    output.print(&Repaired::from(repair), render)
}

impl From<Repair> for Repaired {
    fn from(repair: Repair) -> Self {
        let Repair {
            size,
            rewritten,
            set_aside,
        } = repair;
        let text = |path: std::path::PathBuf| path.display().to_string();
        Self {
            size,
            rewritten: rewritten.into_iter().map(text).collect(),
            set_aside: set_aside.map(text),
        }
    }
}

fn render(repaired: &Repaired) -> String {
    let Repaired {
        size,
        rewritten,
        set_aside,
    } = repaired;
    let mut text = format!("all {size} entries were read and give the root that is signed\n");
    if let Some(path) = set_aside {
        text.push_str(&format!("the unreadable checkpoint lies at {path} now\n"));
    }
    if rewritten.is_empty() {
        text.push_str("no tile was missing or damaged\n");
    } else {
        text.push_str(&format!(
            "{} made again:\n",
            table::count(rewritten.len(), "file")
        ));
        text.push_str(&table::indented(&rewritten.join("\n")));
        text.push('\n');
    }
    text.push_str("the index was made again\n");
    text
}
