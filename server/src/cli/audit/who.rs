//! `dockmaster audit who`.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};

use clap::Args;
use dockmaster_client::Call;
use dockmaster_proto::{
    api::audit::{Certainty, Holder, HolderQuery, Holders},
    id::NetworkName,
    route::Route,
    time::UnixMs,
};

use super::{
    prove,
    summary::cause,
    testimony::{self, Testimony},
};
use crate::cli::{Global, error::CliError, files, output::OutputArgs, remote::Remote, table};

/// Say which container held an IP
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dockmaster audit who 172.17.0.5
  dockmaster audit who 172.17.0.5 --network h1/bridge --at 2026-11-24T14:03:00Z

How certain it is: held (a host watched both ends), authorised (an end is not exactly known),
nobody (a host watched and nobody held it), unknown (no host was watching then).
\"audit check FILE\" checks what --prove wrote, without a master.")]
pub(super) struct WhoArgs {
    /// The IP
    ip: IpAddr,
    /// In this network only
    #[arg(long, value_name = "NETWORK")]
    network: Option<NetworkName>,
    /// At this time (RFC 3339, or milliseconds since 1970); now where none is given
    #[arg(long, value_name = "TIME")]
    at: Option<UnixMs>,
    /// Also write the answer, the entries that it rests on and their proofs into this file
    #[arg(long, value_name = "FILE")]
    prove: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Says who held it.
pub(super) async fn run(global: &Global, args: WhoArgs) -> Result<(), CliError> {
    let query = HolderQuery {
        ip: args.ip,
        network: args.network,
        at: args.at,
    };
    let mut remote = Remote::connect(global).await?;
    let holders: Holders = remote
        .call(&Call::new(Route::AuditWho).query(pairs(query)))
        .await?;
    if let Some(file) = &args.prove {
        testify(&mut remote, &holders, file).await?;
    }
    args.output.print(&holders, render)
}

/// Writes the answer with its evidence, after having it examined as any reader will.
async fn testify(remote: &mut Remote, answer: &Holders, file: &Path) -> Result<(), CliError> {
    if answer.holders.is_empty() {
        return Err(CliError::failed(
            format!(
                "nobody is known to have held {} at {}, and no single entry can show that",
                answer.ip, answer.at_ms
            ),
            "\"dockmaster audit verify\" checks the whole log, \"dockmaster audit export\" copies it",
        ));
    }
    let mut indexes: Vec<u64> = answer
        .holders
        .iter()
        .flat_map(|holder| holder.entries.iter().copied())
        .collect();
    indexes.sort_unstable();
    indexes.dedup();
    let mut evidence = Vec::with_capacity(indexes.len());
    for index in indexes {
        evidence.push(prove::entry(remote, index).await?);
    }
    let testimony = Testimony::new(answer.clone(), &evidence);
    let text = serde_json::to_string_pretty(&testimony)
        .map_err(|error| CliError::because("the testimony cannot be written", &error, ""))?;
    testimony::examine(&text, remote.log_key()).map_err(|faults| {
        CliError::failed(
            format!(
                "the log does not bear out the master's answer: {}",
                faults.join("; ")
            ),
            "run \"dockmaster audit verify\", and keep a copy of the data directory as it is",
        )
    })?;
    files::write(file, text.as_bytes())
}

fn pairs(query: HolderQuery) -> [(&'static str, Option<String>); 3] {
    let HolderQuery { ip, network, at } = query;
    [
        ("ip", Some(ip.to_string())),
        ("network", network.map(|network| network.to_string())),
        ("at", at.map(|time| time.0.to_string())),
    ]
}

/// The answer for people.
pub(super) fn render(answer: &Holders) -> String {
    let mut text = format!(
        "{} at {}: {}\n",
        answer.ip,
        answer.at_ms,
        word(answer.certainty)
    );
    if !answer.note.is_empty() {
        text.push_str(&format!("note: {}\n", table::printable(&answer.note)));
    }
    for holder in &answer.holders {
        text.push('\n');
        text.push_str(&table::fields(fields(holder)));
    }
    text
}

fn fields(holder: &Holder) -> [(&'static str, String); 9] {
    let from = format!("{} ({})", holder.opened_at_ms, cause(holder.opened_cause));
    let until = match (holder.closed_at_ms, holder.closed_cause) {
        (None, _) => "still held".to_owned(),
        (Some(time), None) => time.to_string(),
        (Some(time), Some(why)) => format!("{time} ({})", cause(why)),
    };
    let certificates = holder.certificates.iter().map(ToString::to_string);
    [
        ("container", holder.container.to_string()),
        ("name", table::one_line(&holder.name)),
        ("image", table::one_line(&holder.image)),
        ("host", holder.host.to_string()),
        ("network", holder.network.to_string()),
        ("from", from),
        ("until", until),
        ("certificates", certificates.collect::<Vec<_>>().join("\n")),
        (
            "certainty",
            format!("{}, epoch {}", word(holder.certainty), holder.epoch),
        ),
    ]
}

const fn word(certainty: Certainty) -> &'static str {
    match certainty {
        Certainty::Held => "held",
        Certainty::Authorised => "authorised",
        Certainty::Nobody => "nobody",
        Certainty::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::{
        event::LeaseCause,
        id::{ContainerId, Serial},
    };

    use super::*;

    #[test]
    fn a_holder_is_named_with_the_ends_of_its_lease() {
        let holder = Holder {
            network: "h1/bridge".parse().unwrap(),
            container: ContainerId::from_bytes([0xab; 32]),
            name: "web-1".into(),
            image: "nginx:1.27".into(),
            host: "h1".parse().unwrap(),
            epoch: 2,
            opened_at_ms: UnixMs(1_795_528_980_000),
            opened_cause: LeaseCause::Started,
            closed_at_ms: Some(UnixMs(1_795_528_985_000)),
            closed_cause: Some(LeaseCause::Died),
            certificates: vec![Serial::from_bytes([0x1f; 16])],
            entries: vec![3, 4, 9],
            certainty: Certainty::Held,
        };
        let text = render(&Holders {
            ip: "172.17.0.5".parse().unwrap(),
            at_ms: UnixMs(1_795_528_981_000),
            certainty: Certainty::Held,
            note: String::new(),
            holders: vec![holder],
        });
        assert_eq!(
            text,
            format!(
                "172.17.0.5 at 2026-11-24T14:03:01.000Z: held\n\
                 \n\
                 container     {}\n\
                 name          web-1\n\
                 image         nginx:1.27\n\
                 host          h1\n\
                 network       h1/bridge\n\
                 from          2026-11-24T14:03:00.000Z (started)\n\
                 until         2026-11-24T14:03:05.000Z (died)\n\
                 certificates  {}\n\
                 certainty     held, epoch 2\n",
                "ab".repeat(32),
                "1f".repeat(16)
            )
        );
    }

    #[test]
    fn nobody_is_an_answer() {
        let text = render(&Holders {
            ip: "172.17.0.5".parse().unwrap(),
            at_ms: UnixMs(0),
            certainty: Certainty::Unknown,
            note: "no host was watching before 2026".into(),
            holders: vec![],
        });
        assert_eq!(
            text,
            "172.17.0.5 at 1970-01-01T00:00:00.000Z: unknown\nnote: no host was watching before 2026\n"
        );
    }
}
