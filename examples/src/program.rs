//! The frame of a program: options, signals, and how it ends. SIGHUP has it read its configuration
//! again, SIGTERM and SIGINT end it.

use std::{error::Error, io, process::ExitCode};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::{
    fail,
    options::{Options, OptionsError},
    say,
};

/// A program that runs.
pub trait Program: Sized {
    /// The options that it needs.
    const OPTIONS: &[&str];
    /// Why it cannot start, or cannot take up a configuration.
    type Error: Error;

    /// Starts, and says so.
    ///
    /// # Errors
    /// When it cannot.
    fn start(options: &Options) -> Result<Self, StartError<Self::Error>>;

    /// Takes up its configuration again, all of it or nothing, and says so.
    ///
    /// # Errors
    /// When it cannot; it goes on with what it had.
    fn reload(&mut self) -> Result<(), Self::Error>;

    /// Ends what it has begun.
    fn stop(self);
}

/// Why a program does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError<E: Error> {
    /// Its options cannot be used.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// It would not hear when it is to end.
    #[error("cannot receive signals")]
    Signals(#[source] io::Error),
    /// It has a reason of its own.
    #[error(transparent)]
    Program(E),
}

/// Runs a program from its start to its end.
#[must_use]
pub fn main<P: Program>() -> ExitCode {
    match run::<P>() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn run<P: Program>() -> Result<(), StartError<P::Error>> {
    // First of all: a SIGHUP that comes early must not end the program.
    let mut signals = Signals::new([SIGHUP, SIGTERM, SIGINT]).map_err(StartError::Signals)?;
    let options = Options::read(std::env::args().skip(1), P::OPTIONS)?;
    let mut program = P::start(&options)?;
    for signal in signals.forever() {
        if signal != SIGHUP {
            break;
        }
        if let Err(error) = program.reload() {
            let _ = fail(&error);
            say(format_args!("kept the last configuration"));
        }
    }
    program.stop();
    say(format_args!("ended"));
    Ok(())
}
