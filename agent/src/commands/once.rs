//! `dockmaster-agent once`.

use dockmaster_proto::report::ApplyStatus;

use super::{
    code,
    outset::{deaf, outset},
    told::unless_told,
};
use crate::{
    apply::Processes, exit, life::Life, say, settings::Flags, signals::Signals,
    supervise::reaper::Exit,
};

/// Enrolls, applies, reports.
pub async fn once(flags: &Flags) -> u8 {
    let mut signals = match Signals::install() {
        Ok(signals) => signals,
        Err(error) => return deaf(&error),
    };
    let outset = match outset(flags) {
        Ok(outset) => outset,
        Err(code) => return code,
    };
    let mut life = Life::new(
        &outset.settings,
        &outset.run,
        &outset.reaper,
        Processes::Left,
    );
    match unless_told(&mut signals, life.once()).await {
        Ok(Ok(ApplyStatus::Failed)) => exit::FAILED,
        Ok(Ok(_)) => exit::DONE,
        Ok(Err(error)) => {
            say!("{error}");
            code(&error)
        }
        Err(signal) => {
            let exit = Exit::Signal(signal.as_raw());
            life.farewell(&format!("the agent was told to end by {exit}"))
                .await;
            exit.code()
        }
    }
}
