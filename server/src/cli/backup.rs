//! `dockmaster backup`: everything that makes an installation, fetched from a running master.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use clap::Args;
use dockmaster::backup::{BackupError, Files, Writer};
use dockmaster_client::Call;
use dockmaster_proto::{
    api::{
        backup::{MAX_BLOBS, SmallFiles, WantedBlobs},
        documents::SiteManifest,
    },
    event::{Entry, Event},
    id::Digest,
    route::Route,
    time::UnixMs,
};
use dockmaster_tlog::{
    hash::leaf_hash,
    tile::{EntriesId, TILE_WIDTH},
    tree::RightEdge,
};

use super::{
    Global,
    error::CliError,
    output,
    progress::Progress,
    public_log::{self, SignedHead},
    remote::{Remote, block_on},
};

/// Write all that an installation is into one file, while the master serves
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster backup dockmaster-2026-11-24.tar
  dockmaster backup - | age -r age1… > dockmaster.tar.age

The file holds the keys of the authorities and of the log: whoever has it is this installation. It is
consistent: the log up to one signed head, which is compared with every entry, and all that those entries
name. What happens meanwhile is not in it. The log records who took it.")]
pub(crate) struct BackupArgs {
    /// The file to write; - for the standard output
    file: PathBuf,
}

/// Makes a backup.
pub(crate) fn run(global: &Global, args: &BackupArgs) -> Result<(), CliError> {
    let is_stdout = args.file.as_os_str() == "-";
    let aside = aside(&args.file);
    let out: Box<dyn Write> = if is_stdout {
        Box::new(BufWriter::new(io::stdout()))
    } else {
        Box::new(BufWriter::new(create(&aside)?))
    };
    let made = block_on(async {
        let mut remote = Remote::connect(global).await?;
        let made = make(&mut remote, out).await?;
        output::note(&made);
        Ok(())
    });
    if is_stdout {
        return made;
    }
    let placed = made.and_then(|()| place(&aside, &args.file));
    if placed.is_err() {
        // Half a backup is none.
        let _ = fs::remove_file(&aside);
    }
    placed
}

fn aside(file: &Path) -> PathBuf {
    let mut aside = file.as_os_str().to_owned();
    aside.push(".new");
    aside.into()
}

fn create(path: &Path) -> Result<File, CliError> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| cannot_write(path, &error))
}

fn place(aside: &Path, file: &Path) -> Result<(), CliError> {
    File::open(aside)
        .and_then(|written| written.sync_all())
        .and_then(|()| fs::rename(aside, file))
        .map_err(|error| cannot_write(file, &error))
}

fn cannot_write(path: &Path, error: &io::Error) -> CliError {
    CliError::because(format!("{} cannot be written", path.display()), error, "")
}

impl From<BackupError> for CliError {
    fn from(error: BackupError) -> Self {
        Self::because("the backup", &error, "")
    }
}

async fn make(remote: &mut Remote, out: Box<dyn Write>) -> Result<String, CliError> {
    let small: SmallFiles = remote.call(&Call::new(Route::Backup)).await?;
    let files: Files = small
        .files
        .into_iter()
        .map(|(path, bytes)| (path, bytes.0))
        .collect();
    let head = public_log::open(remote, small.checkpoint)?;
    let mut writer = Writer::begin(out, head.note.clone(), now(), &files)?;
    let named = entries(remote, &head, &mut writer).await?;
    let blobs = blobs(remote, named, &mut writer).await?;
    writer.finish()?.flush().map_err(BackupError::from)?;
    Ok(format!(
        "{} files, {} entries, {blobs} documents and certificates",
        files.len(),
        head.checkpoint.size
    ))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a command is the edge of the program, and this is where it reads the clock"
)]
fn now() -> UnixMs {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    UnixMs(since_epoch.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }))
}

/// The documents that entries name.
#[derive(Default)]
struct Named {
    blobs: BTreeSet<Digest>,
    /// Those that list the files of a site.
    sites: BTreeSet<Digest>,
}

/// Copies the entries, and compares the root that they give with the signed one.
async fn entries(
    remote: &mut Remote,
    head: &SignedHead,
    writer: &mut Writer<Box<dyn Write>>,
) -> Result<Named, CliError> {
    let size = head.checkpoint.size;
    let bar = Progress::start("entries", size);
    let mut named = Named::default();
    let mut edge = RightEdge::new();
    while let Some(id) = EntriesId::in_tree(edge.size() / u64::from(TILE_WIDTH), size) {
        let whole = public_log::bundle(remote, id).await?;
        let mut bundle = dockmaster_tlog::tile::EntryBundle::new();
        for line in whole.iter().take(usize::from(id.width())) {
            let index = edge.size();
            let entry: Entry = serde_json::from_slice(line).map_err(|error| {
                CliError::because(
                    format!("entry {index} cannot be read"),
                    &error,
                    "is the master of a newer version than this program?",
                )
            })?;
            named.blobs.extend(entry.event.blobs().copied());
            if let Event::SiteDeployed(site) = &entry.event {
                named.sites.insert(site.sha256);
            }
            edge.push(leaf_hash(line));
            // Never full before its end: at most 256 are taken.
            let _ = bundle.push(line);
        }
        writer.bundle(id.index(), &bundle.encode())?;
        bar.advance(u64::from(id.width()));
        if edge.size() == size {
            break;
        }
    }
    if (edge.size(), edge.root()) != (size, head.checkpoint.root) {
        return Err(CliError::failed(
            "the entries are not those that the log signed; there is no backup",
            "run \"dockmaster audit verify\", and keep a copy of the data directory as it is",
        ));
    }
    Ok(named)
}

/// Copies the documents; how many there are.
async fn blobs(
    remote: &mut Remote,
    named: Named,
    writer: &mut Writer<Box<dyn Write>>,
) -> Result<usize, CliError> {
    let Named { mut blobs, sites } = named;
    let mut came = BTreeSet::new();
    let bar = Progress::start("documents", blobs.len() as u64);
    while !blobs.is_empty() {
        let wanted: Vec<Digest> = blobs.iter().take(MAX_BLOBS).copied().collect();
        let call = Call::new(Route::BackupBlobs).json(&WantedBlobs {
            blobs: wanted.clone(),
        });
        let answer = remote.bytes(&call).await?;
        let found = WantedBlobs::unframe(&answer).filter(|found| !found.is_empty());
        let found = found.ok_or_else(|| {
            CliError::failed(
                "the master's answer cannot be read",
                "is it another version than this program?",
            )
        })?;
        for (digest, bytes) in wanted.iter().zip(found) {
            if Digest::of(bytes) != *digest {
                return Err(CliError::failed(
                    format!(
                        "what the master has as {digest} is something else; there is no backup"
                    ),
                    "run \"dockmaster audit verify\"",
                ));
            }
            if sites.contains(digest) {
                let site: SiteManifest = serde_json::from_slice(bytes).map_err(|error| {
                    CliError::because(format!("site {digest} cannot be read"), &error, "")
                })?;
                let files = site.files.values();
                blobs.extend(files.filter(|file| !came.contains(*file)).copied());
            }
            writer.blob(digest, bytes)?;
            blobs.remove(digest);
            came.insert(*digest);
            bar.advance(1);
        }
    }
    Ok(came.len())
}
