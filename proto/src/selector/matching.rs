//! Whether a node matches.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{BuiltIn, Expression, Key, Selector, Term, Test};
use crate::{label::Tier, node::NodeView};

impl Selector {
    /// Whether the node matches, taking only labels of tier `floor` or higher for true. A label
    /// below the floor counts as absent. Built-in keys are attested and always count.
    #[must_use]
    pub fn matches(&self, node: &NodeView, floor: Tier) -> bool {
        self.expression.matches(node, floor)
    }

    /// The first term that keeps the node from matching; `None` when it matches.
    #[must_use]
    pub fn first_failure(&self, node: &NodeView, floor: Tier) -> Option<String> {
        self.expression.first_failure(node, floor)
    }
}

impl Expression {
    fn matches(&self, node: &NodeView, floor: Tier) -> bool {
        match self {
            Self::Any(parts) => parts.iter().any(|part| part.matches(node, floor)),
            Self::All(parts) => parts.iter().all(|part| part.matches(node, floor)),
            Self::Term(term) => term.matches(node, floor),
        }
    }

    fn first_failure(&self, node: &NodeView, floor: Tier) -> Option<String> {
        match self {
            Self::All(parts) => parts
                .iter()
                .find_map(|part| part.first_failure(node, floor)),
            Self::Any(_) | Self::Term(_) => (!self.matches(node, floor)).then(|| self.to_string()),
        }
    }
}

impl Term {
    fn matches(&self, node: &NodeView, floor: Tier) -> bool {
        match &self.test {
            Test::Exists => self.key.exists(node, floor),
            Test::Absent => !self.key.exists(node, floor),
            Test::In(values) => self.key.is_one_of(values, node, floor),
            Test::NotIn(values) => !self.key.is_one_of(values, node, floor),
            Test::Less(number) => self
                .key
                .number(node, floor)
                .is_some_and(|value| value < *number),
            Test::Greater(number) => self
                .key
                .number(node, floor)
                .is_some_and(|value| value > *number),
        }
    }
}

impl Key {
    fn label<'a>(&self, node: &'a NodeView, floor: Tier) -> Option<&'a str> {
        match self {
            Self::Label(key) => node
                .labels
                .get(key)
                .filter(|label| label.tier >= floor)
                .map(|label| label.value.as_str()),
            Self::BuiltIn(_) => None,
        }
    }

    fn exists(&self, node: &NodeView, floor: Tier) -> bool {
        match self {
            Self::Label(_) => self.label(node, floor).is_some(),
            Self::BuiltIn(BuiltIn::Network | BuiltIn::Ip) => !node.addresses.is_empty(),
            Self::BuiltIn(BuiltIn::Id | BuiltIn::Name | BuiltIn::Host | BuiltIn::Image) => true,
        }
    }

    fn is_one_of(&self, values: &[String], node: &NodeView, floor: Tier) -> bool {
        let glob = |text: &str| values.iter().any(|pattern| glob_matches(pattern, text));
        match self {
            Self::Label(_) => self
                .label(node, floor)
                .is_some_and(|value| values.iter().any(|v| v == value)),
            Self::BuiltIn(BuiltIn::Id) => glob(&node.id.to_string()),
            Self::BuiltIn(BuiltIn::Name) => glob(&node.name),
            Self::BuiltIn(BuiltIn::Host) => glob(node.host.as_str()),
            Self::BuiltIn(BuiltIn::Image) => glob(&node.image),
            Self::BuiltIn(BuiltIn::Network) => node
                .addresses
                .iter()
                .any(|address| glob(address.network.as_str())),
            Self::BuiltIn(BuiltIn::Ip) => {
                let ranges: Vec<IpNet> =
                    values.iter().filter_map(|value| ip_range(value)).collect();
                node.addresses
                    .iter()
                    .any(|address| ranges.iter().any(|range| range.contains(&address.ip)))
            }
        }
    }

    fn number(&self, node: &NodeView, floor: Tier) -> Option<i64> {
        self.label(node, floor)?.parse().ok()
    }
}

pub(super) fn ip_range(text: &str) -> Option<IpNet> {
    text.parse()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// `*` is any run of characters, `?` any one. Linear in the text for each `*` (no backtracking
/// past the last star), so a hostile pattern cannot burn time.
#[must_use]
pub fn glob_matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut last_star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                last_star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match &mut last_star {
                Some((star, matched)) => {
                    *matched += 1;
                    (p, t) = (*star + 1, *matched);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{facts::Limits, id::ContainerId, label::Labels, time::UnixMs};

    fn node() -> NodeView {
        let mut labels = Labels::new();
        labels.set("role", "web", Tier::Host);
        labels.set("cpu", "4", Tier::Host);
        labels.set("hint", "x", Tier::Agent);
        NodeView {
            id: ContainerId::from_bytes([1; 32]),
            name: "web-1".into(),
            host: "h1".parse().unwrap(),
            image: "nginx:1.27".into(),
            image_digest: String::new(),
            addresses: vec!["h1/bridge/172.17.0.2".parse().unwrap()],
            labels,
            started_at_ms: UnixMs(0),
            limits: Limits::default(),
        }
    }

    #[test]
    fn terms_match_as_in_kubernetes() {
        let node = node();
        for (text, expected) in [
            ("", true),
            ("role", true),
            ("!role", false),
            ("role=web", true),
            ("role=db", false),
            ("role!=db", true),
            ("missing!=db", true),
            ("missing notin (a)", true),
            ("missing in (a)", false),
            ("role in (db, web)", true),
            ("role=web, !canary", true),
            ("cpu>3", true),
            ("cpu>4", false),
            ("cpu<5", true),
            ("role>1", false),
            ("role=db or cpu>3", true),
            ("(role=db or cpu>3), missing", false),
            ("@ip=172.17.0.2", true),
            ("@ip in (172.17.0.0/16)", true),
            ("@ip in (10.0.0.0/8, fd00::/8)", false),
            ("@image=nginx:*", true),
            ("@image=*:1.2?", true),
            ("@image=nginx", false),
            ("@network=h1/*", true),
            ("@host=h1", true),
            ("@name=web-*", true),
            ("@id=0101*", true),
            ("role=w*", false),
        ] {
            assert_eq!(
                text.parse::<Selector>()
                    .unwrap()
                    .matches(&node, Tier::Agent),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn a_label_below_the_floor_counts_as_absent() {
        let selector: Selector = "hint=x".parse().unwrap();
        assert!(selector.matches(&node(), Tier::Agent));
        assert!(!selector.matches(&node(), Tier::Host));
    }

    #[test]
    fn the_first_failing_term_is_named() {
        let selector: Selector = "role=web, tier=front, canary".parse().unwrap();
        assert_eq!(
            selector.first_failure(&node(), Tier::Agent).as_deref(),
            Some("tier=front")
        );
    }

    #[test]
    fn a_glob_takes_no_exponential_time() {
        assert!(!glob_matches(&"*a".repeat(200), &"a".repeat(100)));
        assert!(glob_matches("*", ""));
        assert!(!glob_matches("?", ""));
        assert!(glob_matches("a*b*c", "aXbbYc"));
    }
}
