//! What has to hold for a rule to match.

use std::{fmt, str::FromStr};

use dockmaster_proto::{
    address::Address,
    event::EvidenceKind,
    label::Tier,
    range::Range,
    selector::{Key, Selector, glob_matches},
};
use serde::Serialize;

use super::Claim;

/// Conditions; all of them have to hold. An empty list is no condition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Conditions {
    /// The address's network is one of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Pattern>,
    /// The address lies in one of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cidrs: Vec<Range>,
    /// The host that vouches is one of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<Pattern>,
    /// The image's digest is one of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub image_digests: Vec<String>,
    /// The container's labels match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Labels>,
    /// The claim has all of these kinds of evidence.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<EvidenceKind>,
}

/// A demand on labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Labels {
    /// What they have to be.
    pub selector: Selector,
    /// The least that has to vouch for each label that the selector reads.
    pub tier: Tier,
}

/// A name with `*` for any run of characters and `?` for any one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl Conditions {
    /// Whether every claim meets them.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// The first condition that a claim does not meet, in words; none where it meets all.
    #[must_use]
    pub fn first_failure(&self, claim: Claim<'_>) -> Option<String> {
        let Self {
            networks,
            cidrs,
            hosts,
            image_digests,
            labels,
            evidence,
        } = self;
        let host = claim.node.host.as_str();
        let digest = &claim.node.image_digest;
        match claim.address {
            Some(Address { network, .. })
                if !networks.is_empty()
                    && !networks.iter().any(|it| it.matches(network.as_str())) =>
            {
                return Some(format!("network {network} is none of {}", listed(networks)));
            }
            Some(Address { ip, .. })
                if !cidrs.is_empty() && !cidrs.iter().any(|range| range.contains(*ip)) =>
            {
                return Some(format!("{ip} lies in none of {}", listed(cidrs)));
            }
            None if !networks.is_empty() || !cidrs.is_empty() => {
                return Some("it shares another's network and holds no address".to_owned());
            }
            _ => {}
        }
        if !hosts.is_empty() && !hosts.iter().any(|pattern| pattern.matches(host)) {
            return Some(format!("host {host} is none of {}", listed(hosts)));
        }
        if !image_digests.is_empty() && digest.is_empty() {
            return Some("the host does not say the image's digest".to_owned());
        }
        if !image_digests.is_empty() && !image_digests.contains(digest) {
            return Some(format!("image digest {digest} is none of those listed"));
        }
        if let Some(failure) = labels.as_ref().and_then(|labels| labels.failure(claim)) {
            return Some(failure);
        }
        let mut lacking = evidence
            .iter()
            .filter(|kind| !claim.evidence.contains(kind));
        lacking
            .next()
            .map(|kind| format!("there is no {kind} evidence"))
    }
}

impl Labels {
    fn failure(&self, claim: Claim<'_>) -> Option<String> {
        let Self { selector, tier } = self;
        // A label below the tier counts for nothing, not even as absent: else whoever may only say
        // weak labels could meet "tier!=front" by saying so.
        for term in selector.terms() {
            if let Key::Label(key) = &term.key
                && let Some(label) = claim.node.labels.get(key)
                && label.tier < *tier
            {
                let said = label.tier;
                return Some(format!(
                    "label {key} is said by {said}, and it takes {tier}"
                ));
            }
        }
        let term = selector.first_failure(claim.node, *tier)?;
        Some(format!("labels do not match {term}"))
    }
}

fn listed<T: ToString>(items: &[T]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    items.join(", ")
}

impl Pattern {
    fn matches(&self, text: &str) -> bool {
        glob_matches(&self.0, text)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The longest pattern, in bytes.
const MAX_PATTERN: usize = 255;

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_/*?".contains(&byte);
        if (1..=MAX_PATTERN).contains(&text.len()) && text.bytes().all(fits) {
            return Ok(Self(text.to_owned()));
        }
        let shown: String = text.chars().take(96).collect();
        Err(format!(
            "{shown:?} can be no name; write letters, digits, '.', '-', '_', '/', with '*' and '?' for any others"
        ))
    }
}
