//! `dockmaster audit verify`: the whole log read and checked on this side of the wire.

mod repair;

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use dockmaster_proto::time::UnixMs;
use dockmaster_tlog::{
    checkpoint::Checkpoint,
    tile::{EntriesId, TILE_WIDTH},
};
use serde::Serialize;

use super::{
    crosscheck::{self, Standing},
    replay::Replay,
};
use crate::cli::{
    Global,
    cert::{All, Pages, Which, WithPem},
    error::CliError,
    output::OutputArgs,
    progress::Progress,
    public_log,
    remote::{Remote, block_on},
    table,
};

/// How many faults are told one by one.
const TOLD: usize = 50;

/// Read the whole log, recompute its root, and compare it with every certificate
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster audit verify
  dockmaster audit verify -o json
  dockmaster audit verify --repair --data /var/lib/dockmaster

Checks the signed head of the log with the key in the context, rebuilds the root from all entries,
finds every certificate in the log and every logged certificate at the master. Nothing of it
relies on what the master says about itself. Exits with 1 when anything does not fit.

With --repair, on the master's machine and while it is stopped: reads the whole log from its files, makes
tiles, checkpoint and index again where they are missing or damaged, and says what it could not.")]
pub(super) struct VerifyArgs {
    /// Make again what can be made again, in a data directory that no master runs on
    #[arg(long, requires = "data")]
    repair: bool,
    /// The data directory to repair
    #[arg(long, value_name = "DIR", requires = "repair")]
    data: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Verification {
    /// Whether everything fits.
    verified: bool,
    /// The log.
    origin: String,
    /// Number of entries.
    size: u64,
    /// The root that the log signed.
    root: String,
    /// The time of the first entry.
    first_ts_ms: Option<UnixMs>,
    /// The time of the last entry.
    last_ts_ms: Option<UnixMs>,
    /// How many entries of each kind there are.
    events: BTreeMap<String, u64>,
    /// Certificates of the listing that are in the log.
    certificates_logged: u64,
    /// Entries whose certificate the master has.
    entries_with_certificate: u64,
    /// Certificates that are newer than the signed head.
    certificates_newer: u64,
    /// How many things do not fit.
    fault_count: u64,
    /// What does not fit; the first ones.
    faults: Vec<String>,
}

impl Verification {
    fn new(checkpoint: &Checkpoint) -> Self {
        Self {
            verified: false,
            origin: checkpoint.origin.to_string(),
            size: checkpoint.size,
            root: checkpoint.root.to_string(),
            first_ts_ms: None,
            last_ts_ms: None,
            events: BTreeMap::new(),
            certificates_logged: 0,
            entries_with_certificate: 0,
            certificates_newer: 0,
            fault_count: 0,
            faults: vec![],
        }
    }

    fn fault(&mut self, fault: String) {
        self.fault_count += 1;
        if self.faults.len() < TOLD {
            self.faults.push(fault);
        }
    }
}

/// Verifies the log and says what was found, or repairs it.
pub(super) fn run(global: &Global, args: VerifyArgs) -> Result<(), CliError> {
    match &args.data {
        Some(data) => repair::run(data, &args.output),
        None => block_on(over_the_wire(global, args)),
    }
}

async fn over_the_wire(global: &Global, args: VerifyArgs) -> Result<(), CliError> {
    let found = verify(&mut Remote::connect(global).await?).await?;
    args.output.print(&found, render)?;
    if found.verified {
        return Ok(());
    }
    let faults = table::count(clamp(found.fault_count), "fault");
    Err(CliError::failed(
        format!("the log does not verify: {faults} found"),
        "keep a copy of the data directory as it is, and compare it with a backup",
    ))
}

async fn verify(remote: &mut Remote) -> Result<Verification, CliError> {
    let checkpoint = public_log::head(remote).await?.checkpoint;
    let mut found = Verification::new(&checkpoint);
    let replay = replay(remote, &checkpoint, &mut found).await?;
    cross_check(remote, replay, &mut found).await?;
    found.verified = found.fault_count == 0;
    Ok(found)
}

/// Reads all entries and compares their root with the signed one.
async fn replay(
    remote: &mut Remote,
    checkpoint: &Checkpoint,
    found: &mut Verification,
) -> Result<Replay, CliError> {
    let bar = Progress::start("entries", checkpoint.size);
    let mut replay = Replay::default();
    for index in 0..checkpoint.size.div_ceil(u64::from(TILE_WIDTH)) {
        // Every index below the quotient has entries.
        let Some(id) = EntriesId::in_tree(index, checkpoint.size) else {
            break;
        };
        let bundle = public_log::bundle(remote, id).await?;
        for entry in bundle.iter().take(usize::from(id.width())) {
            if let Some(fault) = replay.push(entry) {
                found.fault(fault);
            }
        }
        bar.advance(u64::from(id.width()));
    }
    if let Some(fault) = replay.compare(checkpoint) {
        found.fault(fault);
    }
    found.first_ts_ms = replay.span.map(|(first, _)| first);
    found.last_ts_ms = replay.span.map(|(_, last)| last);
    found.events.clone_from(&replay.events);
    Ok(replay)
}

/// Compares the certificates that the master has with those that are logged, both ways.
async fn cross_check(
    remote: &mut Remote,
    mut replay: Replay,
    found: &mut Verification,
) -> Result<(), CliError> {
    let size = replay.size();
    let bar = Progress::start("certificates", replay.certificates.len() as u64);
    let mut pages = Pages::new(Which {
        all: Some(All),
        pem: Some(WithPem),
        ..Which::default()
    });
    while let Some(page) = pages.next(remote).await? {
        for certificate in page {
            // Taken out, so that what is left at the end is what the master does not have.
            let logged = replay.certificates.remove(&certificate.index);
            match crosscheck::compare(&certificate, logged.as_ref(), size) {
                Standing::Newer => found.certificates_newer += 1,
                Standing::Logged => {
                    found.certificates_logged += 1;
                    match crosscheck::kept(&certificate) {
                        None => found.entries_with_certificate += 1,
                        Some(fault) => found.fault(fault),
                    }
                }
                Standing::Wrong(fault) => found.fault(fault),
            }
            bar.advance(1);
        }
    }
    for (index, logged) in &replay.certificates {
        if logged.is_kept() {
            found.fault(crosscheck::lost(*index, logged));
        }
    }
    Ok(())
}

fn render(found: &Verification) -> String {
    let events = found
        .events
        .iter()
        .map(|(event, count)| format!("{event} {count}"))
        .collect::<Vec<_>>();
    let verdict = if found.verified {
        "verified"
    } else {
        "NOT VERIFIED"
    };
    let mut text = table::fields([
        ("log", found.origin.clone()),
        ("verdict", verdict.to_owned()),
        ("entries", found.size.to_string()),
        ("root", found.root.clone()),
        ("from", table::time(found.first_ts_ms)),
        ("until", table::time(found.last_ts_ms)),
        ("by kind", events.join("\n")),
        (
            "certificates",
            format!(
                "{} in the log, {} of its entries with their certificate, {} newer than its head",
                found.certificates_logged, found.entries_with_certificate, found.certificates_newer
            ),
        ),
    ]);
    for fault in &found.faults {
        text.push_str(&format!("fault: {}\n", table::printable(fault)));
    }
    let untold = clamp(found.fault_count) - found.faults.len();
    if untold > 0 {
        text.push_str(&format!("and {} more\n", table::count(untold, "fault")));
    }
    text
}

fn clamp(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
