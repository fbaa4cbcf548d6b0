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

use super::print;
use crate::{
    apply::{
        self, Applied, Context, Mode, Processes,
        blob::{BlobFolder, BlobSource, NoBlobs},
    },
    cli::{exit, file_or_stdin},
    link::{LinkError, Received},
    say,
    settings::{self, Flags},
    supervise::reaper::Reaper,
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
    let reaper = match Reaper::start() {
        Ok(reaper) => reaper,
        Err(error) => {
            say!("the kernel refuses signal handlers: {error}");
            return exit::FAILED;
        }
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
    };
    match apply::apply(&catalog, &mut context).await {
        Ok(applied) => {
            if args.noop {
                print(&preview(&applied));
            }
            say!("{}", applied.summary());
            match applied.status() {
                ApplyStatus::Failed => exit::FAILED,
                ApplyStatus::Changed | ApplyStatus::Unchanged => exit::DONE,
            }
        }
        Err(error) => {
            say!("{}: {error}", args.file.display());
            exit::FAILED
        }
    }
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
