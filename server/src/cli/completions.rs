//! `dockmaster completions`: what a shell needs to complete arguments.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, error::CliError, output};

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster completions bash > /etc/bash_completion.d/dockmaster
  dockmaster completions zsh > ~/.zfunc/_dockmaster")]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(args: &CompletionsArgs) -> Result<(), CliError> {
    output::print_bytes(&script(args.shell))
}

fn script(shell: Shell) -> Vec<u8> {
    let mut bytes = vec![];
    clap_complete::generate(shell, &mut Cli::command(), "dockmaster", &mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_shell_has_a_script_that_knows_the_commands() {
        for shell in Shell::value_variants() {
            let script = String::from_utf8(script(*shell)).unwrap();
            assert!(script.contains("classify"), "{shell}");
        }
    }
}
