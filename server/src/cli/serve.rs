//! `dockmaster serve`: the master.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use dockmaster::app::{HostSource, Master, Options};
use dockmaster_proto::id::Name;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::error::CliError;

/// How long work that nobody waits for any more may go on at the end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Run the master
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster serve --data /var/lib/dockmaster --docker
  dockmaster serve --data ./data --docker=/run/podman/podman.sock --host-name h1
  dockmaster serve --data ./data --inventory containers.json --log-format json

Prints \"ready https://IP:PORT\" on standard error when it is.")]
pub(crate) struct ServeArgs {
    /// The data directory that "dockmaster init" made
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Watch the container engine of this machine
    #[arg(
        long,
        value_name = "SOCKET",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "/var/run/docker.sock",
        conflicts_with = "inventory"
    )]
    pub(crate) docker: Option<PathBuf>,
    /// Take the containers from a file instead of an engine; read again when it changes
    #[arg(long, value_name = "FILE")]
    pub(crate) inventory: Option<PathBuf>,
    /// The name of this machine in certificates and networks; its hostname where none is given
    #[arg(long, value_name = "NAME")]
    pub(crate) host_name: Option<Name>,
    /// How to write the log on standard error
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// A line for people
    Text,
    /// A JSON object a line
    Json,
}

/// Runs the master until it is told to stop.
pub(crate) fn run(args: ServeArgs) -> Result<(), CliError> {
    let ServeArgs {
        data,
        docker,
        inventory,
        host_name,
        log_format,
    } = args;
    start_log(log_format);
    let source = match (docker, inventory) {
        (Some(socket), _) => HostSource::Docker(socket),
        (None, Some(file)) => HostSource::File(file),
        (None, None) => HostSource::Nowhere,
    };
    let options = Options {
        data,
        source,
        host: host_name,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime =
        runtime.map_err(|error| CliError::because("the master cannot start", &error, ""))?;
    let ended = runtime.block_on(async {
        let mut stop = StopSignals::new()?;
        let failed = |error| CliError::because("the master cannot start", &error, "");
        let master = tokio::select! {
            started = Master::start(options) => started.map_err(failed)?,
            () = stop.wait() => return Ok(()),
        };
        super::output::note(&format!("ready https://{}", master.address()));
        stop.wait().await;
        tracing::info!("stopping");
        master.stop().await;
        Ok(())
    });
    // All that has to be durable is. A template that still computes must not hold up the end.
    runtime.shutdown_timeout(LAST_WORDS);
    ended
}

fn start_log(format: LogFormat) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("DOCKMASTER_LOG")
        .unwrap_or_else(|_| "info".into());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
}

/// SIGTERM, as an init system or a container engine sends it, and Ctrl-C.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn new() -> Result<Self, CliError> {
        let listen = |kind| {
            signal(kind)
                .map_err(|error| CliError::because("signals cannot be received", &error, ""))
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
