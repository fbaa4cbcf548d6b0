//! `dockmaster serve`: the master.

use std::{
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

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
        .with_writer(|| OneLine(io::stderr()))
        .with_ansi(false)
        .with_target(false);
    match format {
        LogFormat::Text => builder.init(),
        LogFormat::Json => builder.json().init(),
    }
}

/// Writes each event as the one line that it is: a path, a name or a report may hold line ends and
/// commands for a terminal, and whoever chose them must not write other people's lines.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    /// Gets one event at a time, with its line end.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        self.0.write_all((one_line(line) + "\n").as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for char in text.chars() {
        if is_odd(char) {
            line.extend(char.escape_unicode());
        } else {
            line.push(char);
        }
    }
    line
}

/// Controls, and what turns the direction of text or hides in it.
fn is_odd(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_writes_a_line_of_the_log_but_the_master() {
        let mut out = Vec::new();
        let event = "INFO refused path=/x\nINFO certificate revoked\u{1b}[31m\r\u{202e}ü\n";
        OneLine(&mut out).write_all(event.as_bytes()).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "INFO refused path=/x\\u{a}INFO certificate revoked\\u{1b}[31m\\u{d}\\u{202e}ü\n"
        );
    }
}
