//! `dockmaster audit export`: entries for other people's tools, verified on the way.

mod cef;
mod format;
mod position;
mod record;
mod syslog;

use std::{
    fs::OpenOptions,
    io::{self, BufWriter, Write},
    path::PathBuf,
    time::Duration,
};

use clap::Args;
use dockmaster_tlog::{
    hash::leaf_hash,
    tile::{EntriesId, TILE_WIDTH},
    tree::RightEdge,
};

use self::{format::Format, position::Position, record::Record};
use crate::cli::{
    Global,
    error::CliError,
    public_log::{self, SignedHead},
    remote::Remote,
};

/// How long until the log is looked at again.
const POLL: Duration = Duration::from_secs(1);

/// Copy the log to another system, as JSON lines, CEF or syslog
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster audit export --format jsonl > audit.jsonl
  dockmaster audit export --format syslog --follow --position /var/lib/exporter/position
  dockmaster audit export --format cef --from 1000

Each record has the entry's index and leaf hash. At each signed head of the log the root is computed
from what was read and compared; with --position the next run goes on behind the last head that was
compared, and a log that was rewritten since is found out. A record may be written again after an
interruption: its index tells.")]
pub(super) struct ExportArgs {
    /// The form of the records
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Format,
    /// Begin with this entry
    #[arg(long, value_name = "INDEX", conflicts_with = "position")]
    from: Option<u64>,
    /// Go on as the log grows
    #[arg(long)]
    follow: bool,
    /// Remember in this file how far it went, and begin there
    #[arg(long, value_name = "FILE")]
    position: Option<PathBuf>,
    /// Append to this file; the standard output where none is given
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Exports, and follows the log where that is wanted.
pub(super) async fn run(global: &Global, args: ExportArgs) -> Result<(), CliError> {
    let mut remote = Remote::connect(global).await?;
    let mut position = match &args.position {
        Some(file) => Position::load(file, remote.log_key())?,
        None => Position::at(args.from.unwrap_or(0)),
    };
    let mut out = open(args.output.as_ref())?;
    let mut edge: Option<RightEdge> = None;
    loop {
        let head = public_log::head(&mut remote).await?;
        position.check(&head.checkpoint)?;
        if head.checkpoint.size > position.next() {
            let start = match edge.take() {
                Some(edge) => edge,
                None => begin(&mut remote, &position, &head).await?,
            };
            edge = Some(copy(&mut remote, start, &head, args.format, &mut out).await?);
            position.advance(head);
            if let Some(file) = &args.position {
                position.save(file)?;
            }
        }
        if !args.follow {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
}

fn open(path: Option<&PathBuf>) -> Result<Box<dyn Write>, CliError> {
    let Some(path) = path else {
        return Ok(Box::new(BufWriter::new(io::stdout())));
    };
    let file = OpenOptions::new().create(true).append(true).open(path);
    let file = file.map_err(|error| {
        CliError::because(format!("{} cannot be written", path.display()), &error, "")
    })?;
    Ok(Box::new(BufWriter::new(file)))
}

/// The tree as it was where the copy begins.
async fn begin(
    remote: &mut Remote,
    position: &Position,
    head: &SignedHead,
) -> Result<RightEdge, CliError> {
    let edge = public_log::edge(remote, position.next(), head.checkpoint.size).await?;
    position.check_root(&edge)?;
    Ok(edge)
}

/// Writes the entries from the edge up to a head, and compares the root that they give.
async fn copy(
    remote: &mut Remote,
    mut edge: RightEdge,
    head: &SignedHead,
    format: Format,
    out: &mut dyn Write,
) -> Result<RightEdge, CliError> {
    let (size, width) = (head.checkpoint.size, u64::from(TILE_WIDTH));
    let first = edge.size();
    while edge.size() < size {
        let Some(id) = EntriesId::in_tree(edge.size() / width, size) else {
            break;
        };
        let bundle = public_log::bundle(remote, id).await?;
        let offset = usize::try_from(edge.size() % width).unwrap_or(usize::MAX);
        for entry in bundle.iter().take(usize::from(id.width())).skip(offset) {
            let leaf = leaf_hash(entry);
            let record = Record {
                index: edge.size(),
                leaf: &leaf,
                entry,
            };
            writeln!(out, "{}", format.line(&record)?).map_err(|e| CliError::printing(&e))?;
            edge.push(leaf);
        }
    }
    out.flush().map_err(|error| CliError::printing(&error))?;
    if edge.size() != size || edge.root() != head.checkpoint.root {
        return Err(CliError::failed(
            format!(
                "the entries from {first} to {} are not those that the log signed; do not trust what was written of them",
                size - 1
            ),
            "run \"dockmaster audit verify\", and keep a copy of the data directory as it is",
        ));
    }
    Ok(edge)
}

#[cfg(test)]
mod tests;
