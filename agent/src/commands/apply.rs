//! `dockmaster-agent apply`.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use dockmaster_proto::{
    catalog::MAX_CATALOG_BYTES,
    report::{ApplyStatus, Outcome},
};

use super::{outset, print, told::unless_told};
use crate::{
    apply::{
        self, Applied, Context, Foreseen, Mode, Processes, Record,
        blob::{BlobFolder, BlobSource, NoBlobs},
    },
    exit,
    link::{LinkError, Received},
    say,
    settings::{self, Flags},
    signals::Signals,
    supervise::reaper::Exit,
};

/// Arguments of `apply`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The catalog that "dockmaster compile" wrote; - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Change nothing; show what would be changed
    #[arg(long)]
    pub noop: bool,
}

/// Applies a catalog without a master.
pub async fn apply(flags: &Flags, args: &Args) -> u8 {
    let mut signals = match Signals::install() {
        Ok(signals) => signals,
        Err(error) => return outset::deaf(&error),
    };
    let local = match settings::local(flags) {
        Ok(local) => local,
        Err(error) => {
            say!("{error}");
            return exit::USAGE;
        }
    };
    let catalog = match read(file_or_stdin(&args.file)) {
        Ok(received) => received.catalog,
        Err(error) => {
            say!("{}: {error}", args.file.display());
            return exit::FAILED;
        }
    };
    let reaper = match outset::reaper() {
        Ok(reaper) => reaper,
        Err(code) => return code,
    };
    let mut folder = BlobFolder::beside(&args.file);
    let mut none = NoBlobs("a catalog from standard input has no FILE.blobs beside it".to_owned());
    let blobs: &mut dyn BlobSource = match file_or_stdin(&args.file) {
        Some(_) => &mut folder,
        None => &mut none,
    };
    let mut context = Context {
        root: &local.root,
        reaper: &reaper,
        blobs,
        processes: Processes::Left,
        mode: if args.noop { Mode::Noop } else { Mode::Apply },
        scratch: None,
        previous: None,
        foreseen: Foreseen::default(),
    };
    let mut record = Record::default();
    let work = apply::apply(&catalog, &mut context, &mut record);
    match unless_told(&mut signals, work).await {
        Err(signal) => {
            let exit = Exit::Signal(signal.as_raw());
            let why = format!("the agent was told to end by {exit}");
            say!("{why}; {}", record.cut_short(&catalog, &why).summary());
            exit.code()
        }
        Ok(Ok(())) => {
            let applied = record.complete();
            if args.noop {
                print(&preview(&applied));
            }
            say!("{}", applied.summary());
            match applied.status() {
                ApplyStatus::Failed => exit::FAILED,
                ApplyStatus::Changed | ApplyStatus::Unchanged => exit::DONE,
            }
        }
        Ok(Err(error)) => {
            say!("{}: {error}", args.file.display());
            exit::FAILED
        }
    }
}

/// A file argument, where `-` is standard input.
fn file_or_stdin(path: &PathBuf) -> Option<&PathBuf> {
    (path.as_os_str() != "-").then_some(path)
}

fn read(file: Option<&PathBuf>) -> Result<Received, String> {
    let limit = MAX_CATALOG_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    let read = match file.map(|file| fs::File::open::<&Path>(file)) {
        Some(Ok(file)) => file.take(limit).read_to_end(&mut bytes),
        Some(Err(error)) => Err(error),
        None => io::stdin().lock().take(limit).read_to_end(&mut bytes),
    };
    read.map_err(|error| error.to_string())?;
    if bytes.len() > MAX_CATALOG_BYTES {
        return Err(format!(
            "the catalog is larger than {MAX_CATALOG_BYTES} bytes"
        ));
    }
    Received::parse(&bytes, None).map_err(|error| match error {
        LinkError::Catalog(why) => format!("this is no catalog: {why}"),
        other => other.to_string(),
    })
}

fn preview(applied: &Applied) -> String {
    let mut text = String::new();
    for report in &applied.resources {
        if let Outcome::WouldChange { what, diff } = &report.outcome {
            text.push_str(&format!("{}: {what}\n", report.resource));
            for line in diff.lines() {
                text.push_str(&format!("    {line}\n"));
            }
        }
    }
    text
}
