//! `dockmaster policy test`.

use std::{net::IpAddr, path::PathBuf, str::FromStr};

use clap::{ArgGroup, Args};
use dockmaster::{
    datadir::DataDir,
    policy::{self, Claim, ImageDigest, Rules, Verdict},
};
use dockmaster_proto::{
    address::Address,
    event::EvidenceKind,
    facts::Limits,
    id::{ContainerId, Name, NetworkName},
    label::{Labels, Tier},
    node::NodeView,
    time::UnixMs,
};
use serde::Serialize;

use super::{load, load_from};
use crate::cli::{error::CliError, output::OutputArgs, table};

/// Try which rule decides upon a request, and why the rules before it do not
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("where").required(true), after_help = "Examples:
  dockmaster policy test --data /var/lib/dockmaster --ip 10.0.0.7 --network h1/front --label role=web
  dockmaster policy test --config dockmaster.yaml --ip 10.0.0.7 --network h1/back --label operator:tier=db --evidence host,socket -o json

Nothing is asked and nothing is changed. A label is the host's; TIER: before it says who else vouches
for it: operator, host, token or agent.")]
pub(super) struct TestArgs {
    /// The configuration file with the policy
    #[arg(long, value_name = "FILE", group = "where")]
    config: Option<PathBuf>,
    /// The data directory with the configuration file
    #[arg(long, value_name = "DIR", group = "where")]
    data: Option<PathBuf>,
    /// The address from which the request would come
    #[arg(long)]
    ip: IpAddr,
    /// The network of the address, as "node show" has it; HOST/bridge where none is given
    #[arg(long)]
    network: Option<NetworkName>,
    /// The host that vouches; the configuration's own where none is given
    #[arg(long)]
    host: Option<Name>,
    /// A label of the container; may be given several times
    #[arg(long = "label", value_name = "[TIER:]KEY=VALUE")]
    labels: Vec<TieredLabel>,
    /// The container's name
    #[arg(long, default_value = "")]
    name: String,
    /// The image as it was asked for
    #[arg(long, default_value = "")]
    image: String,
    /// The image's digest: sha256:…
    #[arg(long, value_name = "DIGEST")]
    image_digest: Option<ImageDigest>,
    /// What supports the claim: host, socket, token, operator
    #[arg(long, value_delimiter = ',', default_value = "host")]
    evidence: Vec<EvidenceKind>,
    #[command(flatten)]
    output: OutputArgs,
}

/// `[TIER:]KEY=VALUE`.
#[derive(Debug, Clone)]
struct TieredLabel {
    tier: Tier,
    key: String,
    value: String,
}

impl FromStr for TieredLabel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| "write KEY=VALUE or TIER:KEY=VALUE".to_owned())?;
        let (tier, key) = match key.split_once(':') {
            Some((tier, key)) => (tier.parse().map_err(|error| format!("{error}"))?, key),
            None => (Tier::Host, key),
        };
        Ok(Self {
            tier,
            key: key.to_owned(),
            value: value.to_owned(),
        })
    }
}

#[derive(Serialize)]
struct Tested {
    rules: Vec<TestedRule>,
    rule: String,
    verdict: &'static str,
    lifetime: Option<String>,
    reason: Option<String>,
    policy_sha256: String,
}

#[derive(Serialize)]
struct TestedRule {
    rule: String,
    line: u32,
    matches: bool,
    first_failure: Option<String>,
}

/// Decides, and says how.
pub(super) fn run(args: &TestArgs) -> Result<(), CliError> {
    let config = match (&args.config, &args.data) {
        (Some(file), _) => load(file)?,
        (None, Some(dir)) => load_from(&DataDir::new(dir.clone()))?,
        (None, None) => {
            return Err(CliError::usage(
                "no policy is named",
                "give --config FILE or --data DIR",
            ));
        }
    };
    let host = args.host.clone().unwrap_or_else(|| config.host.clone());
    let network = match &args.network {
        Some(network) => network.clone(),
        None => NetworkName::local(&host, "bridge")
            .map_err(|error| CliError::usage(error.to_string(), "give --network"))?,
    };
    let address = Address::new(network, args.ip);
    let node = node(args, host, address.clone());
    let claim = Claim {
        address: Some(&address),
        node: &node,
        evidence: &args.evidence,
    };
    args.output.print(&tested(&config.policy, claim), render)
}

fn node(args: &TestArgs, host: Name, address: Address) -> NodeView {
    let mut labels = Labels::new();
    for TieredLabel { tier, key, value } in &args.labels {
        labels.set(key, value, *tier);
    }
    let digest = args.image_digest.as_ref().map(ImageDigest::as_str);
    NodeView {
        id: ContainerId::from_bytes([0; 32]),
        name: args.name.clone(),
        host,
        image: args.image.clone(),
        image_digest: digest.unwrap_or_default().to_owned(),
        addresses: vec![address],
        labels,
        started_at_ms: UnixMs(0),
        limits: Limits::default(),
    }
}

fn tested(policy: &Rules, claim: Claim<'_>) -> Tested {
    let rules = policy.look(claim).map(|look| TestedRule {
        rule: look.rule.name.as_str().to_owned(),
        line: look.rule.line,
        matches: look.failure.is_none(),
        first_failure: look.failure,
    });
    let rules = rules.collect();
    let judgement = policy::decide(policy, &claim);
    let (verdict, lifetime, reason) = match judgement.verdict {
        Verdict::Issue { lifetime } => ("issue", Some(lifetime), None),
        Verdict::Hold { reason, lifetime } => ("hold", Some(lifetime), Some(reason)),
        Verdict::Deny { reason } => ("deny", None, Some(reason)),
    };
    Tested {
        rules,
        rule: judgement.rule.to_owned(),
        verdict,
        lifetime: lifetime.map(|lifetime| lifetime.to_string()),
        reason: reason.map(str::to_owned),
        policy_sha256: policy.sha256().to_string(),
    }
}

fn render(tested: &Tested) -> String {
    let rows = tested.rules.iter().map(|rule| {
        let why = match &rule.first_failure {
            Some(failure) => format!("no: {failure}"),
            None => "yes".to_owned(),
        };
        let line = match rule.line {
            0 => String::new(),
            line => line.to_string(),
        };
        [rule.rule.clone(), line, why]
    });
    let heading = ["RULE", "LINE", "MATCHES"];
    let mut text = table::columns(heading, rows, "there are no rules");
    text.push_str("\n\n");
    let lifetime = match (tested.verdict, &tested.lifetime) {
        ("hold", Some(lifetime)) => format!("{lifetime}, once an operator has approved"),
        (_, lifetime) => lifetime.clone().unwrap_or_default(),
    };
    text.push_str(&table::fields([
        ("verdict", tested.verdict.to_owned()),
        ("rule", tested.rule.clone()),
        ("lifetime", lifetime),
        ("reason", tested.reason.clone().unwrap_or_default()),
        ("policy", format!("sha256:{}", tested.policy_sha256)),
    ]));
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use dockmaster::config::Config;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: TestArgs,
    }

    const CONFIG: &str = "name: m\ntrust_domain: t\nlisten: \"0.0.0.0:1\"\nhost: h1\npolicy:
  - {name: db, labels: tier=db, label_tier: operator, verdict: issue, lifetime: 1h}
  - {name: front, networks: [h1/front*], evidence: [host, socket], verdict: issue}
  - {name: rest, verdict: hold, reason: who is it}
";

    fn test(words: &[&str]) -> Tested {
        let words = ["test", "--config", "f"].iter().chain(words);
        let args = Cli::try_parse_from(words)
            .unwrap_or_else(|e| panic!("{e}"))
            .args;
        let policy = Config::parse("f", CONFIG).unwrap().policy;
        let network = args.network.clone().unwrap();
        let address = Address::new(network, args.ip);
        let node = node(&args, "h1".parse().unwrap(), address.clone());
        let claim = Claim {
            address: Some(&address),
            node: &node,
            evidence: &args.evidence,
        };
        tested(&policy, claim)
    }

    const FRONT: [&str; 4] = ["--ip", "10.0.0.7", "--network", "h1/front-1"];

    #[test]
    fn each_rule_before_the_one_that_decides_says_why_it_does_not() {
        let told = test(&[&FRONT[..], &["--label", "tier=db"]].concat());
        let text = render(&told);
        assert!(
            text.starts_with(
                "RULE   LINE  MATCHES\n\
                 db     6     no: label tier is said by host, and it takes operator\n\
                 front  7     no: there is no socket evidence\n\
                 rest   8     yes\n\n\
                 verdict   hold\n\
                 rule      rest\n\
                 lifetime  6h, once an operator has approved\n\
                 reason    who is it\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_rule_that_decides_is_the_last_that_is_looked_at() {
        let told = test(&[&FRONT[..], &["--label", "operator:tier=db"]].concat());
        assert_eq!((told.verdict, told.rule.as_str()), ("issue", "db"));
        assert_eq!(told.lifetime.as_deref(), Some("1h"));
        assert_eq!(told.rules.len(), 1);
        let told = test(&[&FRONT[..], &["--evidence", "host,socket"]].concat());
        assert_eq!((told.verdict, told.rule.as_str()), ("issue", "front"));
        let told = test(&[&FRONT[..], &["--evidence", "host,operator"]].concat());
        assert_eq!((told.verdict, told.rule.as_str()), ("issue", "rest"));
    }

    #[test]
    fn a_digest_that_no_image_has_is_refused_and_both_places_of_a_policy_are_named() {
        let parse = |words: &[&str]| {
            let words = ["test"].iter().chain(words);
            Cli::try_parse_from(words)
                .map(|_| ())
                .map_err(|error| error.to_string())
        };
        let digest = format!("sha256:{}", "0f".repeat(32));
        let with = |digest: &str| {
            parse(&[&["--config", "f"], &FRONT[..], &["--image-digest", digest]].concat())
        };
        assert_eq!(with(&digest), Ok(()));
        let wrong = with("zzz").unwrap_err();
        assert!(wrong.contains("sha256: and 64 hex digits"), "{wrong}");
        let nowhere = parse(&FRONT).unwrap_err();
        assert!(
            nowhere.contains("<--config <FILE>|--data <DIR>>"),
            "{nowhere}"
        );
    }
}
