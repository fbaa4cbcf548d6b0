//! A request that the policy holds: whether it waits already, was decided, or may begin to wait.

use dockmaster_proto::{api::requests, event::RequestHeld, time::UnixMs};

use super::{Refusal, grant::Decision};
use crate::state::{
    State,
    requests::{MAX_OF_CONTAINER, MAX_OF_HOST, MAX_REQUESTS},
};

/// Decides upon a request that the policy holds. Pure.
pub(super) fn decide(held: RequestHeld, state: &State, now: UnixMs) -> Result<Decision, Refusal> {
    let requests = state.requests();
    let (container, run) = (held.container, held.started_at_ms);
    let known = requests.of_key(&container, run, &held.spki_sha256, now);
    let of_run = requests
        .of_container(&container, now)
        .filter(|one| one.held.started_at_ms == run);
    // Its own decision counts before one on another key of the same run: a denial is of the run, or
    // whoever is denied would only have to make a new key.
    for one in known.into_iter().chain(of_run) {
        match &one.decision {
            Some(requests::Decision::Denied {
                operator, reason, ..
            }) => return Err(Refusal::denied_by_operator(&one.held, operator, reason)),
            // With its own approval the policy would not hold it.
            Some(requests::Decision::Approved { .. }) => {}
            None if Some(one) == known => return Ok(Decision::Wait(one.held.clone())),
            None => {}
        }
    }
    if requests.of_container(&container, now).count() >= MAX_OF_CONTAINER {
        let which = format!("{MAX_OF_CONTAINER} of its requests do already");
        return Err(Refusal::too_many_held(&held, &which));
    }
    let all = requests.at(now);
    // A further host says itself how many containers it has.
    if !state.is_here(&held.host) {
        let of_host = all.iter().filter(|one| one.held.host == held.host);
        if of_host.count() >= MAX_OF_HOST {
            let which = format!("{MAX_OF_HOST} requests of its host do already");
            return Err(Refusal::too_many_held(&held, &which));
        }
    }
    if all.len() >= MAX_REQUESTS {
        let which = format!("{MAX_REQUESTS} requests do already");
        return Err(Refusal::too_many_held(&held, &which));
    }
    Ok(Decision::Hold(held))
}
