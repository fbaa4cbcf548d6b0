//! The authorities, and operators' own certificates.

use dockmaster_proto::{
    api::{authority::RotationRequest, identity::CertificateRequest},
    problem::Problem,
};
use http::StatusCode;

use super::{Api, Caller, Reply, Request, problem, reply};
use crate::operators::OperatorError;

impl Api {
    pub(super) fn authorities(&self) -> Result<Reply, Problem> {
        let report = self.rotor.report();
        let report = report.map_err(|error| problem::from_rotor(&error))?;
        Ok(reply::json(StatusCode::OK, &report))
    }

    pub(super) async fn rotate(&self, request: &Request) -> Result<Reply, Problem> {
        let body: RotationRequest = request.json()?;
        self.rotor
            .step(&body, &request.cause)
            .await
            .map_err(|error| problem::from_rotor(&error))?;
        self.tell_agents();
        self.authorities()
    }

    /// Ends held requests, so that agents hear of new authorities and revocations at once.
    pub fn tell_agents(&self) {
        self.lists.alert();
        self.delivery.nudge_all();
    }

    pub(super) async fn renew_operator(&self, request: &Request) -> Result<Reply, Problem> {
        let body: CertificateRequest = request.json()?;
        let (Caller::Operator(name), Some(shown)) = (&request.caller, &request.peer.identity)
        else {
            return Err(problem::bad_request("the route is for operators"));
        };
        let binding = &request.peer.binding;
        let issued = self
            .operators
            .renew(name, &shown.serial, &body.csr, binding, &request.cause)
            .await
            .map_err(|error| match error {
                OperatorError::Problem(problem) => problem,
                OperatorError::Commit(error) => problem::from_commit(&error),
            })?;
        Ok(reply::json(StatusCode::CREATED, &issued))
    }
}
