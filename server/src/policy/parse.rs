//! Reading a policy: every error in it, each with its line.

use std::{fmt::Display, str::FromStr};

use dockmaster_document::{
    diagnostic::{Diagnostic, SourceFile},
    fields::Fields,
    yaml::Node,
};
use dockmaster_proto::{id::Digest, id::Name, label::Tier, selector::Selector};

use super::{Conditions, Outcome, Rule, RuleName, Rules, conditions::Labels};
use crate::lifetime::Lifetime;

/// The key in the configuration.
const POLICY: &str = "policy";
/// What a rule may say.
const KEYS: [&str; 11] = [
    "name",
    "networks",
    "cidrs",
    "hosts",
    "image_digests",
    "labels",
    "label_tier",
    "evidence",
    "verdict",
    "lifetime",
    "reason",
];
/// The longest reason, in bytes: it is part of ledger entries and answers.
const MAX_REASON: usize = 300;

/// Reads the policy of a configuration; `lifetime` is that of certificates whose rule names none.
/// Without the key it is [`Rules::unwritten`]; an empty list is a policy that holds everything.
pub fn parse(
    file: SourceFile<'_>,
    configuration: &Fields<'_>,
    lifetime: Lifetime,
    wrong: &mut Vec<Diagnostic>,
) -> Rules {
    if configuration.get(POLICY).is_none() {
        return Rules::unwritten(lifetime);
    }
    let mut rules: Vec<Rule> = Vec::new();
    for item in configuration.list(POLICY, wrong) {
        let Some(rule) = rule(file, item, wrong) else {
            continue;
        };
        if let Some(first) = rules.iter().find(|other| other.name == rule.name) {
            let (name, line) = (rule.name.as_str(), first.line);
            let message = format!("a rule {name:?} stands in line {line} already");
            wrong.push(file.error(rule.line, message));
        }
        rules.push(rule);
    }
    Rules::new(rules, lifetime)
}

fn rule(file: SourceFile<'_>, item: &Node, wrong: &mut Vec<Diagnostic>) -> Option<Rule> {
    let reader = Reader {
        file,
        fields: Fields::of(file, item, "a rule", &KEYS, wrong),
        line: item.at.line,
    };
    let name: Option<Name> = reader.required("name", wrong);
    let conditions = Conditions {
        networks: reader.list("networks", wrong),
        cidrs: reader.list("cidrs", wrong),
        hosts: reader.list("hosts", wrong),
        image_digests: reader
            .list::<ImageDigest>("image_digests", wrong)
            .into_iter()
            .map(|ImageDigest(digest)| digest)
            .collect(),
        labels: reader.labels(wrong),
        evidence: reader.list("evidence", wrong),
    };
    let outcome = reader.outcome(wrong);
    Some(Rule {
        name: RuleName::Given(name?),
        conditions,
        outcome: outcome?,
        line: reader.line,
    })
}

/// A rule that is being read.
struct Reader<'a> {
    file: SourceFile<'a>,
    fields: Fields<'a>,
    line: u32,
}

impl Reader<'_> {
    fn required<T: FromStr<Err: Display>>(
        &self,
        key: &str,
        wrong: &mut Vec<Diagnostic>,
    ) -> Option<T> {
        if self.fields.get(key).is_none() {
            wrong.push(self.error(format!("the rule lacks {key:?}")));
        }
        self.fields.parsed(key, wrong)
    }

    /// A list that has something in it where it stands: an empty one would be a condition that
    /// nothing meets to one reader and none at all to the other.
    fn list<T: FromStr<Err: Display>>(&self, key: &str, wrong: &mut Vec<Diagnostic>) -> Vec<T> {
        let before = wrong.len();
        let items = self.fields.parsed_list(key, wrong);
        let stands = self.fields.get(key);
        if let Some(entry) = stands.filter(|_| items.is_empty() && wrong.len() == before) {
            let message = format!("{key:?} is an empty list; leave it out");
            wrong.push(self.file.error(entry.at.line, message));
        }
        items
    }

    fn labels(&self, wrong: &mut Vec<Diagnostic>) -> Option<Labels> {
        let tier: Option<Tier> = self.fields.parsed("label_tier", wrong);
        let selector: Option<Selector> = self.fields.parsed("labels", wrong);
        if let Some(entry) = self.fields.get("label_tier")
            && self.fields.get("labels").is_none()
        {
            let message = "\"label_tier\" says who must vouch for \"labels\", and there are none";
            wrong.push(self.file.error(entry.at.line, message));
        }
        let selector = selector?;
        if selector.is_everything() {
            wrong.push(self.error("\"labels\" is empty; leave it out"));
        }
        Some(Labels {
            selector,
            // An agent says what it likes, and a token's labels are as good as its keeping.
            tier: tier.unwrap_or(Tier::Host),
        })
    }

    fn outcome(&self, wrong: &mut Vec<Diagnostic>) -> Option<Outcome> {
        let word: Option<Word> = self.required("verdict", wrong);
        let lifetime: Option<Lifetime> = self.fields.parsed("lifetime", wrong);
        let reason: Option<Reason> = self.fields.parsed("reason", wrong);
        let unwanted = match word? {
            Word::Issue => "reason",
            Word::Deny => "lifetime",
            Word::Hold => "",
        };
        if let Some(entry) = self.fields.get(unwanted) {
            let message = format!("{unwanted:?} means nothing with this verdict");
            wrong.push(self.file.error(entry.at.line, message));
        }
        if word != Some(Word::Issue) && self.fields.get("reason").is_none() {
            let message = "the rule lacks \"reason\": what the container and the operator are told";
            wrong.push(self.error(message));
        }
        let reason = reason.map(|Reason(text)| text);
        Some(match word? {
            Word::Issue => Outcome::Issue { lifetime },
            Word::Hold => Outcome::Hold {
                reason: reason?,
                lifetime,
            },
            Word::Deny => Outcome::Deny { reason: reason? },
        })
    }

    fn error(&self, message: impl Into<String>) -> Diagnostic {
        self.file.error(self.line, message)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Issue,
    Hold,
    Deny,
}

impl FromStr for Word {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "issue" => Ok(Self::Issue),
            "hold" => Ok(Self::Hold),
            "deny" => Ok(Self::Deny),
            _ => Err("a verdict is issue, hold or deny"),
        }
    }
}

struct Reason(String);

impl FromStr for Reason {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() || text.len() > MAX_REASON || text.chars().any(char::is_control) {
            return Err(format!(
                "a reason is one line of at most {MAX_REASON} bytes"
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The digest of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageDigest(String);

impl ImageDigest {
    /// `sha256:` and 64 hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ImageDigest {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hex = text.strip_prefix("sha256:");
        if hex.is_some_and(|hex| hex.parse::<Digest>().is_ok()) {
            return Ok(Self(text.to_owned()));
        }
        Err("an image digest is sha256: and 64 hex digits; \"dockmaster node show\" shows it")
    }
}
