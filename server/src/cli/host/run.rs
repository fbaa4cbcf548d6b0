//! `dockmaster host run`: the watcher and relay of a further host.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use dockmaster::outpost::{Outpost, OutpostError, Place, Source};

use crate::cli::{
    Global,
    error::CliError,
    log::{self, LogFormat},
    output,
    serve::StopSignals,
};

/// Watch this machine's containers for a master elsewhere, and relay their connections to it
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster --context h2.yaml host run --docker
  dockmaster --context h2.yaml host run --docker=/run/podman/podman.sock --listen 10.88.0.1:8140
  dockmaster --context h2.yaml host run --inventory containers.json --listen 172.30.0.1:8140

The context is the file that \"dockmaster host enroll\" wrote; it is written anew when the host's
certificate is renewed: at half of its life, and at once when the program gets SIGHUP. Containers find the relay where they look for a master by default: at their
default gateway, port 8140.")]
pub(crate) struct RunArgs {
    /// Watch the container engine of this machine
    #[arg(
        long,
        value_name = "SOCKET",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "/var/run/docker.sock",
        conflicts_with = "inventory"
    )]
    docker: Option<PathBuf>,
    /// Take the containers from a file instead of an engine; read again when it changes
    #[arg(long, value_name = "FILE", requires = "listen")]
    inventory: Option<PathBuf>,
    /// Where to take containers' connections; port 8140 of the engine's bridges if not given
    #[arg(long, value_name = "IP:PORT")]
    listen: Vec<SocketAddr>,
    /// How to write the log on standard error
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
}

/// Runs until it is told to stop, or the master wants nothing more of this host.
pub(crate) fn run(global: &Global, args: RunArgs) -> Result<(), CliError> {
    let RunArgs {
        docker,
        inventory,
        listen,
        log_format,
    } = args;
    log::start(log_format);
    let Some(context) = global.context.clone() else {
        return Err(CliError::usage(
            "no context says which master this host reports to",
            "give --context FILE; \"dockmaster host enroll\" wrote it",
        ));
    };
    let source = match (docker, inventory) {
        (Some(socket), _) => Source::Docker(socket),
        (None, Some(file)) => Source::File(file),
        (None, None) => {
            return Err(CliError::usage(
                "nothing says where this host's containers are",
                "give --docker or --inventory FILE",
            ));
        }
    };
    let place = match &listen[..] {
        [] => Place::Bridges,
        _ => Place::At(listen),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime
        .map_err(|error| CliError::because("the host's watcher cannot start", &error, ""))?;
    runtime.block_on(async {
        let mut stop = StopSignals::new()?;
        let outpost = Outpost::open(&context, source, place)
            .await
            .map_err(|error| failure("the host's watcher does not start", &error))?;
        for address in outpost.listening() {
            output::note(&format!("relaying on {address}"));
        }
        tokio::select! {
            error = outpost.run() => Err(failure("the host's watcher ended", &error)),
            () = stop.wait() => Ok(()),
        }
    })
}

fn failure(what: &str, error: &OutpostError) -> CliError {
    let because = |hint| CliError::because(what, error, hint);
    match error {
        OutpostError::Refused(problem) => {
            CliError::refused(problem.detail.clone(), problem.hint.clone())
        }
        OutpostError::NotAHost { .. } => CliError::usage(
            error.to_string(),
            "\"dockmaster host enroll\" writes a host's context file",
        ),
        // The error's text has its cause in it.
        OutpostError::Context(error) => CliError::failed(
            format!("{what}: {error}"),
            "give the file that \"dockmaster host enroll\" wrote with --context",
        ),
        OutpostError::Engine(_) => because(
            "name the engine's socket with --docker=SOCKET (Podman's is /run/podman/podman.sock), or list the containers in a file and give it with --inventory FILE",
        ),
        OutpostError::Listen { .. } | OutpostError::NoBridges => {
            because("say where to take containers' connections with --listen IP:PORT")
        }
        OutpostError::TooFewFiles { .. } => because(
            "raise it where the program is started: LimitNOFILE= of a service, --ulimit nofile= of a container",
        ),
        OutpostError::Client(_) | OutpostError::Signals(_) => because(""),
    }
}
