//! What the socket of the connection tells, and the addresses that change under a certificate.

use super::*;

/// A container in the network namespace of the first one.
fn sidecar() -> ContainerFacts {
    ContainerFacts {
        network_mode: NetworkMode::Container(id(1).to_string()),
        ..recent(2, &[])
    }
}

fn with(socket: SocketVerdict, facts: &ContainerFacts) -> Claimed {
    Claimed {
        socket,
        ..claimed(facts)
    }
}

fn unavailable(sharing: &[ContainerId]) -> SocketVerdict {
    SocketVerdict::Unavailable {
        why: "no root".to_owned(),
        sharing: sharing.to_vec(),
    }
}

/// What comes of a request from the first container's address.
fn ask(claimed: &Claimed, renewing: Option<ContainerId>) -> Result<Grant, ProblemCode> {
    ask_by(&policy(), claimed, renewing)
}

fn ask_by(
    policy: &Policy,
    claimed: &Claimed,
    renewing: Option<ContainerId>,
) -> Result<Grant, ProblemCode> {
    let state = state(&[recent(1, &["172.17.0.2"]), sidecar()]);
    let applicant = Applicant {
        renewing,
        ..applicant("172.17.0.2")
    };
    let decided = decide_by(policy, &applicant, claimed, &state);
    decided.map(granted).map_err(|refusal| {
        assert!(!refusal.hint.is_empty());
        refusal.code
    })
}

#[test]
fn a_connection_that_is_not_the_holders_is_refused() {
    let web = recent(1, &["172.17.0.2"]);
    for socket in [SocketVerdict::NotThere, SocketVerdict::Foreign] {
        let refused = ask(&with(socket, &web), None);
        assert_eq!(refused.unwrap_err(), ProblemCode::SocketMismatch);
    }
}

#[test]
fn no_host_speaks_for_a_container_of_another() {
    for facts in [recent(1, &["172.17.0.2"]), sidecar()] {
        let lie = Claimed {
            host: "h3".parse().unwrap(),
            ..with(SocketVerdict::Owned { pid: 1 }, &facts)
        };
        assert_eq!(ask(&lie, None).unwrap_err(), ProblemCode::SocketMismatch);
    }
}

#[test]
fn where_the_host_cannot_tell_its_word_for_the_address_is_enough_and_the_log_says_so() {
    let web = recent(1, &["172.17.0.2"]);
    let grant = ask(&with(unavailable(&[]), &web), None).unwrap();
    let [Evidence::Host { no_socket, .. }] = &grant.evidence[..] else {
        panic!("{:?}", grant.evidence);
    };
    assert_eq!(no_socket, "no root");
}

#[test]
fn a_policy_may_ask_for_a_socket_and_then_the_hosts_word_is_not_enough() {
    let policy = written(
        "policy: [{name: strict, evidence: [socket], verdict: issue}, {name: rest, verdict: deny, reason: no}]",
    );
    let web = recent(1, &["172.17.0.2"]);
    assert_eq!(
        ask_by(&policy, &claimed(&web), None).unwrap().rule,
        "strict"
    );
    let blind = ask_by(&policy, &with(unavailable(&[]), &web), None);
    assert_eq!(blind.unwrap_err(), ProblemCode::DeniedByPolicy);
}

#[test]
fn who_shares_an_address_gets_it_never_and_a_name_of_its_own_only_by_its_socket() {
    let (web, sidecar) = (recent(1, &["172.17.0.2"]), sidecar());
    let own = SocketVerdict::Owned { pid: 8 };
    let grant = ask(&with(own.clone(), &sidecar), None).unwrap();
    assert_eq!((grant.container, grant.addresses), (sidecar.id, vec![]));
    let blind = with(unavailable(&[]), &sidecar);
    assert_eq!(
        ask(&blind, None).unwrap_err(),
        ProblemCode::AmbiguousAddress
    );
    // It may be the neighbour or the holder that asks: neither gets the holder's.
    let either = with(unavailable(&[sidecar.id]), &web);
    assert_eq!(
        ask(&either, None).unwrap_err(),
        ProblemCode::AmbiguousAddress
    );
    // A renewal is by the holder's own key.
    assert!(ask(&either, Some(web.id)).is_ok());
    assert_eq!(
        ask(&either, Some(sidecar.id)).unwrap_err(),
        ProblemCode::CertificateRevoked
    );
    // A rule that names addresses is not about a container that has none.
    let policy = written(
        "policy: [{name: here, cidrs: [0.0.0.0/0], verdict: issue}, {name: rest, verdict: deny, reason: no}]",
    );
    let refused = ask_by(&policy, &with(own, &sidecar), None);
    assert_eq!(refused.unwrap_err(), ProblemCode::DeniedByPolicy);
}

#[test]
fn a_certificate_for_other_addresses_ends_certificates_for_fewer() {
    let before = recent(1, &["172.17.0.2"]);
    let mut state = state(std::slice::from_ref(&before));
    let ask = |state: &State, facts: &ContainerFacts| {
        decide(&applicant("172.17.0.2"), &claimed(facts), state).unwrap()
    };
    let first = ask(&state, &before);
    assert_eq!(first.superseded, []);
    let serial = issue(&mut state, &first);
    assert_eq!(ask(&state, &before).superseded, [], "the same addresses");
    let after = recent(1, &["172.17.0.2", "172.18.0.2"]);
    observe(&mut state, &Observation::Up(after.clone()));
    let grant = ask(&state, &after);
    assert_eq!(grant.superseded, [serial]);
    let node = state.node(&after.id).unwrap();
    assert_ne!(node.certificate(&serial).unwrap().held, node.addresses);
    let renewed = issue(&mut state, &grant);
    let node = state.node(&after.id).unwrap();
    assert_eq!(node.certificate(&renewed).unwrap().held, node.addresses);
}
