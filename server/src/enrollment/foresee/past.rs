//! What stands against containers that are no live nodes: they ended, or their host may not vouch for
//! them. Pure.

use std::net::IpAddr;

use dockmaster_proto::{
    api::denials::Foresight,
    event::{HostRefused, LeaseCause},
    id::Name,
    problem::ProblemCode,
    time::UnixMs,
    token::TOKEN_HOST,
};

use super::{blank, refused};
use crate::{
    enrollment::Refusal,
    origin::Origin,
    state::{NodeRecord, State},
};

/// The way by which a container came, or would, whose host need not be known any more.
fn way(host: &Name, ip: IpAddr, state: &State) -> Origin {
    if host.as_str() == TOKEN_HOST || state.is_here(host) {
        Origin::direct(ip)
    } else {
        Origin::relayed(ip, host.clone())
    }
}

/// Why a container that has ended gets nothing at the address that it held last: how its last lease
/// closed, where one did.
#[must_use]
pub fn ended(node: &NodeRecord, ip: IpAddr, cause: Option<LeaseCause>, state: &State) -> Foresight {
    let host = &node.host;
    let (container, at) = (node.id(), node.gone_at_ms.unwrap_or(UnixMs(0)));
    let short = container.short();
    let is_enrolled = state.host(host).is_some() || state.is_here(host);
    let (detail, hint) = match cause {
        Some(LeaseCause::HostEvicted) => (
            format!("host {host} was evicted at {at}, and with it all that it vouched for ended, container {short} too"),
            if is_enrolled {
                format!("a host {host} is enrolled again: the container is a node again when that one reports it (\"dockmaster host list\")")
            } else {
                format!("enroll the host anew: \"dockmaster host enroll {host}\"")
            },
        ),
        Some(LeaseCause::HostLost) => (
            format!("host {host} was lost for too long, so the leases of its containers were closed at {at}, those of {short} too"),
            format!("its containers enroll again by themselves when it is back; is \"dockmaster host run\" running on {host}?"),
        ),
        Some(LeaseCause::Evicted | LeaseCause::Expired) => (
            if cause == Some(LeaseCause::Evicted) {
                format!("an operator put machine {short} out at {at}")
            } else {
                format!("no certificate of machine {short} counted any more at {at}, so its lease was closed")
            },
            "give the machine a new token: \"dockmaster token create\"".to_owned(),
        ),
        Some(LeaseCause::Superseded) => (
            format!("container {short} ended at {at}: another one has its address since"),
            format!("\"dockmaster node why-denied {ip}\" tells of the one that holds it now"),
        ),
        _ => (
            format!("container {short} ended at {at}"),
            "one that is started again is a node again and may ask; \"dockmaster audit list --node\" says how it ended".to_owned(),
        ),
    };
    let origin = way(host, ip, state);
    let refusal = Refusal {
        code: ProblemCode::NoLease,
        detail,
        hint,
        container: Some(*container),
        rule: String::new(),
    };
    refused(blank(&origin, Some(container)), refusal)
}

/// Why a container gets nothing that its host may not vouch for.
#[must_use]
pub fn host_refused(of: &HostRefused, ip: IpAddr, state: &State) -> Foresight {
    let HostRefused {
        host,
        container,
        reason,
        ..
    } = of;
    let cidrs = state.host(host).map(|enrolled| &enrolled.cidrs[..]);
    let is_outside = cidrs.is_some_and(|cidrs| {
        !cidrs.is_empty() && !cidrs.iter().any(|cidr| cidr.contains(&ip.to_canonical()))
    });
    let refusal = Refusal {
        // The relay is told so before the container is heard; else it is heard, and nobody holds its IP.
        code: if is_outside {
            ProblemCode::AddressNotPermitted
        } else {
            ProblemCode::NoLease
        },
        detail: format!(
            "host {host} may not vouch for container {}: {reason}",
            container.short()
        ),
        hint: about_host_refused(host),
        container: Some(*container),
        rule: String::new(),
    };
    refused(blank(&way(host, ip, state), Some(container)), refusal)
}

/// What to do about a host that said what it may not say.
#[must_use]
pub fn about_host_refused(host: &Name) -> String {
    format!(
        "where it is outside the ranges of {host} (\"dockmaster host list\"): give it an address in them, or evict the host and enroll it with the ranges of its networks, \"dockmaster host enroll {host} --cidr RANGE\"; where it is another host's: make the container anew, so that it gets an ID and an address of its own, or evict that host if it is no more; docs/hosts.md says what else a host may not vouch for"
    )
}

#[cfg(test)]
mod tests {
    use dockmaster_proto::event::{Event, HostEvicted};

    use super::*;
    use crate::testing::{apply, enroll_host, facts, host, id};

    fn with_host(name: &str, cidrs: &[&str]) -> State {
        let mut state = State::default();
        enroll_host(&mut state, name, cidrs);
        state
    }

    #[test]
    fn what_ended_names_its_end_and_the_next_step_whatever_the_end_was() {
        let mut state = with_host("h1", &[]);
        let ip = "172.17.0.2".parse().unwrap();
        let mut node = NodeRecord::new(host(), facts(1, &["172.17.0.2"]));
        node.end(UnixMs(5000));
        let told = |cause, state: &State| ended(&node, ip, cause, state);
        for cause in [
            None,
            Some(LeaseCause::Died),
            Some(LeaseCause::Missing),
            Some(LeaseCause::HostLost),
            Some(LeaseCause::Superseded),
            Some(LeaseCause::Evicted),
            Some(LeaseCause::Expired),
            Some(LeaseCause::HostEvicted),
        ] {
            let one = told(cause, &state);
            assert_eq!(one.code, "no-lease");
            assert!(one.detail.contains("1970-01-01T00:00:05"), "{one:?}");
            assert!(!one.hint.is_empty(), "{one:?}");
        }
        let again = told(Some(LeaseCause::HostEvicted), &state);
        assert!(again.hint.contains("enrolled again"), "{again:?}");
        apply(&mut state, Event::HostEvicted(HostEvicted { host: host() }));
        let evicted = told(Some(LeaseCause::HostEvicted), &state);
        assert!(evicted.detail.contains("h1 was evicted"), "{evicted:?}");
        assert!(evicted.hint.contains("host enroll h1"), "{evicted:?}");
        assert_eq!(evicted.relay, Some(host()));
    }

    #[test]
    fn what_a_host_may_not_vouch_for_is_told_as_the_relay_is_told_it() {
        let state = with_host("h1", &["172.17.0.0/24"]);
        let refused = |ip: &str| HostRefused {
            host: host(),
            container: id(1),
            reason: "the reason".into(),
            name: "c1".into(),
            addresses: vec![format!("h1/bridge/{ip}").parse().unwrap()],
        };
        let of = |ip: &str| host_refused(&refused(ip), ip.parse().unwrap(), &state);
        let outside = of("172.31.5.2");
        assert_eq!(outside.code, "address-not-permitted");
        assert!(outside.detail.ends_with("the reason"), "{outside:?}");
        assert!(outside.hint.contains("--cidr"), "{outside:?}");
        assert_eq!(of("172.17.0.2").code, "no-lease");
    }
}
