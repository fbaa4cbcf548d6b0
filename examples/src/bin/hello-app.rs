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
    http::{self, Kind},
    options::Options,
    program::{self, Program, StartError},
    say,
    server::Server,
};

/// The largest configuration, in bytes.
const MAX_CONFIG: u64 = 1 << 20;
/// The most requests at a time.
const MAX_REQUESTS: usize = 64;
/// How long a client may take to send or to take something.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot read the configuration {0}")]
    Config(PathBuf, #[source] io::Error),
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] io::Error),
}

fn main() -> ExitCode {
    program::main::<App>()
}

struct App {
    path: PathBuf,
    config: Arc<RwLock<Arc<[u8]>>>,
    server: Server,
}

impl Program for App {
    const OPTIONS: &[&str] = &["--config", "--listen"];
    type Error = Error;

    fn start(options: &Options) -> Result<Self, StartError<Error>> {
        let path: PathBuf = options.get("--config")?;
        let listen: SocketAddr = options.get("--listen")?;
        let config = Arc::new(RwLock::new(read(&path).map_err(StartError::Program)?));
        let served = Arc::clone(&config);
        let server = Server::start(listen, MAX_REQUESTS, move |stream| {
            let body = Arc::clone(&served.read().unwrap_or_else(PoisonError::into_inner));
            // A client that goes away needs no answer.
            let _ = serve(stream, &body);
        })
        .map_err(|error| StartError::Program(Error::Listen(listen, error)))?;
        say(format_args!("started on {}", server.address()));
        Ok(Self {
            path,
            config,
            server,
        })
    }

    fn reload(&mut self) -> Result<(), Error> {
        let new = read(&self.path)?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = new;
        say(format_args!("reloaded {}", self.path.display()));
        Ok(())
    }

    fn stop(self) {
        self.server.stop(PATIENCE);
    }
}

fn read(path: &Path) -> Result<Arc<[u8]>, Error> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_CONFIG).read_to_end(&mut bytes))
        .map_err(|error| Error::Config(path.to_owned(), error))?;
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
