//! The command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::task::LocalSet;

use crate::{commands, exit, say, settings::Flags};

/// The entrypoint of a container: its identity, its configuration, its processes.
#[derive(Debug, Parser)]
#[command(
    name = "dockmaster-agent",
    version,
    after_help = "Example (Dockerfile):\n  COPY dockmaster-agent /\n  ENTRYPOINT [\"/dockmaster-agent\", \"run\", \"--\"]\n  CMD [\"/usr/sbin/nginx\", \"-g\", \"daemon off;\"]"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Settings.
    #[command(flatten)]
    pub flags: Flags,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Enroll, apply, start and supervise CMD, stay current
    #[command(
        after_help = "Example:\n  docker run -e DOCKMASTER_TRUST=sha256:... IMAGE /dockmaster-agent run -- /usr/sbin/nginx -g 'daemon off;'"
    )]
    Run(commands::run::Args),
    /// Enroll, apply, exit
    #[command(
        after_help = "Example:\n  dockmaster-agent once --master 172.17.0.1:8140 --trust sha256:..."
    )]
    Once,
    /// Apply a compiled catalog without a master
    #[command(
        after_help = "Example (Dockerfile):\n  RUN --mount=type=bind,source=catalog.json,target=/c.json /dockmaster-agent apply /c.json\n\nLarge contents are looked for in FILE.blobs/HEX, where \"dockmaster compile -o FILE\" puts them."
    )]
    Apply(commands::apply::Args),
    /// Show what the container has: limits, addresses, system
    #[command(
        after_help = "Example:\n  docker run -m 56m --cpus 0.5 IMAGE /dockmaster-agent facts -o json"
    )]
    Facts(commands::facts::Args),
    /// Show certificate, catalog and last report of the agent that runs here
    #[command(after_help = "Example:\n  docker exec CONTAINER /dockmaster-agent status")]
    Status,
}

/// Parses the command line and does what it says.
#[must_use]
pub fn main() -> ExitCode {
    crate::log::start();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            // Help and version are no errors.
            return ExitCode::from(if error.use_stderr() {
                exit::USAGE
            } else {
                exit::DONE
            });
        }
    };
    ExitCode::from(dispatch(cli))
}

fn dispatch(cli: Cli) -> u8 {
    match cli.command {
        Command::Facts(args) => commands::facts::facts(&args),
        Command::Status => commands::status::status(&cli.flags),
        Command::Run(args) => block_on(commands::run::run(&cli.flags, args)),
        Command::Once => block_on(commands::once::once(&cli.flags)),
        Command::Apply(args) => block_on(commands::apply::apply(&cli.flags, &args)),
    }
}

/// One thread for everything: see [`crate::supervise::reaper`].
fn block_on(work: impl Future<Output = u8>) -> u8 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => LocalSet::new().block_on(&runtime, work),
        Err(error) => {
            say!("the kernel refuses what the agent needs to run: {error}");
            exit::FAILED
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_every_help_has_an_example() {
        let command = Cli::command();
        command.clone().debug_assert();
        let help = |command: &clap::Command| {
            command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default()
        };
        assert!(help(&command).contains("Example"));
        for command in command.get_subcommands() {
            assert!(help(command).contains("Example"), "{}", command.get_name());
        }
    }

    #[test]
    fn everything_after_two_dashes_is_the_command() {
        let cli =
            Cli::try_parse_from(["a", "run", "--require-master", "--", "app", "--help", "-x"])
                .unwrap();
        let Command::Run(args) = cli.command else {
            panic!()
        };
        assert_eq!(args.command, ["app", "--help", "-x"]);
    }
}
