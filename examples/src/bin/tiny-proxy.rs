//! A small HTTP proxy: sends each connection to the next of its backends. Reads its configuration
//! again at SIGHUP, with which connections in progress go on; ends at SIGTERM when they are done.
//!
//! `tiny-proxy --config FILE`; see [`Config`] for the file.

#![forbid(unsafe_code)]

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use dockmaster_examples::{
    backends::{Backends, Config, ConfigError},
    options::Options,
    program::{self, Program, StartError},
    relay::relay,
    say,
    server::Server,
};

/// The most connections at a time; each takes two threads.
const MAX_CONNECTIONS: usize = 256;
/// How long connections may go on after the end was asked for.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot read the configuration {0}")]
    Read(PathBuf, #[source] io::Error),
    #[error("the configuration {0} is wrong")]
    Config(PathBuf, #[source] ConfigError),
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
}

fn main() -> ExitCode {
    program::main::<Proxy>()
}

struct Proxy {
    path: PathBuf,
    /// Where the configuration in force has it listen; with port 0 the server's own port is another.
    listen: SocketAddr,
    backends: Arc<Backends>,
    server: Server,
}

impl Program for Proxy {
    const OPTIONS: &[&str] = &["--config"];
    type Error = Error;

    fn start(options: &Options) -> Result<Self, StartError<Error>> {
        let path: PathBuf = options.get("--config")?;
        let config = read(&path).map_err(StartError::Program)?;
        let backends = Arc::new(Backends::default());
        let count = config.backends.len();
        backends.set(config.backends);
        let server = listen(config.listen, &backends).map_err(StartError::Program)?;
        let address = server.address();
        say(format_args!("started on {address} with {count} backends"));
        Ok(Self {
            path,
            listen: config.listen,
            backends,
            server,
        })
    }

    fn reload(&mut self) -> Result<(), Error> {
        let config = read(&self.path)?;
        if config.listen != self.listen {
            let moved = listen(config.listen, &self.backends)?;
            let old = std::mem::replace(&mut self.server, moved);
            std::thread::spawn(move || old.stop(PATIENCE));
            self.listen = config.listen;
        }
        let count = config.backends.len();
        self.backends.set(config.backends);
        say(format_args!("reloaded with {count} backends"));
        Ok(())
    }

    fn stop(self) {
        self.server.stop(PATIENCE);
    }
}

fn read(path: &Path) -> Result<Config, Error> {
    let text =
        std::fs::read_to_string(path).map_err(|error| Error::Read(path.to_owned(), error))?;
    Config::read(&text).map_err(|error| Error::Config(path.to_owned(), error))
}

fn listen(address: SocketAddr, backends: &Arc<Backends>) -> Result<Server, Error> {
    let backends = Arc::clone(backends);
    Server::start(address, MAX_CONNECTIONS, move |client| {
        relay(client, &backends);
    })
    .map_err(|error| Error::Listen(address, error))
}
