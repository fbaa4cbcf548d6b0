//! The policy: which requests for a certificate are issued, held for an operator, or denied.
//!
//! An ordered list of rules; the first whose conditions all hold decides. Pure: no clock, no view,
//! no chance. What is not decided by a rule is held.

mod canonical;
mod conditions;
mod lint;
mod parse;

use dockmaster_proto::{
    address::Address,
    event::EvidenceKind,
    id::{Digest, Name},
    node::NodeView,
};

pub use conditions::{Conditions, Pattern};
pub use parse::{ImageDigest, parse};

use crate::lifetime::Lifetime;

/// The rule of an installation without a policy: what the host knows gets a certificate.
const HOST_EVIDENCE: &str = "default: host evidence";
/// And what an operator's join token let in.
const TOKEN_EVIDENCE: &str = "default: join token";
/// Where no rule matches.
const UNMATCHED: &str = "default: no rule matches";

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    rules: Vec<Rule>,
    lifetime: Lifetime,
    canonical: Vec<u8>,
    sha256: Digest,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its name: part of each entry of the ledger that rests on it.
    pub name: RuleName,
    /// What has to hold.
    pub conditions: Conditions,
    /// What then is.
    pub outcome: Outcome,
    /// The line where it stands; 0 where it is in no file.
    pub line: u32,
}

/// A rule's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleName {
    /// One that a person gave.
    Given(Name),
    /// One that stands in no file.
    BuiltIn(&'static str),
}

impl RuleName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Given(name) => name.as_str(),
            Self::BuiltIn(name) => name,
        }
    }
}

/// What a rule says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A certificate, for this long; for as long as others where none is given.
    Issue {
        /// How long.
        lifetime: Option<Lifetime>,
    },
    /// A certificate once an operator has approved the request.
    Hold {
        /// Why an operator has to look at it.
        reason: String,
        /// How long the certificate then lasts.
        lifetime: Option<Lifetime>,
    },
    /// No certificate.
    Deny {
        /// Why.
        reason: String,
    },
}

/// What is decided upon: one address of a container, and what supports the claim to it.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The address; none where the container shares another's network namespace and holds none.
    pub address: Option<&'a Address>,
    /// The container.
    pub node: &'a NodeView,
    /// The kinds of evidence that there is.
    pub evidence: &'a [EvidenceKind],
}

/// What is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// A certificate.
    Issue {
        /// For how long.
        lifetime: Lifetime,
    },
    /// An operator has to approve first.
    Hold {
        /// Why.
        reason: &'a str,
        /// How long the certificate then lasts.
        lifetime: Lifetime,
    },
    /// No certificate.
    Deny {
        /// Why.
        reason: &'a str,
    },
}

/// A verdict and the rule that gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgement<'a> {
    /// The rule's name.
    pub rule: &'a str,
    /// The verdict.
    pub verdict: Verdict<'a>,
}

/// What one rule says to a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// The first condition that does not hold, in words; none where the rule matches.
    pub failure: Option<String>,
}

impl Rules {
    /// A policy with these rules; `lifetime` is that of certificates whose rule names none.
    #[must_use]
    pub fn new(rules: Vec<Rule>, lifetime: Lifetime) -> Self {
        let canonical = canonical::of(&rules, lifetime);
        Self {
            sha256: Digest::of(&canonical),
            canonical,
            rules,
            lifetime,
        }
    }

    /// The policy of an installation that wrote none.
    #[must_use]
    pub fn unwritten(lifetime: Lifetime) -> Self {
        let rule = |name, evidence| Rule {
            name: RuleName::BuiltIn(name),
            conditions: Conditions {
                evidence: vec![evidence],
                ..Conditions::default()
            },
            outcome: Outcome::Issue { lifetime: None },
            line: 0,
        };
        let host = rule(HOST_EVIDENCE, EvidenceKind::Host);
        let token = rule(TOKEN_EVIDENCE, EvidenceKind::Token);
        Self::new(vec![host, token], lifetime)
    }

    /// The rules, in order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The lifetime of certificates whose rule names none.
    #[must_use]
    pub const fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// What the ledger calls it by: SHA-256 of [`Rules::canonical`].
    #[must_use]
    pub const fn sha256(&self) -> Digest {
        self.sha256
    }

    /// The policy without comments, lines and the like, in JSON: two files that say the same have
    /// the same.
    #[must_use]
    pub fn canonical(&self) -> &[u8] {
        &self.canonical
    }

    /// Rules that no request can come to, in words with their lines.
    #[must_use]
    pub fn unreachable(&self) -> Vec<(u32, String)> {
        lint::unreachable(&self.rules)
    }

    /// What the rules say to a claim, one after the other, up to the first that matches.
    pub fn look<'a>(&'a self, claim: Claim<'a>) -> impl Iterator<Item = Look<'a>> {
        let mut is_decided = false;
        self.rules.iter().map_while(move |rule| {
            if is_decided {
                return None;
            }
            let failure = rule.conditions.first_failure(claim);
            is_decided = failure.is_none();
            Some(Look { rule, failure })
        })
    }
}

/// Decides upon a claim: the first rule that matches does, and where none does it is held. A rule
/// that holds asks for an operator's word; a claim that has it is granted.
#[must_use]
pub fn decide<'a>(rules: &'a Rules, claim: &Claim<'_>) -> Judgement<'a> {
    let matching = rules
        .rules
        .iter()
        .find(|rule| rule.conditions.first_failure(*claim).is_none());
    let Some(rule) = matching else {
        let reason = "no rule of the policy is about it";
        return Judgement {
            rule: UNMATCHED,
            verdict: hold(reason, rules.lifetime, claim),
        };
    };
    let verdict = match &rule.outcome {
        Outcome::Issue { lifetime } => Verdict::Issue {
            lifetime: lifetime.unwrap_or(rules.lifetime),
        },
        Outcome::Hold { reason, lifetime } => {
            hold(reason, lifetime.unwrap_or(rules.lifetime), claim)
        }
        Outcome::Deny { reason } => Verdict::Deny { reason },
    };
    Judgement {
        rule: rule.name.as_str(),
        verdict,
    }
}

fn hold<'a>(reason: &'a str, lifetime: Lifetime, claim: &Claim<'_>) -> Verdict<'a> {
    if claim.evidence.contains(&EvidenceKind::Operator) {
        Verdict::Issue { lifetime }
    } else {
        Verdict::Hold { reason, lifetime }
    }
}

#[cfg(test)]
mod tests;
