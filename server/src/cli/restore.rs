//! `dockmaster restore`: a data directory from a backup.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::PathBuf,
};

use clap::Args;
use dockmaster::restore::{self, Log, Restoration};

use super::{
    error::{CliError, chain},
    output::OutputArgs,
    remote::block_on,
    table,
};

/// Make a data directory from a backup
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster restore dockmaster-2026-11-24.tar --data /var/lib/dockmaster
  age -d dockmaster.tar.age | dockmaster restore - --data ./data

Every entry is compared with the signed head, every document with its digest. The restored log goes on where
the backup ends. If containers have seen more of it than that, the master will refuse to go on as soon as one
of them says so: two logs under one key would prove nothing any more. Then restore with --new-log: the same
entries under a new log key, with a new trust pin for every container.")]
pub(crate) struct RestoreArgs {
    /// The backup; - for the standard input
    file: PathBuf,
    /// The directory to make; refused when it exists
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Begin a new log with the same entries
    #[arg(long)]
    new_log: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Restores.
pub(crate) fn run(args: RestoreArgs) -> Result<(), CliError> {
    let RestoreArgs {
        file,
        data,
        new_log,
        output,
    } = args;
    let from: Box<dyn Read> = if file.as_os_str() == "-" {
        Box::new(BufReader::new(io::stdin()))
    } else {
        let opened = File::open(&file).map_err(|error| {
            CliError::because(format!("{} cannot be read", file.display()), &error, "")
        })?;
        Box::new(BufReader::new(opened))
    };
    let log = if new_log { Log::Anew } else { Log::Continue };
    block_on(async {
        let restored = restore::restore(from, &data, log).await;
        let restoration = restored.map_err(|error| {
            CliError::failed(
                format!("nothing was restored: {}", chain(&error)),
                "is it a whole file that \"dockmaster backup\" wrote?",
            )
        })?;
        output.print(&restoration, render)
    })
}

fn render(restoration: &Restoration) -> String {
    let Restoration {
        data,
        log_size,
        backup_at_ms,
        trust_pin,
        log_verifier_key,
    } = restoration;
    table::fields([
        ("data directory", data.display().to_string()),
        ("entries", log_size.to_string()),
        ("backup of", backup_at_ms.to_string()),
        ("trust pin", trust_pin.to_string()),
        ("log verifier key", log_verifier_key.clone()),
    ])
}
