//! `dockmaster policy`: the rules for certificates, looked at without a master.

mod check;
mod test;

use std::path::Path;

use clap::{Args, Subcommand};
use dockmaster::{
    config::{Config, ConfigError},
    datadir::DataDir,
};

use super::error::{CliError, chain};

/// Check a policy, and try what it decides
#[derive(Debug, Args)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Examples:
  dockmaster policy check /var/lib/dockmaster/dockmaster.yaml
  dockmaster policy test --data /var/lib/dockmaster --ip 10.0.0.7 --network h1/front --label role=web

The policy stands in dockmaster.yaml under \"policy\"; docs/policy.md says how. A master reads it when it
starts. No master has to run for these commands."
)]
pub(crate) struct PolicyArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::CheckArgs),
    Test(Box<test::TestArgs>),
}

/// Runs the subcommand.
pub(crate) fn run(args: PolicyArgs) -> Result<(), CliError> {
    match args.command {
        Command::Check(args) => check::run(&args),
        Command::Test(args) => test::run(&args),
    }
}

/// The configuration in a file that was named.
fn load(path: &Path) -> Result<Config, CliError> {
    Config::load(path).map_err(|error| match error {
        ConfigError::Read { path, source } => CliError::because(
            format!("{} cannot be read", path.display()),
            &source,
            "name a configuration file, such as the dockmaster.yaml of a data directory",
        ),
        error => unusable(path, error),
    })
}

/// The configuration of a data directory.
fn load_from(dir: &DataDir) -> Result<Config, CliError> {
    let path = dir.config();
    Config::load(&path).map_err(|error| unusable(&path, error))
}

fn unusable(path: &Path, error: ConfigError) -> CliError {
    match error {
        ConfigError::Invalid(wrong) => CliError::failed(
            format!("{} is not valid\n{wrong}", path.display()),
            "docs/policy.md says what a policy may say",
        ),
        error => CliError::failed(chain(&error), ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_is_not_taken_for_a_data_directory() {
        let dir = tempfile::tempdir().unwrap();
        let file = load(&dir.path().join("nope.yaml")).unwrap_err().to_string();
        assert!(
            file.contains("nope.yaml cannot be read: No such file"),
            "{file}"
        );
        assert!(file.contains("hint: name a configuration file"), "{file}");
        let empty = load_from(&DataDir::new(dir.path().to_owned()));
        let empty = empty.unwrap_err().to_string();
        assert!(empty.contains("is this a data directory"), "{empty}");
    }
}
