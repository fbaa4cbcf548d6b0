//! The form of a policy that its digest is made of.

use serde::Serialize;

use super::{Conditions, Outcome, Rule};
use crate::lifetime::Lifetime;

#[derive(Serialize)]
struct Policy<'a> {
    certificate_lifetime_ms: u64,
    rules: Vec<CanonicalRule<'a>>,
}

#[derive(Serialize)]
struct CanonicalRule<'a> {
    name: &'a str,
    when: &'a Conditions,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    lifetime_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// The canonical JSON.
#[expect(
    clippy::expect_used,
    reason = "every field is a string, a number or a list of such"
)]
pub(super) fn of(rules: &[Rule], lifetime: Lifetime) -> Vec<u8> {
    let policy = Policy {
        certificate_lifetime_ms: lifetime.as_ms(),
        rules: rules.iter().map(rule).collect(),
    };
    serde_json::to_vec(&policy).expect("a policy serialises")
}

fn rule(rule: &Rule) -> CanonicalRule<'_> {
    let (verdict, lifetime, reason) = match &rule.outcome {
        Outcome::Issue { lifetime } => ("issue", *lifetime, None),
        Outcome::Hold { reason, lifetime } => ("hold", *lifetime, Some(reason.as_str())),
        Outcome::Deny { reason } => ("deny", None, Some(reason.as_str())),
    };
    CanonicalRule {
        name: rule.name.as_str(),
        when: &rule.conditions,
        verdict,
        lifetime_ms: lifetime.map(Lifetime::as_ms),
        reason,
    }
}
