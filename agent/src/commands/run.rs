//! `dockmaster-agent run`.

use rustix::process::Signal;

use super::code;
use crate::{
    apply::Processes,
    cli::exit,
    life::{Insist, Life},
    rundir::RunDir,
    say,
    settings::{self, Flags},
    signals::{Arrived, Signals},
    supervise::{
        Supervisor,
        reaper::{Exit, Reaper},
    },
};

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// End when the master cannot be used at the start, instead of waiting or using the last catalog
    #[arg(long, conflicts_with = "start_anyway")]
    pub require_master: bool,
    /// Start CMD even when its configuration could not be applied
    #[arg(long)]
    pub start_anyway: bool,
    /// The application and its arguments
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<String>,
}

impl Args {
    fn insist(&self) -> Insist {
        if self.require_master {
            Insist::OnMaster
        } else if self.start_anyway {
            Insist::OnApplication
        } else {
            Insist::Wait
        }
    }
}

/// Runs until the application ends or a signal ends the container.
pub async fn run(flags: &Flags, args: Args) -> u8 {
    // First of all: a PID 1 without handlers is deaf.
    let (signals, reaper) = match (Signals::install(), Reaper::start()) {
        (Ok(signals), Ok(reaper)) => (signals, reaper),
        (Err(error), _) | (_, Err(error)) => {
            say!("the kernel refuses signal handlers: {error}");
            return exit::FAILED;
        }
    };
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
    let supervisor = Supervisor::new(reaper.clone());
    let processes = Processes::Kept {
        supervisor: &supervisor,
        command: &args.command,
    };
    let mut life = Life::new(&settings, &run, &reaper, processes);
    let ending = tokio::select! {
        ending = watch_container(signals, &supervisor) => ending,
        Err(error) = life.lead(args.insist()) => {
            say!("{error}");
            Ending::Fatal(code(&error))
        }
    };
    if matches!(ending, Ending::Fatal(_)) {
        return conclude(ending, &supervisor).await;
    }
    // At once: the application must not wait for its signal until the master has answered.
    let ((), code) = tokio::join!(life.farewell(), conclude(ending, &supervisor));
    code
}

enum Ending {
    /// The application ended.
    App(Exit),
    /// The container was told to end.
    Told(Signal),
    /// Going on makes no sense.
    Fatal(u8),
}

async fn watch_container(mut signals: Signals, supervisor: &Supervisor) -> Ending {
    loop {
        tokio::select! {
            exit = supervisor.app_ended() => return Ending::App(exit),
            signal = signals.next() => match signal {
                Arrived::Stop(signal) => return Ending::Told(signal),
                Arrived::Forward(signal) => supervisor.forward(signal),
            },
        }
    }
}

async fn conclude(ending: Ending, supervisor: &Supervisor) -> u8 {
    match ending {
        Ending::App(exit) => {
            supervisor.shutdown(Signal::TERM).await;
            exit.code()
        }
        Ending::Told(signal) => {
            let idle = supervisor.titles().is_empty();
            match supervisor.shutdown(signal).await {
                Some(exit) => exit.code(),
                // Processes without an application were told to end, and did.
                None if !idle => exit::DONE,
                None => Exit::Signal(signal.as_raw()).code(),
            }
        }
        Ending::Fatal(code) => {
            supervisor.shutdown(Signal::TERM).await;
            code
        }
    }
}
