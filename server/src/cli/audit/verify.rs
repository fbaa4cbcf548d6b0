//! `dockmaster audit verify`: the whole log read and checked on this side of the wire.

use std::collections::BTreeMap;

use clap::Args;
use dockmaster_client::Call;
use dockmaster_proto::{api::certs::CertificateDetail, route::Route, time::UnixMs};
use dockmaster_tlog::{
    checkpoint::Checkpoint,
    tile::{EntriesId, EntryBundle, TILE_WIDTH},
};
use serde::Serialize;

use super::{
    crosscheck::{self, Standing},
    replay::Replay,
};
use crate::cli::{
    Global,
    cert::{self, All, Which},
    error::{CliError, chain},
    output::OutputArgs,
    progress::Progress,
    remote::Remote,
    table,
};

/// How many faults are told one by one.
const TOLD: usize = 50;

/// Read the whole log, recompute its root, and compare it with every certificate
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster audit verify
  dockmaster audit verify -o json

Checks the signed head of the log with the key in the context, rebuilds the root from all entries,
finds every certificate in the log and every logged certificate at the master. Nothing of it
relies on what the master says about itself. Exits with 1 when anything does not fit.")]
pub(super) struct VerifyArgs {
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

/// Verifies the log and says what was found.
pub(super) async fn run(global: &Global, args: VerifyArgs) -> Result<(), CliError> {
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
    let checkpoint = checkpoint(remote).await?;
    let mut found = Verification::new(&checkpoint);
    let replay = replay(remote, &checkpoint, &mut found).await?;
    cross_check(remote, &replay, &mut found).await?;
    found.verified = found.fault_count == 0;
    Ok(found)
}

async fn checkpoint(remote: &mut Remote) -> Result<Checkpoint, CliError> {
    let note = remote
        .find_bytes(&Call::new(Route::Checkpoint))
        .await?
        .ok_or_else(|| CliError::failed("the master publishes no checkpoint", ""))?;
    let note = String::from_utf8(note)
        .map_err(|_| CliError::failed("the checkpoint is not UTF-8 text", ""))?;
    Checkpoint::open(&note, remote.log_key()).map_err(|error| {
        CliError::failed(
            format!("the head of the log cannot be trusted: {}", chain(&error)),
            "is the context of this master's own installation? its log key must have signed the head",
        )
    })
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
        let bundle = bundle(remote, id).await?;
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

/// Fetches a bundle; where a partial one is gone because it filled up meanwhile, the full one.
async fn bundle(remote: &mut Remote, id: EntriesId) -> Result<EntryBundle, CliError> {
    for width in [id.width(), TILE_WIDTH] {
        let Ok(id) = EntriesId::new(id.index(), width) else {
            break;
        };
        let path = id.path();
        let path = path.strip_prefix("tile/").unwrap_or(&path);
        if let Some(bytes) = remote
            .find_bytes(&Call::new(Route::Tile).parameter(path))
            .await?
        {
            return EntryBundle::parse(&bytes, width).map_err(|error| {
                CliError::because(format!("the entries of {path} cannot be read"), &error, "")
            });
        }
    }
    Err(CliError::failed(
        format!("the master does not have the entries of {}", id.path()),
        "without them the log cannot be verified; see \"dockmaster serve\"'s own log",
    ))
}

async fn cross_check(
    remote: &mut Remote,
    replay: &Replay,
    found: &mut Verification,
) -> Result<(), CliError> {
    let everything = Which {
        all: Some(All),
        ..Which::default()
    };
    for certificate in cert::fetch(remote, &everything).await? {
        match crosscheck::listed(&certificate, &replay.certificates, replay.size()) {
            Standing::Logged => found.certificates_logged += 1,
            Standing::Newer => found.certificates_newer += 1,
            Standing::Wrong(fault) => found.fault(fault),
        }
    }
    let kept = replay
        .certificates
        .iter()
        .filter(|(_, entry)| entry.is_kept());
    let bar = Progress::start("certificates", kept.clone().count() as u64);
    for (index, entry) in kept {
        let call = Call::new(Route::Certificate).parameter(entry.serial.to_string());
        let detail: Option<CertificateDetail> = remote.find(&call).await?;
        match crosscheck::kept(*index, entry, detail.as_ref()) {
            None => found.entries_with_certificate += 1,
            Some(fault) => found.fault(fault),
        }
        bar.advance(1);
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
