//! A small application: serves the text of its configuration file over HTTP. Reads it again at
//! SIGHUP; ends at SIGTERM when all requests are answered.
//!
//! `hello-app --config FILE --listen IP:PORT`

#![forbid(unsafe_code)]

use std::{
    fs::File,
    io::{self, Read as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use dockmaster_examples::{
    fail,
    http::{self, Kind},
    options::{Options, OptionsError},
    say,
    server::Server,
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

/// The largest configuration, in bytes.
const MAX_CONFIG: u64 = 1 << 20;
/// The most requests at a time.
const MAX_REQUESTS: usize = 64;
/// How long a client may take to send or to take something.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Options(#[from] OptionsError),
    #[error("cannot read the configuration {0}")]
    Config(PathBuf, #[source] io::Error),
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
    let options = Options::read(std::env::args().skip(1), &["--config", "--listen"])?;
    let path: PathBuf = options.get("--config")?;
    let listen: SocketAddr = options.get("--listen")?;

    let config = read(&path).map_err(|error| Error::Config(path.clone(), error))?;
    let config = Arc::new(RwLock::new(config));
    let served = Arc::clone(&config);
    let server = Server::start(listen, MAX_REQUESTS, move |stream| {
        let body = Arc::clone(&served.read().unwrap_or_else(PoisonError::into_inner));
        // A client that goes away needs no answer.
        let _ = serve(stream, &body);
    })
    .map_err(|error| Error::Listen(listen, error))?;
    say(format_args!("started on {}", server.address()));

    for signal in signals.forever() {
        if signal != SIGHUP {
            break;
        }
        match read(&path) {
            Ok(new) => {
                *config.write().unwrap_or_else(PoisonError::into_inner) = new;
                say(format_args!("reloaded {}", path.display()));
            }
            Err(error) => say(format_args!("kept the last configuration: {error}")),
        }
    }
    server.stop(PATIENCE);
    say(format_args!("ended"));
    Ok(())
}

fn read(path: &Path) -> io::Result<Arc<[u8]>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_CONFIG).read_to_end(&mut bytes)?;
    Ok(bytes.into())
}

fn serve(mut stream: TcpStream, body: &[u8]) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = http::read_request(&mut stream)?;
    match request.kind {
        Kind::Get | Kind::Head => http::answer(&mut stream, "200 OK", body, request.kind),
        Kind::Other => http::answer(&mut stream, "405 Method Not Allowed", b"", request.kind),
        Kind::Unknown if request.bytes.is_empty() => Ok(()),
        Kind::Unknown => http::answer(&mut stream, "400 Bad Request", b"", request.kind),
    }
}
