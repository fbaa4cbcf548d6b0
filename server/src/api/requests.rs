//! Requests for a certificate that wait for an operator.

use dockmaster_proto::{
    api::requests::{Decision, Denial, HeldRequest, MAX_REASON, RequestList},
    event::{Event, RequestApproved, RequestDenied},
    id::{Name, RequestId},
    problem::{Problem, ProblemCode},
};
use http::StatusCode;

use super::{Api, Caller, Reply, Request, problem, reply};
use crate::env;

impl Api {
    pub(super) fn requests(&self) -> Reply {
        let state = self.journal.state();
        let requests = state.requests().at(env::now());
        let requests = requests.into_iter().cloned().collect();
        reply::json(StatusCode::OK, &RequestList { requests })
    }

    pub(super) fn request(&self, request: &Request) -> Result<Reply, Problem> {
        Ok(reply::json(StatusCode::OK, &self.held(request)?))
    }

    pub(super) async fn approve(&self, request: &Request) -> Result<Reply, Problem> {
        let HeldRequest { held, decision, .. } = self.held(request)?;
        if let Some(Decision::Approved { operator, at_ms }) = decision {
            let what = format!("approved by {operator} at {at_ms}");
            let hint = "its agent fetches the certificate when it asks next; until then \"dockmaster request deny\" takes the approval back";
            return Err(conflict(&held.request, &what, hint));
        }
        let event = Event::RequestApproved(RequestApproved {
            request: held.request,
            container: held.container,
            spki_sha256: held.spki_sha256,
            operator: operator(request)?,
        });
        self.decide(request, event).await
    }

    pub(super) async fn deny(&self, request: &Request) -> Result<Reply, Problem> {
        let Denial { reason } = request.json()?;
        if reason.len() > MAX_REASON || reason.chars().any(char::is_control) {
            return Err(problem::bad_request(format!(
                "a reason is one line of at most {MAX_REASON} bytes"
            )));
        }
        let HeldRequest { held, decision, .. } = self.held(request)?;
        if let Some(Decision::Denied {
            operator, at_ms, ..
        }) = decision
        {
            let what = format!("denied by {operator} at {at_ms}");
            let hint = "\"dockmaster request approve\" takes the denial back";
            return Err(conflict(&held.request, &what, hint));
        }
        let event = Event::RequestDenied(RequestDenied {
            request: held.request,
            container: held.container,
            operator: operator(request)?,
            reason,
        });
        self.decide(request, event).await
    }

    /// Commits a decision. The answer is the request as it was the moment before its agent, which
    /// waits for just this, may have used it up.
    async fn decide(&self, request: &Request, event: Event) -> Result<Reply, Problem> {
        let mut one = self.held(request)?;
        let at_ms = env::now();
        one.decision = Some(match &event {
            Event::RequestDenied(event) => Decision::Denied {
                operator: event.operator.clone(),
                at_ms,
                reason: event.reason.clone(),
            },
            _ => Decision::Approved {
                operator: operator(request)?,
                at_ms,
            },
        });
        self.journal
            .commit(&request.cause, vec![event], vec![])
            .await
            .map_err(|error| problem::from_commit(&error))?;
        Ok(reply::json(StatusCode::OK, &one))
    }

    fn held(&self, request: &Request) -> Result<HeldRequest, Problem> {
        let id: RequestId = request
            .parameter
            .parse()
            .map_err(|error| problem::bad_request(format!("{error}")))?;
        let state = self.journal.state();
        let one = state.requests().get(&id, env::now()).cloned();
        one.ok_or_else(|| {
            Problem::new(
                ProblemCode::NotFound,
                format!("no request {id} waits"),
                "it is over when its container ends or is started again, a day after it was held, or once it has its certificate; \"dockmaster request list\" shows those that wait",
            )
        })
    }
}

fn operator(request: &Request) -> Result<Name, Problem> {
    match &request.caller {
        Caller::Operator(name) => Ok(name.clone()),
        // The route table says that only operators come here.
        Caller::Anyone | Caller::Node(_) | Caller::Host(_) => {
            Err(problem::bad_request("the route is for operators"))
        }
    }
}

fn conflict(id: &RequestId, what: &str, hint: &str) -> Problem {
    Problem::new(
        ProblemCode::Conflict,
        format!("request {id} was {what} already"),
        hint,
    )
}
