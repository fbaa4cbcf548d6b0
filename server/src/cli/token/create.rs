//! `dockmaster token create`.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use clap::Args;
use dockmaster_client::Call;
use dockmaster_proto::{
    api::tokens::{CreatedToken, TokenProposal, TokenSummary},
    id::NetworkName,
    label::LabelKey,
    route::Route,
    token::{JoinToken, MAX_USES, Ttl},
};

use super::list::labels;
use crate::cli::{
    Global,
    error::CliError,
    output::{self, Format, OutputArgs},
    remote::Remote,
    table,
};

/// Make a join token; it is shown this once
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster token create --label role=db --ttl 10m --out db.token
  dockmaster token create --network lan --uses 20 --ttl 1h > fleet.token

Copy the file to the machine, readable by root only, and name it by DOCKMASTER_TOKEN_FILE or token_file
in /etc/dockmaster/agent.yaml. Whoever has it may enroll as a machine with its labels until it is used
up or its time is over.")]
pub(super) struct CreateArgs {
    /// A label of the machines that it lets in, of tier token
    #[arg(long = "label", value_name = "KEY=VALUE")]
    labels: Vec<String>,
    /// The network of their addresses: a name, or token/NAME [default: token/direct]
    #[arg(long, value_name = "NETWORK")]
    network: Option<NetworkName>,
    /// How long it may be used, 1m to 24h
    #[arg(long, value_name = "TIME", default_value_t = Ttl::default())]
    ttl: Ttl,
    /// How many machines it lets in
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_USES)))]
    uses: u32,
    /// Write it into this new file, for its owner only, and do not show it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Makes a token, and shows it or writes it.
pub(super) async fn run(global: &Global, args: CreateArgs) -> Result<(), CliError> {
    let labels = parse_labels(&args.labels)?;
    let mut remote = Remote::connect(global).await?;
    // Before the token is made: one that cannot be kept would be lost.
    let file = args.out.as_deref().map(|path| (path, open(path)));
    let file = match file {
        Some((path, Ok(file))) => Some((path, file)),
        Some((path, Err(error))) => return Err(cannot_write(path, &error)),
        None => None,
    };
    let proposal = TokenProposal {
        labels,
        network: args.network,
        ttl_ms: args.ttl.as_ms(),
        uses: args.uses,
    };
    let created: Result<CreatedToken, CliError> = remote
        .call(&Call::new(Route::TokenCreate).json(&proposal))
        .await;
    match (created, file) {
        (Ok(created), Some((path, file))) => {
            write(file, &created.secret).map_err(|error| cannot_write(path, &error))?;
            args.output.print(&created.summary, render)
        }
        (Ok(created), None) if args.output.output == Format::Table => {
            output::note(&note(&created.summary));
            output::print(&created.secret.expose())
        }
        (Ok(created), None) => args.output.print(&created, |_| String::new()),
        (Err(error), file) => {
            if let Some((path, _)) = file {
                // It is empty and ours. Where it cannot be removed, an empty file is no token.
                let _ = std::fs::remove_file(path);
            }
            Err(error)
        }
    }
}

fn parse_labels(arguments: &[String]) -> Result<BTreeMap<LabelKey, String>, CliError> {
    let mut labels = BTreeMap::new();
    for argument in arguments {
        let wrong = |why: &str| CliError::usage(format!("--label {argument}: {why}"), "");
        let (key, value) = argument
            .split_once('=')
            .ok_or_else(|| wrong("expected KEY=VALUE"))?;
        let key: LabelKey = key.parse().map_err(|error| wrong(&format!("{error}")))?;
        if labels.insert(key, value.to_owned()).is_some() {
            return Err(wrong("the key is given twice"));
        }
    }
    Ok(labels)
}

/// A new file: one that is there may be read by others, or be needed.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

fn write(mut file: File, token: &JoinToken) -> io::Result<()> {
    writeln!(file, "{}", token.expose())?;
    file.sync_all()
}

fn cannot_write(path: &Path, error: &io::Error) -> CliError {
    CliError::because(
        format!("the token cannot be written to {}", path.display()),
        error,
        "name a file that is not there yet, in a folder that you may write to",
    )
}

fn note(token: &TokenSummary) -> String {
    format!(
        "token {}, for {} until {}, network {}{}; it is shown this once",
        token.id,
        table::count(token.uses as usize, "machine"),
        token.until_ms,
        token.network,
        match labels(&token.labels) {
            none if none.is_empty() => String::new(),
            labels => format!(", labels {labels}"),
        }
    )
}

fn render(token: &TokenSummary) -> String {
    table::fields([
        ("id", token.id.to_string()),
        ("labels", labels(&token.labels)),
        ("network", token.network.to_string()),
        ("machines", token.uses.to_string()),
        ("until", token.until_ms.to_string()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_pairs_and_no_key_stands_twice() {
        let words = |words: &[&str]| {
            words
                .iter()
                .map(|&word| word.to_owned())
                .collect::<Vec<_>>()
        };
        let labels = parse_labels(&words(&["role=db", "note=a=b"])).unwrap();
        assert_eq!(labels[&"note".parse().unwrap()], "a=b");
        for wrong in [&["role"][..], &["=x"], &["a=1", "a=2"], &["a b=1"]] {
            assert!(parse_labels(&words(wrong)).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_file_that_is_there_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        open(&path).unwrap();
        assert!(open(&path).is_err());
    }
}
