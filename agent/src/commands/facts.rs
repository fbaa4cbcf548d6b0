//! `dockmaster-agent facts`.

use dockmaster_proto::facts::{Observed, ObservedFacts};
use serde::Serialize;

use super::print;
use crate::{exit, facts, root::Root};

/// Arguments of `facts`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How to show them
    #[arg(short, long, value_enum, default_value = "table")]
    pub output: Output,
}

/// The forms of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// The facts as programs get them: those that the master gets, and the CPUs as people write them.
#[derive(Serialize)]
struct Listing<'a> {
    #[serde(flatten)]
    facts: &'a ObservedFacts,
    cpus: Observed<f64>,
}

/// Shows the facts.
#[must_use]
pub fn facts(args: &Args) -> u8 {
    // Not the root of the settings: facts are the container's, wherever its resources lie.
    let facts = facts::observe(&Root::default());
    match args.output {
        Output::Table => print(&table(&facts)),
        Output::Json => {
            let listing = Listing {
                facts: &facts,
                cpus: Observed {
                    value: facts.cpu_millis.value.map(cpus),
                    source: facts.cpu_millis.source.clone(),
                },
            };
            // Numbers and text always serialise.
            let mut text = serde_json::to_string_pretty(&listing).unwrap_or_default();
            text.push('\n');
            print(&text);
        }
    }
    exit::DONE
}

#[expect(clippy::cast_precision_loss, reason = "a number of CPUs is small")]
fn cpus(millis: u64) -> f64 {
    millis as f64 / 1000.0
}

fn table(facts: &ObservedFacts) -> String {
    fn row<T>(name: &'static str, fact: &Observed<T>, show: impl Fn(&T) -> String) -> [String; 3] {
        let value = fact.value.as_ref().map_or_else(|| "-".to_owned(), show);
        [name.to_owned(), value, fact.source.clone()]
    }
    let ips = |ips: &Vec<std::net::IpAddr>| {
        let ips: Vec<String> = ips.iter().map(ToString::to_string).collect();
        ips.join(" ")
    };
    let rows = [
        ["FACT", "VALUE", "SOURCE"].map(str::to_owned),
        row("memory_bytes", &facts.memory_bytes, u64::to_string),
        row("cpus", &facts.cpu_millis, |millis| {
            cpus(*millis).to_string()
        }),
        row("ips", &facts.ips, ips),
        row("hostname", &facts.hostname, String::clone),
        row("kernel", &facts.kernel, String::clone),
        row("cgroup_version", &facts.cgroup_version, u8::to_string),
        row("os", &facts.os, String::clone),
    ];
    columns(&rows)
}

/// Rows in columns as wide as their widest cell.
pub(super) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            line.push_str(&format!("{cell:<width$}  ", width = width(column)));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_cpu_is_shown_as_half_a_cpu() {
        let mut facts = facts::observe(&Root::new("/nonexistent"));
        facts.cpu_millis = Observed {
            value: Some(500),
            source: "here".into(),
        };
        let table = table(&facts);
        let line = table.lines().find(|line| line.starts_with("cpus")).unwrap();
        assert_eq!(
            line.split_whitespace().collect::<Vec<_>>(),
            ["cpus", "0.5", "here"]
        );
    }
}
