use dockmaster_document::{
    diagnostic::{Diagnostics, SourceFile},
    fields::Fields,
    yaml,
};
use dockmaster_proto::{
    facts::Limits,
    id::ContainerId,
    label::{Labels, Tier},
    time::UnixMs,
};
use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Result<Rules, String> {
    let file = SourceFile { name: "f", text };
    let document = yaml::parse(text).unwrap();
    let mut wrong = Vec::new();
    let fields = Fields::of(
        file,
        &document,
        "the configuration",
        &["policy"],
        &mut wrong,
    );
    let rules = parse(file, &fields, Lifetime::default(), &mut wrong);
    Diagnostics::unless(wrong, rules).map_err(|wrong| wrong.to_string())
}

fn rules(text: &str) -> Rules {
    read(text).unwrap_or_else(|wrong| panic!("{wrong}"))
}

fn node(labels: &[(&str, &str, Tier)]) -> NodeView {
    let mut all = Labels::new();
    for (key, value, tier) in labels {
        all.set(*key, *value, *tier);
    }
    NodeView {
        id: ContainerId::from_bytes([1; 32]),
        name: "web-1".into(),
        host: "h1".parse().unwrap(),
        image: "nginx:1.27".into(),
        image_digest: format!("sha256:{}", "ab".repeat(32)),
        addresses: vec!["h1/front/10.1.0.2".parse().unwrap()],
        labels: all,
        started_at_ms: UnixMs(0),
        limits: Limits::default(),
    }
}

/// The deciding rule and the verdict's word.
fn decided(rules: &Rules, node: &NodeView, evidence: &[EvidenceKind]) -> (String, &'static str) {
    let claim = Claim {
        address: Some(&node.addresses[0]),
        node,
        evidence,
    };
    let Judgement { rule, verdict } = decide(rules, &claim);
    (rule.to_owned(), word(&verdict))
}

fn word(verdict: &Verdict<'_>) -> &'static str {
    match verdict {
        Verdict::Issue { .. } => "issue",
        Verdict::Hold { .. } => "hold",
        Verdict::Deny { .. } => "deny",
    }
}

const HOST: [EvidenceKind; 1] = [EvidenceKind::Host];

/// Whether a rule with this condition matches a container in network h1/front at 10.1.0.2.
fn matches(condition: &str, labels: &[(&str, &str, Tier)]) -> bool {
    let rules = rules(&format!(
        "policy:\n  - {{name: it, verdict: issue, {condition}}}\n"
    ));
    decided(&rules, &node(labels), &HOST).1 == "issue"
}

#[test]
fn without_a_policy_host_evidence_and_join_tokens_issue_and_nothing_else_does() {
    let rules = rules("{}");
    let host = decided(&rules, &node(&[]), &HOST);
    assert_eq!(host, ("default: host evidence".into(), "issue"));
    let token = decided(&rules, &node(&[]), &[EvidenceKind::Token]);
    assert_eq!(token, ("default: join token".into(), "issue"));
    let socket = decided(&rules, &node(&[]), &[EvidenceKind::Socket]);
    assert_eq!(socket, ("default: no rule matches".into(), "hold"));
}

#[test]
fn an_empty_policy_holds_everything_until_an_operator_has_approved() {
    let rules = rules("policy: []");
    assert_eq!(decided(&rules, &node(&[]), &HOST).1, "hold");
    let approved = [EvidenceKind::Host, EvidenceKind::Operator];
    assert_eq!(decided(&rules, &node(&[]), &approved).1, "issue");
}

#[test]
fn an_operators_word_does_not_overrule_a_denial() {
    let rules = rules("policy: [{name: no, verdict: deny, reason: never}]");
    let approved = [EvidenceKind::Host, EvidenceKind::Operator];
    assert_eq!(decided(&rules, &node(&[]), &approved).1, "deny");
}

#[test]
fn each_condition_is_about_what_it_says() {
    for (condition, holds) in [
        ("networks: [h1/front]", true),
        ("networks: [h2/*, 'h1/f*']", true),
        ("networks: [h1/back]", false),
        ("cidrs: [10.1.0.0/16]", true),
        ("cidrs: [10.1.0.2]", true),
        ("cidrs: [10.2.0.0/16, 'fd00::/8']", false),
        ("hosts: [h1]", true),
        ("hosts: [h2, 'x*']", false),
        ("labels: 'role=web, @image=nginx:*'", true),
        ("labels: role=db", false),
        ("evidence: [host]", true),
        ("evidence: [host, socket]", false),
        ("networks: [h1/front], cidrs: [10.2.0.0/16]", false),
    ] {
        let labels = [("role", "web", Tier::Host)];
        assert_eq!(matches(condition, &labels), holds, "{condition}");
    }
    let digest = |byte: &str| format!("image_digests: ['sha256:{}']", byte.repeat(32));
    assert!(matches(&digest("ab"), &[]));
    assert!(!matches(&digest("cd"), &[]));
}

#[test]
fn a_label_counts_only_from_the_tier_that_the_rule_demands() {
    let by = |tier| [("role", "web", tier)];
    let demand = |tier: Option<&str>| {
        let tier = tier.map(|tier| format!(", label_tier: {tier}"));
        format!("labels: role=web{}", tier.unwrap_or_default())
    };
    // Without a word about it: the host's or the operator's.
    assert!(matches(&demand(None), &by(Tier::Host)));
    assert!(!matches(&demand(None), &by(Tier::Token)));
    assert!(matches(&demand(Some("token")), &by(Tier::Token)));
    assert!(!matches(&demand(Some("token")), &by(Tier::Agent)));
    assert!(!matches(&demand(Some("operator")), &by(Tier::Host)));
    assert!(matches(&demand(Some("operator")), &by(Tier::Operator)));
}

#[test]
fn a_weak_label_does_not_meet_a_demand_that_it_be_another_or_absent() {
    for condition in [
        "labels: role!=web",
        "labels: '!role'",
        "labels: 'role notin (web)'",
    ] {
        assert!(matches(condition, &[]), "{condition}");
        let by_agent = [("role", "web", Tier::Agent)];
        assert!(!matches(condition, &by_agent), "{condition}");
        let other = [("role", "db", Tier::Agent)];
        assert!(!matches(condition, &other), "{condition}");
    }
}

#[test]
fn every_error_is_told_with_its_line() {
    let errors = read(
        "policy:
  - {name: a, verdict: issue, reason: x}
  - {name: a, verdict: deny, lifetime: 1h, reason: y}
  - {verdict: hold}
  - {name: b, verdict: issue, lifetime: 1m, evidence: [hosts]}
  - {name: c, verdict: issue, networks: [], cidrs: [10.0.0.1/8], label_tier: host}
  - {name: d, verdict: issue, label: x=y}
  - {name: e, verdict: issue, image_digests: [latest], labels: 'a in ('}
",
    )
    .unwrap_err();
    for part in [
        "f:2: \"reason\" means nothing with this verdict",
        "f:3: \"lifetime\" means nothing",
        "f:3: a rule \"a\" stands in line 2 already",
        "f:4: the rule lacks \"name\"",
        "f:4: the rule lacks \"reason\"",
        "f:5: \"lifetime\": \"1m\" is no duration from 5m to 30d",
        "f:5: \"evidence\": \"hosts\" is not a kind of evidence",
        "f:6: \"networks\" is an empty list",
        "f:6: \"cidrs\": \"10.0.0.1/8\" lies within 10.0.0.0/8",
        "f:6: \"label_tier\" says who must vouch",
        "f:7: \"label\" is not known in a rule",
        "f:8: \"image_digests\": an image digest is sha256:",
        "f:8: \"labels\": ",
    ] {
        assert!(errors.contains(part), "{part} in\n{errors}");
    }
}

#[test]
fn what_comes_after_a_rule_without_conditions_or_with_the_same_is_never_reached() {
    let rules = rules(
        "policy:
  - {name: a, hosts: [h1], verdict: issue}
  - {name: b, hosts: [h1], verdict: deny, reason: x}
  - {name: c, verdict: hold, reason: x}
  - {name: d, hosts: [h2], verdict: issue}
",
    );
    let lines: Vec<u32> = rules.unreachable().iter().map(|(line, _)| *line).collect();
    assert_eq!(lines, [3, 5]);
}

#[test]
fn the_digest_is_of_what_a_policy_says_and_not_of_how_it_is_written() {
    let one = rules("policy: [{name: a, hosts: [h1], verdict: issue, lifetime: 60m}]");
    let same = rules(
        "# a comment\npolicy:\n  - name: a\n    verdict: issue\n    lifetime: 1h\n    hosts:\n      - h1\n",
    );
    assert_eq!(one.sha256(), same.sha256());
    let other = rules("policy: [{name: a, hosts: [h2], verdict: issue, lifetime: 60m}]");
    assert_ne!(one.sha256(), other.sha256());
    let canonical: serde_json::Value = serde_json::from_slice(one.canonical()).unwrap();
    assert_eq!(canonical["rules"][0]["when"]["hosts"][0], "h1");
}

#[derive(Debug, Clone)]
struct Written {
    network: Option<&'static str>,
    role: Option<(&'static str, Tier)>,
    evidence: Vec<EvidenceKind>,
    outcome: usize,
}

fn written() -> impl Strategy<Value = Written> {
    let network = prop::option::of(prop::sample::select(vec!["h1/front", "h1/back", "h1/*"]));
    let tiers = vec![Tier::Agent, Tier::Token, Tier::Host, Tier::Operator];
    let role = prop::option::of((
        prop::sample::select(vec!["role=web", "role!=web"]),
        prop::sample::select(tiers),
    ));
    let evidence = prop::sample::subsequence(EvidenceKind::OF_CONTAINERS.to_vec(), 0..3);
    (network, role, evidence, 0usize..3).prop_map(|(network, role, evidence, outcome)| Written {
        network,
        role,
        evidence,
        outcome,
    })
}

fn made(written: &[Written]) -> Rules {
    let rule = |(index, one): (usize, &Written)| Rule {
        name: RuleName::Given(format!("r{index}").parse().unwrap()),
        conditions: Conditions {
            networks: one
                .network
                .iter()
                .map(|text| text.parse().unwrap())
                .collect(),
            labels: one.role.map(|(selector, tier)| conditions::Labels {
                selector: selector.parse().unwrap(),
                tier,
            }),
            evidence: one.evidence.clone(),
            ..Conditions::default()
        },
        outcome: match one.outcome {
            0 => Outcome::Issue { lifetime: None },
            1 => Outcome::Hold {
                reason: "hold".into(),
                lifetime: None,
            },
            _ => Outcome::Deny {
                reason: "deny".into(),
            },
        },
        line: 0,
    };
    Rules::new(
        written.iter().enumerate().map(rule).collect(),
        Lifetime::default(),
    )
}

/// A rule's match as a reader of the documentation would have it, made without the code that is tested.
fn fits(rule: &Written, network: &str, label: Option<Tier>, evidence: &[EvidenceKind]) -> bool {
    let in_network = match rule.network {
        None | Some("h1/*") => true,
        Some(wanted) => wanted == network,
    };
    let labelled = match (rule.role, label) {
        (None, _) => true,
        (Some((_, least)), Some(tier)) if tier < least => false,
        (Some((selector, _)), Some(_)) => selector == "role=web",
        (Some((selector, _)), None) => selector == "role!=web",
    };
    in_network && labelled && rule.evidence.iter().all(|kind| evidence.contains(kind))
}

proptest! {
    /// Whatever the rules and the claim: there is a verdict, it is that of the first rule that
    /// fits, and an operator's word turns a hold into a certificate and nothing else.
    #[test]
    fn the_first_rule_that_fits_decides_and_there_is_always_a_verdict(
        written in prop::collection::vec(written(), 0..6),
        network in prop::sample::select(vec!["h1/front", "h1/back"]),
        label in prop::option::of(prop::sample::select(vec![Tier::Agent, Tier::Token, Tier::Host, Tier::Operator])),
        evidence in prop::sample::subsequence(EvidenceKind::OF_CONTAINERS.to_vec(), 0..5),
    ) {
        let rules = made(&written);
        let labels: Vec<_> = label.map(|tier| ("role", "web", tier)).into_iter().collect();
        let mut node = node(&labels);
        node.addresses = vec![format!("{network}/10.1.0.2").parse().unwrap()];
        let first = written.iter().position(|rule| fits(rule, network, label, &evidence));
        let approved = evidence.contains(&EvidenceKind::Operator);
        let verdict = match first.map(|index| written[index].outcome) {
            Some(0) => "issue",
            Some(1) | None if approved => "issue",
            Some(1) | None => "hold",
            Some(_) => "deny",
        };
        let rule = first.map_or("default: no rule matches".to_owned(), |index| format!("r{index}"));
        prop_assert_eq!(decided(&rules, &node, &evidence), (rule, verdict));

        // What explains agrees with what decides.
        let claim = Claim { address: Some(&node.addresses[0]), node: &node, evidence: &evidence };
        let looked: Vec<bool> = rules.look(claim).map(|look| look.failure.is_none()).collect();
        prop_assert_eq!(looked.len(), first.map_or(written.len(), |index| index + 1));
        prop_assert_eq!(looked.iter().position(|matches| *matches), first);
    }

    /// A rule behind the one that decides makes no difference, and one before it only if it fits.
    #[test]
    fn what_stands_behind_the_rule_that_decides_makes_no_difference(
        written in prop::collection::vec(written(), 1..5),
        more in written(),
    ) {
        let node = node(&[("role", "web", Tier::Host)]);
        let before = decided(&made(&written), &node, &HOST);
        let mut longer = written.clone();
        longer.push(more.clone());
        if before.0 != "default: no rule matches" {
            prop_assert_eq!(&decided(&made(&longer), &node, &HOST), &before);
        }
        if !fits(&more, "h1/front", Some(Tier::Host), &HOST) {
            let mut shifted = vec![more];
            shifted.extend(written);
            prop_assert_eq!(decided(&made(&shifted), &node, &HOST).1, before.1);
        }
    }
}
