//! The questions that every verifier is asked, with the right answers.

use std::{fs, path::PathBuf};

use crate::{
    house::{Chain, House, V4, V6},
    thief::Thief,
};

/// What a verifier is asked: is this who was dialled, or may this client be let in?
pub(crate) struct Question {
    /// As it stands in the matrix.
    pub(crate) text: &'static str,
    /// The right answer.
    pub(crate) right: Answer,
    /// What the certificate is shown for.
    pub(crate) role: Role,
    folder: tempfile::TempDir,
}

/// What the holder of a certificate does with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// It serves, and was dialled by this IP or name.
    Server(&'static str),
    /// It dials.
    Client,
}

/// What a verifier answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepted,
    Refused,
}

impl Question {
    /// `chain.pem`, `leaf.pem`, `above.pem`, `key.pem` or `bundle.pem`.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn new(
        right: Answer,
        text: &'static str,
        role: Role,
        house: &House,
        Chain { chain, key }: &Chain,
    ) -> Self {
        const END: &str = "-----END CERTIFICATE-----\n";
        let folder = tempfile::tempdir().unwrap();
        let (leaf, above) = chain.split_once(END).unwrap();
        for (name, text) in [
            ("chain.pem", chain.as_str()),
            ("leaf.pem", &format!("{leaf}{END}")),
            ("above.pem", above),
            ("key.pem", key),
            ("bundle.pem", &house.bundle),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        Self {
            text,
            right,
            role,
            folder,
        }
    }
}

/// Of neither range below.
const OUTSIDE_V4: &str = "172.18.0.5";
const OUTSIDE_V6: &str = "fd00:18::5";
const NAME: &str = "www.example.com";

/// All questions. Of each that is to be refused there is one that differs in nothing but the reason and is
/// to be accepted.
pub(crate) fn questions() -> Vec<Question> {
    let house = House::permitting(&["172.17.0.0/16", "fd00:17::/64"]);
    let v4_only = House::permitting(&["172.17.0.0/16"]);
    let stranger = House::permitting(&["172.17.0.0/16", "fd00:17::/64"]);
    let (thief, v4_thief) = (Thief::of_authority(&house), Thief::of_authority(&v4_only));
    let both = house.container(&[V4, V6]);
    let at = Role::Server;
    let yes =
        |text, role, chain: &Chain| Question::new(Answer::Accepted, text, role, &house, chain);
    let no = |text, role, chain: &Chain| Question::new(Answer::Refused, text, role, &house, chain);
    vec![
        yes("a container, dialled at its IPv4 address", at(V4), &both),
        yes("a container, dialled at its IPv6 address", at(V6), &both),
        yes("a container that dials", Role::Client, &both),
        no(
            "dialled at an address that is not its own",
            at("172.17.0.6"),
            &both,
        ),
        no("expired a minute ago", at(V4), &house.expired()),
        no("valid from an hour on", at(V4), &house.early()),
        no(
            "from an installation of the same trust domain with another root",
            at(V4),
            &stranger.container(&[V4]),
        ),
        yes(
            "stolen authority key: an IPv4 address inside the permitted ranges",
            at(V4),
            &thief.ip(V4),
        ),
        yes(
            "stolen authority key: an IPv6 address inside the permitted ranges",
            at(V6),
            &thief.ip(V6),
        ),
        no(
            "stolen authority key: an IPv4 address outside",
            at(OUTSIDE_V4),
            &thief.ip(OUTSIDE_V4),
        ),
        no(
            "stolen authority key: an IPv6 address outside",
            at(OUTSIDE_V6),
            &thief.ip(OUTSIDE_V6),
        ),
        Question::new(
            Answer::Refused,
            "stolen authority key: an IPv6 address where only IPv4 is permitted",
            at(V6),
            &v4_only,
            &v4_thief.ip(V6),
        ),
        no(
            "stolen authority key: a DNS name",
            at(NAME),
            &thief.dns(NAME),
        ),
        no(
            "stolen authority key: a DNS name as common name, beside a permitted IP",
            at(NAME),
            &thief.common_name(NAME, V4),
        ),
        no(
            "stolen authority key: a further authority below it",
            at(V4),
            &thief.below().ip(V4),
        ),
        no(
            "stolen container key: a certificate signed with it",
            at(V4),
            &Thief::of_container(&both).ip(V4),
        ),
    ]
}
