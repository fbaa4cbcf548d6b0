//! Join tokens, as operators see them.

use dockmaster_proto::{
    api::tokens::{TokenList, TokenProposal},
    id::TokenId,
    problem::{Problem, ProblemCode},
};
use http::{StatusCode, header};

use super::{Api, Reply, Request, problem, reply};
use crate::tokens::{Machines, TokenError};

impl Api {
    pub(super) fn tokens(&self) -> Reply {
        let tokens = self.tokens.list();
        reply::json(StatusCode::OK, &TokenList { tokens })
    }

    pub(super) async fn create_token(&self, request: &Request) -> Result<Reply, Problem> {
        let proposal: TokenProposal = request.json()?;
        let created = self.tokens.create(proposal, &request.cause).await;
        let created = created.map_err(|error| from_token(&error))?;
        let reply = reply::json(StatusCode::CREATED, &created);
        // It holds the secret.
        Ok(reply::with_header(reply, header::CACHE_CONTROL, "no-store"))
    }

    pub(super) async fn revoke_token(&self, request: &Request) -> Result<Reply, Problem> {
        let id: TokenId = request
            .parameter
            .parse()
            .map_err(|error| problem::bad_request(format!("{error}")))?;
        let machines = match request.query("nodes") {
            Some("true") => Machines::Evict,
            _ => Machines::Keep,
        };
        let revoked = self.tokens.revoke(id, machines, &request.cause).await;
        let revoked = revoked.map_err(|error| from_token(&error))?;
        Ok(reply::json(StatusCode::OK, &revoked))
    }
}

fn from_token(error: &TokenError) -> Problem {
    let (code, hint) = match error {
        TokenError::Unfit(_) => (
            ProblemCode::BadRequest,
            "docs/tokens.md says what a token may be",
        ),
        TokenError::Unknown(_) => (
            ProblemCode::NotFound,
            "\"dockmaster token list\" shows them",
        ),
        TokenError::Busy => (
            ProblemCode::Unavailable,
            "nothing was changed; /readyz says when it can again",
        ),
        TokenError::NoRandomness(error) => return problem::internal(error),
        TokenError::Commit(error) => return problem::from_commit(error),
    };
    Problem::new(code, error.to_string(), hint)
}
