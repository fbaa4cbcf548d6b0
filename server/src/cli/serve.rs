//! `dockmaster serve`: the master.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use dockmaster::{
    app::{AppError, HostSource, Master, Options},
    config::ConfigError,
};
use dockmaster_proto::id::Name;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{
    error::CliError,
    log::{self, LogFormat},
};

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

/// Runs the master until it is told to stop.
pub(crate) fn run(args: ServeArgs) -> Result<(), CliError> {
    let ServeArgs {
        data,
        docker,
        inventory,
        host_name,
        log_format,
    } = args;
    log::start(log_format);
    let source = match (docker, inventory) {
        (Some(socket), _) => HostSource::Docker(socket),
        (None, Some(file)) => HostSource::File(file),
        (None, None) => HostSource::Nowhere,
    };
    let options = Options {
        data: data.clone(),
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
        let master = tokio::select! {
            started = Master::start(options) => started.map_err(|error| not_started(&error, &data))?,
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

fn not_started(error: &AppError, data: &Path) -> CliError {
    match error {
        AppError::Config(ConfigError::Read { path, source })
            if matches!(
                source.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            CliError::usage(
                format!(
                    "{} is not a data directory: there is no {}",
                    data.display(),
                    path.display()
                ),
                "\"dockmaster init --data DIR\" makes one",
            )
        }
        error => CliError::because("the master cannot start", error, ""),
    }
}

/// SIGTERM, as an init system or a container engine sends it, and Ctrl-C.
pub(super) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    pub(super) fn new() -> Result<Self, CliError> {
        let listen = |kind| {
            signal(kind)
                .map_err(|error| CliError::because("signals cannot be received", &error, ""))
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    pub(super) async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::error::Exit;

    async fn refused(data: &Path) -> CliError {
        let options = Options {
            data: data.to_owned(),
            ..Options::default()
        };
        not_started(&Master::start(options).await.unwrap_err(), data)
    }

    #[tokio::test]
    async fn to_serve_what_init_did_not_make_is_wrong_usage_and_says_how_to_make_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        for data in [dir.path(), &dir.path().join("absent"), &file] {
            let error = refused(data).await;
            assert_eq!(error.exit(), Exit::Usage, "{error}");
            assert!(
                error.to_string().contains("hint: \"dockmaster init "),
                "{error}"
            );
        }
    }

    #[tokio::test]
    async fn a_broken_configuration_is_a_failure_and_no_wrong_usage() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("dockmaster.yaml"), "nonsense: 1\n").unwrap();
        assert_eq!(refused(dir.path()).await.exit(), Exit::Failed);
    }
}
