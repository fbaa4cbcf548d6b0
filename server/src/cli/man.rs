//! `dockmaster man`: manual pages.

use std::{fs, io, path::PathBuf};

use clap::{Args, CommandFactory as _};

use super::{Cli, error::CliError, output};

/// Write the manual pages into a directory
#[derive(Debug, Args)]
#[command(after_help = "Example:
  dockmaster man /usr/local/share/man/man1")]
pub(crate) struct ManArgs {
    /// The directory; made when it does not exist
    dir: PathBuf,
}

/// Writes a page for each command.
pub(crate) fn run(args: &ManArgs) -> Result<(), CliError> {
    write(args).map_err(|error| {
        let what = format!("cannot write manual pages to {}", args.dir.display());
        CliError::because(what, &error, "")
    })?;
    output::note(&format!("manual pages written to {}", args.dir.display()));
    Ok(())
}

fn write(args: &ManArgs) -> io::Result<()> {
    fs::create_dir_all(&args.dir)?;
    clap_mangen::generate_to(Cli::command(), &args.dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        let dir = tempfile::tempdir().unwrap();
        let args = ManArgs {
            dir: dir.path().join("man1"),
        };
        write(&args).unwrap();
        for page in [
            "dockmaster.1",
            "dockmaster-node-label.1",
            "dockmaster-audit-verify.1",
        ] {
            let text = fs::read_to_string(args.dir.join(page)).unwrap();
            assert!(text.contains("Example"), "{page}");
        }
    }
}
