//! A small HTTP proxy: sends each connection to the next of its backends. Reads its configuration
//! again at SIGHUP, with which connections in progress go on; ends at SIGTERM when they are done.
//!
//! `tiny-proxy --config FILE`; see [`Config`] for the file.

#![forbid(unsafe_code)]

use std::{io, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use dockmaster_examples::{
    backends::{Backends, Config, ConfigError},
    fail,
    options::{Options, OptionsError},
    relay::relay,
    say,
    server::Server,
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

/// The most connections at a time; each takes two threads.
const MAX_CONNECTIONS: usize = 256;
/// How long connections may go on after the end was asked for.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Options(#[from] OptionsError),
    #[error("cannot read the configuration {0}")]
    Read(PathBuf, #[source] io::Error),
    #[error("the configuration {0} is wrong")]
    Config(PathBuf, #[source] ConfigError),
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
    #[error("cannot receive signals")]
    Signals(#[source] io::Error),
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn run() -> Result<(), Error> {
    // First of all: a SIGHUP that comes early must not end the program.
    let mut signals = Signals::new([SIGHUP, SIGTERM, SIGINT]).map_err(Error::Signals)?;
    let options = Options::read(std::env::args().skip(1), &["--config"])?;
    let path: PathBuf = options.get("--config")?;
    let read = || {
        let text =
            std::fs::read_to_string(&path).map_err(|error| Error::Read(path.clone(), error))?;
        Config::read(&text).map_err(|error| Error::Config(path.clone(), error))
    };

    let mut config = read()?;
    let backends = Arc::new(Backends::default());
    backends.set(config.backends.clone());
    let start = |listen| {
        let backends = Arc::clone(&backends);
        Server::start(listen, MAX_CONNECTIONS, move |client| {
            relay(client, &backends);
        })
        .map_err(|error| Error::Listen(listen, error))
    };
    let mut server = start(config.listen)?;
    say(format_args!(
        "started on {} with {} backends",
        server.address(),
        config.backends.len()
    ));

    for signal in signals.forever() {
        if signal != SIGHUP {
            break;
        }
        // All of the new configuration, or nothing of it.
        let new = read().and_then(|new| {
            let moved = (new.listen != config.listen).then(|| start(new.listen));
            Ok((new, moved.transpose()?))
        });
        match new {
            Ok((new, moved)) => {
                backends.set(new.backends.clone());
                if let Some(moved) = moved {
                    let old = std::mem::replace(&mut server, moved);
                    std::thread::spawn(move || old.stop(PATIENCE));
                }
                config = new;
                say(format_args!(
                    "reloaded with {} backends",
                    config.backends.len()
                ));
            }
            Err(error) => {
                let _ = fail(&error);
                say(format_args!("kept the last configuration"));
            }
        }
    }
    server.stop(PATIENCE);
    say(format_args!("ended"));
    Ok(())
}
