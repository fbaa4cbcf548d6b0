//! How the commands that do something begin.

use crate::{
    exit,
    rundir::RunDir,
    say,
    settings::{self, Flags, Settings},
    supervise::reaper::Reaper,
};

/// What a command with a master works with.
#[derive(Debug)]
pub(super) struct Outset {
    /// Its settings.
    pub settings: Settings,
    /// Where it keeps what it gets.
    pub run: RunDir,
    /// What collects its children.
    pub reaper: Reaper,
}

/// Collects children, reads the settings, makes the run dir.
///
/// # Errors
/// The exit code, when one of them cannot be done; why was said.
pub(super) fn outset(flags: &Flags) -> Result<Outset, u8> {
    let reaper = reaper()?;
    let settings = settings::all(flags).map_err(|error| {
        say!("{error}");
        exit::USAGE
    })?;
    let run = RunDir::create(&settings.local.run_dir).map_err(|error| {
        say!("{error}");
        exit::FAILED
    })?;
    Ok(Outset {
        settings,
        run,
        reaper,
    })
}

/// Collects children.
///
/// # Errors
/// The exit code, when it cannot be done; why was said.
pub(super) fn reaper() -> Result<Reaper, u8> {
    Reaper::start().map_err(|error| deaf(&error))
}

/// Says that signals cannot be received, and gives the exit code for it.
pub(super) fn deaf(error: &std::io::Error) -> u8 {
    say!("the kernel refuses signal handlers: {error}");
    exit::FAILED
}
