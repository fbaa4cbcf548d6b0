//! `dockmaster-agent run`.

use rustix::process::Signal;

use super::{
    code,
    outset::{Outset, deaf, outset},
};
use crate::{
    apply::Processes,
    exit,
    life::{Insist, Life},
    say,
    settings::Flags,
    signals::{Arrived, Signals},
    supervise::{Supervisor, reaper::Exit, signal},
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
    let mut signals = match Signals::install() {
        Ok(signals) => signals,
        Err(error) => return deaf(&error),
    };
    let Outset {
        settings,
        run,
        reaper,
    } = match outset(flags) {
        Ok(outset) => outset,
        Err(code) => return code,
    };
    let supervisor = Supervisor::new(reaper.clone());
    let processes = Processes::Kept {
        supervisor: &supervisor,
        command: &args.command,
    };
    let mut life = Life::new(&settings, &run, &reaper, processes);
    let ending = tokio::select! {
        // An application that ends as soon as it starts was started: that is noted before its end is.
        biased;
        Err(error) = life.lead(args.insist()) => {
            say!("{error}");
            Ending::Fatal(code(&error))
        }
        ending = watch_container(&mut signals, &supervisor) => ending,
    };
    let wanted = life.wants_application();
    let farewell = async {
        match &ending {
            Ending::App(exit) => {
                let why = format!("the application ended with {exit}");
                life.farewell(&why).await;
            }
            Ending::Told(signal) => {
                let name = signal::name(signal.as_raw());
                life.farewell(&format!("the container was told to end by {name}"))
                    .await;
            }
            Ending::Fatal(_) => {}
        }
    };
    // At once: the application must not wait for its signal until the master has answered.
    let (stopped, ()) = tokio::join!(stop(&ending, &supervisor, &mut signals), farewell);
    match (ending, stopped) {
        (Ending::Fatal(code), _) => code,
        (Ending::App(exit), _) | (Ending::Told(_), Some(exit)) => exit.code(),
        // It never came to what it was for.
        (Ending::Told(signal), None) if wanted => Exit::Signal(signal.as_raw()).code(),
        (Ending::Told(_), None) => exit::DONE,
    }
}

enum Ending {
    /// The application ended.
    App(Exit),
    /// The container was told to end.
    Told(Signal),
    /// Going on makes no sense.
    Fatal(u8),
}

async fn watch_container(signals: &mut Signals, supervisor: &Supervisor) -> Ending {
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

/// Stops all processes; gives the application's exit, where it ran. Further signals still reach the
/// application: to many programs a second INT or TERM says not to be so thorough.
async fn stop(ending: &Ending, supervisor: &Supervisor, signals: &mut Signals) -> Option<Exit> {
    let signal = match ending {
        Ending::Told(signal) => *signal,
        Ending::App(_) | Ending::Fatal(_) => Signal::TERM,
    };
    let stopping = supervisor.shutdown(signal);
    tokio::pin!(stopping);
    loop {
        tokio::select! {
            exit = &mut stopping => return exit,
            arrived = signals.next() => match arrived {
                Arrived::Stop(signal) | Arrived::Forward(signal) => supervisor.forward(signal),
            },
        }
    }
}
