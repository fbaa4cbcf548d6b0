//! Why there is no certificate, in the words that the applicant and the log get.

use std::net::IpAddr;

use dockmaster_certs::csr::CsrError;
use dockmaster_proto::{
    event::RequestHeld,
    facts::NetworkMode,
    id::{ContainerId, Name},
    problem::{Problem, ProblemCode},
};

use super::{BindingError, ContinuityError};
use crate::{
    origin::Origin,
    state::{Ban, State},
};

/// A certificate that may not be issued, and what the applicant is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The kind of reason.
    pub code: ProblemCode,
    /// The failing fact.
    pub detail: String,
    /// What to do next.
    pub hint: String,
    /// The container that it is about.
    pub container: Option<ContainerId>,
    /// The policy rule that refuses; empty where none does.
    pub rule: String,
}

impl Refusal {
    pub(super) fn bad_csr(error: &CsrError) -> Self {
        Self {
            code: ProblemCode::BadCsr,
            detail: format!("the certificate request is not acceptable: {error}"),
            hint: "let dockmaster-agent make the request; its format is in docs/enrollment.md"
                .into(),
            container: None,
            rule: String::new(),
        }
    }

    /// What was refused elsewhere than at a request for a certificate.
    pub(super) fn of(problem: &Problem, container: Option<ContainerId>) -> Self {
        Self {
            code: problem.code,
            detail: problem.detail.clone(),
            hint: problem.hint.clone(),
            container,
            rule: String::new(),
        }
    }

    /// An operator put a machine out while it was being certified.
    pub(super) fn revoked_meanwhile(machine: ContainerId) -> Self {
        Self {
            code: ProblemCode::TokenRefused,
            detail: format!(
                "an operator revoked the certificates of machine {} while this one was being issued",
                machine.short()
            ),
            hint:
                "give the machine a new token (\"dockmaster token create\", DOCKMASTER_TOKEN_FILE)"
                    .into(),
            container: Some(machine),
            rule: String::new(),
        }
    }

    pub(super) fn crowded() -> Self {
        Self {
            code: ProblemCode::TooManyRequests,
            detail: "several requests of this address, or many of addresses that nobody is known to have, are being looked into already".into(),
            hint: "one agent in a container is enough; ask again in a moment".into(),
            container: None,
            rule: String::new(),
        }
    }

    pub(super) fn foreign_log(container: ContainerId, error: &ContinuityError) -> Self {
        Self {
            code: ProblemCode::BadRequest,
            detail: error.to_string(),
            hint: "it has seen another master's log, or its copy is damaged: start the container anew, with this master's trust pin".into(),
            container: Some(container),
            rule: String::new(),
        }
    }

    pub(super) fn token_at_renewal(container: ContainerId) -> Self {
        Self {
            code: ProblemCode::BadRequest,
            detail: "a renewal takes no join token".into(),
            hint: "the certificate is enough; a token is for enrolling".into(),
            container: Some(container),
            rule: String::new(),
        }
    }

    pub(super) fn token_by_relay() -> Self {
        Self {
            code: ProblemCode::BadRequest,
            detail: "a host relays its containers, and they take no join token".into(),
            hint: "leave out DOCKMASTER_TOKEN_FILE; the host vouches for its containers. A machine dials the master itself".into(),
            container: None,
            rule: String::new(),
        }
    }

    pub(super) fn repeated(container: ContainerId, error: BindingError) -> Self {
        Self {
            code: ProblemCode::BadCsr,
            detail: format!("the certificate request is not acceptable: {error}"),
            hint: "make a new key and open a new connection; dockmaster-agent does".into(),
            container: Some(container),
            rule: String::new(),
        }
    }

    pub(super) fn banned(ban: &Ban) -> Self {
        Self {
            code: ProblemCode::Banned,
            detail: format!(
                "container {} gets no certificate: {} banned it at {}",
                ban.container.short(),
                ban.by,
                ban.at_ms
            ),
            hint: "an operator lifts it by \"dockmaster cert unban\"".into(),
            container: Some(ban.container),
            rule: String::new(),
        }
    }

    pub(super) fn no_inventory(source: &Origin) -> Self {
        Self {
            code: ProblemCode::NoLease,
            detail: format!(
                "this master watches no container host, so nothing vouches for {source}"
            ),
            hint: "start it as \"dockmaster serve --docker\", enroll the container's host (\"dockmaster host enroll\"), or give the machine a join token (\"dockmaster token create\")".into(),
            container: None,
            rule: String::new(),
        }
    }

    pub(super) fn no_lease(source: &Origin, state: &State) -> Self {
        let on_host_network = state
            .nodes()
            .any(|node| node.facts.network_mode == NetworkMode::Host);
        let hint = if on_host_network {
            "a container started with --network host has no address of its own, and this connection is not shown to be one's; let it dial the master at 127.0.0.1 or another address of the machine itself (what goes to a bridge's address is masqueraded), or start it on a bridge network"
        } else {
            "the request must come from a container of the engine that \"dockmaster serve --docker\" watches, or by the relay of an enrolled host, and not through a proxy or NAT; \"dockmaster node list\" shows the addresses"
        };
        Self {
            code: ProblemCode::NoLease,
            detail: format!("no running container is known to hold {source}"),
            hint: hint.into(),
            container: None,
            rule: String::new(),
        }
    }

    pub(super) fn ambiguous(source: &Origin, holders: &[ContainerId]) -> Self {
        let holders: Vec<String> = holders.iter().map(ContainerId::short).collect();
        Self {
            code: ProblemCode::AmbiguousAddress,
            detail: format!(
                "{source} is held by several containers in different networks: {}",
                holders.join(", ")
            ),
            hint: "give the networks distinct ranges".into(),
            container: None,
            rule: String::new(),
        }
    }

    pub(super) fn elsewhere(source: IpAddr, container: ContainerId) -> Self {
        Self {
            code: ProblemCode::SocketMismatch,
            detail: format!(
                "{source} is the address of container {}, and this connection does not come from its network namespace",
                container.short()
            ),
            hint: "either somebody else uses the container's address (drop the capabilities NET_RAW and NET_ADMIN of its neighbours), or the connection goes through a proxy or NAT: dial an address that the master itself listens on".into(),
            container: Some(container),
            rule: String::new(),
        }
    }

    pub(super) fn of_another_host(source: IpAddr, container: ContainerId, host: &Name) -> Self {
        Self {
            code: ProblemCode::SocketMismatch,
            detail: format!(
                "host {host} says that the connection from {source} is container {}, which is another host's",
                container.short()
            ),
            hint: "look at that host: \"dockmaster host evict\" ends all that it vouched for"
                .into(),
            container: Some(container),
            rule: String::new(),
        }
    }

    pub(super) fn foreign(source: IpAddr, container: ContainerId) -> Self {
        Self {
            code: ProblemCode::SocketMismatch,
            detail: format!(
                "the connection from {source} comes from the network namespace of container {}, and not from a process of it, nor of a container that shares its network",
                container.short()
            ),
            hint: "the agent has to run in the container itself, as its entrypoint or by \"docker exec\"".into(),
            container: Some(container),
            rule: String::new(),
        }
    }

    pub(super) fn shared_address(
        source: IpAddr,
        container: ContainerId,
        sharing: &[ContainerId],
        why: &str,
    ) -> Self {
        let sharing: Vec<String> = sharing.iter().map(ContainerId::short).collect();
        Self {
            code: ProblemCode::AmbiguousAddress,
            detail: format!(
                "{source} is the address of container {}, whose network {} share(s), and whose connection it is cannot be told: {why}",
                container.short(),
                sharing.join(", ")
            ),
            hint: "give each container a network of its own, or run the master as root on the engine's machine".into(),
            container: Some(container),
            rule: String::new(),
        }
    }

    pub(super) fn shared_without_socket(source: IpAddr, container: ContainerId, why: &str) -> Self {
        Self {
            code: ProblemCode::AmbiguousAddress,
            detail: format!(
                "container {} shares its network, and whether the connection from {source} is its own cannot be told: {why}",
                container.short()
            ),
            hint: "give it a network of its own, or run the master as root on the engine's machine"
                .into(),
            container: Some(container),
            rule: String::new(),
        }
    }

    pub(super) fn too_many(container: ContainerId, wait_ms: u64) -> Self {
        Self {
            code: ProblemCode::TooManyRequests,
            detail: format!(
                "container {} asks for too many certificates",
                container.short()
            ),
            hint: format!("the next one is given in {} s", wait_ms.div_ceil(1000)),
            container: Some(container),
            rule: String::new(),
        }
    }

    pub(super) fn displaced(container: ContainerId) -> Self {
        Self {
            code: ProblemCode::TooManyRequests,
            detail: format!(
                "newer certificates of container {} were issued at the same time, and only the newest count",
                container.short()
            ),
            hint: "one agent in a container is enough".into(),
            container: Some(container),
            rule: String::new(),
        }
    }

    pub(super) fn lease_closed(source: IpAddr, container: ContainerId) -> Self {
        Self {
            code: ProblemCode::NoLease,
            detail: format!("container {} no longer holds {source}", container.short()),
            hint: "the container that holds the address now must ask again".into(),
            container: Some(container),
            rule: String::new(),
        }
    }

    pub(super) fn into_problem(self) -> Problem {
        Problem::new(self.code, self.detail, self.hint)
    }

    pub(super) fn denied_by_policy(container: ContainerId, rule: &str, reason: &str) -> Self {
        Self {
            code: ProblemCode::DeniedByPolicy,
            detail: format!(
                "the policy gives container {} no certificate: {reason}",
                container.short()
            ),
            hint: "\"dockmaster policy test\" shows which rule decides; the rules stand in DIR/dockmaster.yaml".into(),
            container: Some(container),
            rule: rule.to_owned(),
        }
    }

    pub(super) fn denied_by_operator(held: &RequestHeld, operator: &Name, reason: &str) -> Self {
        let colon = if reason.is_empty() { "" } else { ": " };
        Self {
            code: ProblemCode::RequestDenied,
            detail: format!(
                "operator {operator} denied request {} of container {}{colon}{reason}",
                held.request,
                held.container.short()
            ),
            hint: format!(
                "it stands until the container is started again or {}; \"dockmaster request approve {}\" takes it back",
                held.expires_at_ms, held.request
            ),
            container: Some(held.container),
            rule: held.rule.clone(),
        }
    }

    pub(super) fn too_many_held(held: &RequestHeld, which: &str) -> Self {
        Self {
            code: ProblemCode::TooManyRequests,
            detail: format!(
                "the request of container {} would have to wait for an operator, and {which}",
                held.container.short()
            ),
            hint: "\"dockmaster request list\" shows them; approve or deny some".into(),
            container: Some(held.container),
            rule: held.rule.clone(),
        }
    }
}
