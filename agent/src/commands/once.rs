//! `dockmaster-agent once`.

use dockmaster_proto::report::ApplyStatus;

use super::code;
use crate::{
    apply::Processes,
    cli::exit,
    life::Life,
    rundir::RunDir,
    say,
    settings::{self, Flags},
    supervise::reaper::Reaper,
};

/// Enrolls, applies, reports.
pub async fn once(flags: &Flags) -> u8 {
    let settings = match settings::all(flags) {
        Ok(settings) => settings,
        Err(error) => {
            say!("{error}");
            return exit::USAGE;
        }
    };
    let run = match RunDir::create(&settings.local.run_dir) {
        Ok(run) => run,
        Err(error) => {
            say!("{error}");
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
    let mut life = Life::new(&settings, &run, &reaper, Processes::Left);
    match life.once().await {
        Ok(ApplyStatus::Failed) => exit::FAILED,
        Ok(_) => exit::DONE,
        Err(error) => {
            say!("{error}");
            code(&error)
        }
    }
}
