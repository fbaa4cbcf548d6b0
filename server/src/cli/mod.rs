//! The command line: one file per command, one place that prints, one that maps errors to exit codes.

mod audit;
mod backup;
mod ca;
mod catalog;
mod cert;
mod classify;
mod compile;
mod completions;
mod error;
mod evidence;
mod files;
mod host;
mod init;
mod log;
mod man;
mod node;
mod output;
mod policy;
mod progress;
mod prompt;
mod proof;
mod public_log;
mod quickstart;
mod reference;
mod remote;
mod renewal;
mod request;
mod restore;
mod serve;
mod site;
mod table;
#[cfg(test)]
mod testing;
mod token;
mod unprintable;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

pub(crate) use error::CliError;

/// Configuration master for containers, keyed by what a container really has: its ID and its IPs.
#[derive(Debug, Parser)]
#[command(
    name = "dockmaster",
    version,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:
  dockmaster quickstart
  dockmaster init --data /var/lib/dockmaster --listen 10.0.0.1:8140
  dockmaster --context /var/lib/dockmaster/operator.yaml node list -l role=web

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused by policy, 4 not reachable."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The file that says how to reach the master and who is asking; "init" writes DIR/operator.yaml
    #[arg(
        long,
        global = true,
        env = "DOCKMASTER_CONTEXT",
        hide_env_values = true,
        value_name = "FILE"
    )]
    context: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Quickstart(quickstart::QuickstartArgs),
    Init(init::InitArgs),
    Serve(serve::ServeArgs),
    Host(host::HostArgs),
    Node(node::NodeArgs),
    Request(request::RequestArgs),
    Policy(policy::PolicyArgs),
    Classify(classify::ClassifyArgs),
    Site(site::SiteArgs),
    Catalog(catalog::CatalogArgs),
    Compile(compile::CompileArgs),
    Cert(cert::CertArgs),
    Ca(ca::CaArgs),
    Token(token::TokenArgs),
    Audit(audit::AuditArgs),
    Backup(backup::BackupArgs),
    Restore(restore::RestoreArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

/// Reads the arguments, runs the command, and says how it ended.
pub(crate) fn main() -> ExitCode {
    let Cli { global, command } = Cli::parse();
    match run(&global, command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            error.code()
        }
    }
}

fn run(global: &Global, command: Command) -> Result<(), CliError> {
    match command {
        Command::Quickstart(args) => quickstart::run(args),
        Command::Init(args) => init::run(args),
        Command::Serve(args) => serve::run(args),
        Command::Host(args) => host::run(global, args),
        Command::Node(args) => node::run(global, args),
        Command::Request(args) => request::run(global, args),
        Command::Policy(args) => policy::run(args),
        Command::Classify(args) => classify::run(global, args),
        Command::Site(args) => site::run(global, args),
        Command::Catalog(args) => catalog::run(global, args),
        Command::Compile(args) => compile::run(args),
        Command::Cert(args) => cert::run(global, args),
        Command::Ca(args) => ca::run(global, args),
        Command::Token(args) => token::run(global, args),
        Command::Audit(args) => audit::run(global, args),
        Command::Backup(args) => backup::run(global, &args),
        Command::Restore(args) => restore::run(args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, error::ErrorKind};

    use super::*;

    fn every_command(
        command: &clap::Command,
        path: &str,
        visit: &mut impl FnMut(&str, &clap::Command),
    ) {
        let path = format!("{path} {}", command.get_name());
        visit(path.trim(), command);
        for child in command.get_subcommands() {
            every_command(child, &path, visit);
        }
    }

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_a_help_line_and_an_example() {
        every_command(&Cli::command(), "", &mut |path, command| {
            assert!(
                command.get_about().is_some(),
                "{path} says nothing about itself"
            );
            let after = command.get_after_help().map(ToString::to_string);
            let after = after.unwrap_or_default();
            assert!(after.contains("Example"), "{path} has no example");
        });
    }

    #[test]
    fn every_example_is_a_command_that_parses() {
        let mut seen = 0;
        every_command(&Cli::command(), "", &mut |path, command| {
            let after = command.get_after_help().map(ToString::to_string);
            for line in after.unwrap_or_default().lines() {
                let Some(line) = line.trim().strip_prefix("dockmaster ") else {
                    continue;
                };
                // What follows a pipe or a redirection belongs to the shell.
                let line = line.split([';', '|', '>']).next().unwrap_or_default();
                let words = std::iter::once("dockmaster".to_owned()).chain(shell_words(line));
                if let Err(error) = Cli::try_parse_from(words) {
                    panic!("{path}: the example {line:?} does not parse: {error}");
                }
                seen += 1;
            }
        });
        assert!(seen > 20, "only {seen} examples");
    }

    /// Words as a shell would make them, as far as the examples need it.
    fn shell_words(line: &str) -> Vec<String> {
        let mut words = vec![];
        for (index, part) in line.split('\'').enumerate() {
            if index % 2 == 1 {
                words.push(part.to_owned());
            } else {
                words.extend(part.split_whitespace().map(str::to_owned));
            }
        }
        words
    }

    #[test]
    fn an_unknown_command_is_wrong_usage() {
        let error = Cli::try_parse_from(["dockmaster", "frobnicate"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidSubcommand);
        assert_eq!(error.exit_code(), 2);
    }

    #[test]
    fn the_context_may_stand_before_and_after_the_command() {
        for words in [
            ["dockmaster", "--context", "f", "node", "list"],
            ["dockmaster", "node", "list", "--context", "f"],
        ] {
            let cli = Cli::try_parse_from(words).unwrap();
            assert_eq!(cli.global.context, Some("f".into()));
        }
    }
}
