//! What a request would come to now: the same decision, on what the view knows.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use dockmaster_host::socket::Connection;
use dockmaster_proto::{
    api::denials::{ForeseenVerdict, Foresight},
    id::{ContainerId, Digest, Name},
    problem::Problem,
};

use super::{
    Applicant, Binding, Claimed, Enrollment, Refusal, SocketVerdict, attest, decide,
    grant::Decision, token,
};
use crate::{env, origin::Origin, state::State, store::WAY_OUT};

impl Enrollment {
    /// What a request from an IP would come to, with the evidence that its host can give and a key that
    /// nobody has seen; where a machine left the address, with the key that brings it back;
    /// `renewing` when the holder would show its certificate.
    #[must_use]
    pub fn foresee(&self, source: IpAddr, renewing: Option<ContainerId>) -> Foresight {
        if let Some(why) = self.continuity.trouble() {
            return refused(source, "unavailable", why, WAY_OUT, "");
        }
        let state = self.journal.state();
        let decided = self.foresee_in(&state, source, renewing);
        match decided {
            Ok(Decision::Grant(grant)) => {
                let lifetime = grant.validity.not_after.since(env::now());
                Foresight {
                    verdict: ForeseenVerdict::Issued,
                    rule: grant.rule,
                    lifetime_ms: Some(lifetime),
                    ..nothing(source, ForeseenVerdict::Issued)
                }
            }
            Ok(Decision::Hold(held) | Decision::Wait(held)) => Foresight {
                rule: held.rule,
                detail: held.reason,
                hint: "an operator has to approve it: \"dockmaster request list\"".to_owned(),
                ..nothing(source, ForeseenVerdict::Held)
            },
            Err(refusal) => {
                let rule = refusal.rule.clone();
                let Problem {
                    code, detail, hint, ..
                } = refusal.into_problem();
                refused(source, code.as_str(), &detail, &hint, &rule)
            }
        }
    }

    fn foresee_in(
        &self,
        state: &State,
        source: IpAddr,
        renewing: Option<ContainerId>,
    ) -> Result<Decision, Refusal> {
        let origin = Origin::direct(source);
        let explained = |refusal| token::explained(refusal, source, state, env::now());
        let signing = self.authorities.now();
        let permits = |ip| signing.containers.permits(ip);
        let machine = renewing.and_then(|id| state.node(&id));
        if let Some(machine) = machine.filter(|node| node.is_by_token()) {
            let applicant = applicant(source, None, renewing);
            let given = self.given(state, &permits);
            return token::renew(&applicant, machine, &given).map(Decision::Grant);
        }
        let returning =
            token::foresee(&applicant(source, None, None), &self.given(state, &permits));
        if let Some(decided) = returning {
            return decided.map(|admission| Decision::Grant(admission.grant));
        }
        if !self.attestor.has_inventory() {
            return Err(explained(Refusal::no_inventory(&origin)));
        }
        let holders = attest::attested_anywhere(state, source);
        let container = match holders[..] {
            [container] => container,
            [] => return Err(explained(Refusal::no_lease(&origin, state))),
            _ => return Err(Refusal::ambiguous(&origin, &holders)),
        };
        let Some(node) = state.node(&container) else {
            return Err(Refusal::lease_closed(source, container));
        };
        // The host would be asked about its connection; a holder that is itself is found to be.
        let socket = if self.attestor.asks_for_sockets(&node.host) {
            SocketVerdict::Owned { pid: 0 }
        } else {
            SocketVerdict::Unavailable {
                why: "the host tells of no processes".to_owned(),
                sharing: Vec::new(),
            }
        };
        // As its host would bring it.
        let relay = (!state.is_here(&node.host)).then(|| node.host.clone());
        let applicant = applicant(source, relay, renewing);
        let claimed = Claimed {
            container,
            host: node.host.clone(),
            facts: node.facts.clone(),
            socket,
            further: Vec::new(),
        };
        let given = self.given(state, &permits);
        decide::decide(&applicant, &claimed, &Digest::of(b""), &given)
    }
}

fn applicant(source: IpAddr, relay: Option<Name>, renewing: Option<ContainerId>) -> Applicant {
    let nowhere = SocketAddr::new(source, 0);
    Applicant {
        connection: Connection {
            source: nowhere,
            local: nowhere,
        },
        relay,
        binding: Arc::new(Binding::new([0; 32])),
        renewing,
    }
}

fn refused(source: IpAddr, code: &str, detail: &str, hint: &str, rule: &str) -> Foresight {
    Foresight {
        code: code.to_owned(),
        detail: detail.to_owned(),
        hint: hint.to_owned(),
        rule: rule.to_owned(),
        ..nothing(source, ForeseenVerdict::Refused)
    }
}

fn nothing(source: IpAddr, verdict: ForeseenVerdict) -> Foresight {
    Foresight {
        source,
        verdict,
        rule: String::new(),
        code: String::new(),
        detail: String::new(),
        hint: String::new(),
        lifetime_ms: None,
    }
}
