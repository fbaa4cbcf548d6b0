//! From what an operator types to a node.

use std::net::IpAddr;

use dockmaster_proto::id::ContainerId;

use super::{NodeRecord, State};

/// What an operator may name a node by: an IP, a whole container ID, a container name, or the
/// beginning of a container ID; the first of these that a text can be is what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeReference<'a>(pub &'a str);

/// Why a reference names no node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// Nothing fits.
    #[error("no live node has the name, IP or container-ID prefix {0:?}")]
    Unknown(String),
    /// Several fit.
    #[error("{reference:?} fits several nodes: {}", .candidates.join(", "))]
    Ambiguous {
        /// What was asked for.
        reference: String,
        /// `NAME (short ID) on host HOST` of each.
        candidates: Vec<String>,
        /// What tells one from the others.
        hint: &'static str,
    },
}

/// The shortest ID prefix that counts: `a` or `db` is rather a name with a typo.
pub(crate) const MIN_PREFIX: usize = 3;

/// What a reference can be.
enum Meaning<'a> {
    Ip(IpAddr),
    Id(ContainerId),
    Text(&'a str),
}

impl<'a> NodeReference<'a> {
    fn meaning(self) -> Meaning<'a> {
        // First: an engine lets a container be named 10.0.0.7, and whoever asks for an address
        // means its holder.
        if let Ok(ip) = self.0.parse::<IpAddr>() {
            return Meaning::Ip(ip.to_canonical());
        }
        self.0.parse().map_or(Meaning::Text(self.0), Meaning::Id)
    }

    /// Whether the reference may mean this node.
    #[must_use]
    pub fn fits(self, node: &NodeRecord) -> bool {
        match self.meaning() {
            Meaning::Ip(ip) => node.addresses.iter().any(|held| held.address.ip == ip),
            Meaning::Id(id) => *node.id() == id,
            Meaning::Text(text) => {
                node.facts.name == text
                    || (text.len() >= MIN_PREFIX && node.id().to_string().starts_with(text))
            }
        }
    }

    /// What tells one from the others, where several fit.
    fn hint(self, is_name: bool) -> &'static str {
        match self.meaning() {
            Meaning::Ip(_) => {
                "containers of several networks or hosts hold this IP; give the container's name or its ID"
            }
            Meaning::Text(_) if is_name => "it is the name of each; give the container ID",
            Meaning::Id(_) | Meaning::Text(_) => "give more digits of the container ID",
        }
    }

    /// Whether it is the node's name.
    fn names(self, node: &NodeRecord) -> bool {
        matches!(self.meaning(), Meaning::Text(text) if node.facts.name == text)
    }
}

impl State {
    /// The one live node that a reference means. A name wins over the beginning of an ID.
    ///
    /// # Errors
    /// When none or several fit.
    pub fn find(&self, reference: NodeReference<'_>) -> Result<&NodeRecord, LookupError> {
        let fitting: Vec<&NodeRecord> = self.nodes().filter(|node| reference.fits(node)).collect();
        let named: Vec<&NodeRecord> = fitting
            .iter()
            .copied()
            .filter(|node| reference.names(node))
            .collect();
        match (&named[..], &fitting[..]) {
            ([node], _) | ([], [node]) => Ok(node),
            ([], []) => Err(LookupError::Unknown(reference.0.to_owned())),
            _ => Err(LookupError::Ambiguous {
                reference: reference.0.to_owned(),
                candidates: fitting.iter().map(|node| candidate(node)).collect(),
                hint: reference.hint(!named.is_empty()),
            }),
        }
    }
}

fn candidate(node: &NodeRecord) -> String {
    let (name, id) = (&node.facts.name, node.id().short());
    format!("{name} ({id}) on host {}", node.host)
}

#[cfg(test)]
mod tests {
    use dockmaster_host::Observation;

    use super::*;
    use crate::testing::{facts, id, observe};

    fn find(state: &State, reference: &str) -> Result<ContainerId, LookupError> {
        state.find(NodeReference(reference)).map(|node| *node.id())
    }

    #[test]
    fn an_address_means_its_holder_whatever_others_are_named() {
        let mut state = State::default();
        let holder = facts(1, &["172.17.0.2"]);
        let mut impostor = facts(2, &["172.17.0.3"]);
        impostor.name = "172.17.0.2".into();
        for container in [holder, impostor] {
            observe(&mut state, &Observation::Up(container));
        }
        assert_eq!(find(&state, "172.17.0.2"), Ok(id(1)));
        assert_eq!(find(&state, "::ffff:172.17.0.2"), Ok(id(1)));
    }

    #[test]
    fn a_whole_id_means_its_container_and_a_name_goes_before_the_beginning_of_an_id() {
        let mut state = State::default();
        let (first, mut second) = (facts(1, &["172.17.0.2"]), facts(2, &["172.17.0.3"]));
        second.name = id(1).to_string();
        let mut third = facts(3, &["172.17.0.4"]);
        third.name = id(1).short();
        for container in [first, second, third] {
            observe(&mut state, &Observation::Up(container));
        }
        assert_eq!(find(&state, &id(1).to_string()), Ok(id(1)));
        assert_eq!(find(&state, &id(1).short()), Ok(id(3)));
        assert_eq!(find(&state, "0202"), Ok(id(2)));
        assert!(matches!(find(&state, "02"), Err(LookupError::Unknown(_))));
        assert!(matches!(find(&state, "0"), Err(LookupError::Unknown(_))));
    }

    #[test]
    fn whoever_names_several_is_told_of_each_with_its_host_and_how_to_name_one() {
        let mut state = State::default();
        let first = facts(1, &["172.17.0.2"]);
        let mut second = facts(2, &["172.17.0.2"]);
        second.attachments[0].network = "h1/other".parse().unwrap();
        second.name = first.name.clone();
        for container in [first, second] {
            observe(&mut state, &Observation::Up(container));
        }
        let told = |reference: &str| match find(&state, reference) {
            Err(error @ LookupError::Ambiguous { hint, .. }) => (error.to_string(), hint),
            other => panic!("{other:?}"),
        };
        let (text, hint) = told("172.17.0.2");
        let each = "c1 (010101010101) on host h1, c1 (020202020202) on host h1";
        assert!(text.ends_with(each), "{text}");
        assert!(hint.contains("name or its ID"), "{hint}");
        assert!(told("c1").1.ends_with("give the container ID"));
    }
}
