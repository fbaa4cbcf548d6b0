//! What tests of several modules need.

use dockmaster_proto::{
    facts::Limits,
    id::{ContainerId, Digest},
    label::{Labels, Tier},
    node::NodeView,
    time::UnixMs,
};

use crate::site::Site;

/// A site of these files.
pub(crate) fn site(files: &[(&str, &str)]) -> Site {
    let each = files.iter();
    let files = each.map(|(path, text)| ((*path).to_owned(), text.as_bytes().into()));
    Site::parse(&files.collect()).unwrap_or_else(|wrong| panic!("{wrong}"))
}

/// A node with host labels, its ID made of its name.
pub(crate) fn node(name: &str, labels: &[(&str, &str)]) -> NodeView {
    let mut all = Labels::new();
    for (key, value) in labels {
        all.set(*key, *value, Tier::Host);
    }
    NodeView {
        id: ContainerId::from_bytes(*Digest::of(name.as_bytes()).as_bytes()),
        name: name.to_owned(),
        host: "h1".parse().unwrap(),
        image: "app:1".to_owned(),
        image_digest: String::new(),
        addresses: vec!["h1/bridge/172.17.0.2".parse().unwrap()],
        labels: all,
        started_at_ms: UnixMs(1_700_000_000_000),
        limits: Limits::default(),
    }
}
