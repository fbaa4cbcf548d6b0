//! Machines that join by a token: what their requests need beside the decision.

use std::sync::PoisonError;

use dockmaster_proto::{
    api::tokens::Redemption,
    id::Digest,
    problem::{Problem, ProblemCode},
};
use tokio::sync::OwnedRwLockWriteGuard;

use super::{
    Applicant, Claimed, Enrollment, Failure, Grant, Refusal,
    attest::Unclaimed,
    decide::Given,
    token::{self, Admission},
};
use crate::{authorities::Signing, env, state::State};

impl Enrollment {
    pub(super) fn given<'a>(
        &'a self,
        state: &'a State,
        permits: &'a dyn Fn(std::net::IpAddr) -> bool,
    ) -> Given<'a> {
        Given {
            state,
            policy: &self.policy,
            permits,
            now: env::now(),
        }
    }

    /// Whether a join token lets a machine in. Until the turn is over no lease changes.
    pub(super) async fn redeem(
        &self,
        applicant: &Applicant,
        redemption: &Redemption,
        key: &Digest,
        signing: &Signing,
    ) -> Result<(Admission, OwnedRwLockWriteGuard<()>), Failure> {
        if let Some(container) = applicant.renewing {
            return Err(Refusal::token_at_renewal(container).into());
        }
        if applicant.relay.is_some() {
            return Err(Refusal::token_by_relay().into());
        }
        let attempt = self
            .attempts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(applicant.source(), env::now());
        attempt.map_err(|wait_ms| token::too_many(applicant.source(), wait_ms))?;
        let permits = |ip| signing.containers.permits(ip);
        let decide = || {
            let state = self.journal.state();
            token::redeem(applicant, redemption, key, &self.given(&state, &permits))
        };
        // Whoever has no good token takes no turn.
        decide()?;
        let turn = self.take_turn().await?;
        Ok((decide()?, turn))
    }

    /// Whether a machine comes back by this key, without a token; none where the key is no machine's.
    /// Until the turn is over no lease changes.
    pub(super) async fn come_back(
        &self,
        applicant: &Applicant,
        key: &Digest,
        signing: &Signing,
    ) -> Result<Option<(Admission, OwnedRwLockWriteGuard<()>)>, Failure> {
        let permits = |ip| signing.containers.permits(ip);
        let decide = || {
            let state = self.journal.state();
            token::come_back(applicant, key, &self.given(&state, &permits)).transpose()
        };
        if decide()?.is_none() {
            return Ok(None);
        }
        let turn = self.take_turn().await?;
        Ok(decide()?.map(|admission| (admission, turn)))
    }

    async fn take_turn(&self) -> Result<OwnedRwLockWriteGuard<()>, Failure> {
        let turn = self.journal.claim_leases().await;
        turn.ok_or_else(|| {
            Failure::Ours(Problem::new(
                ProblemCode::Unavailable,
                "other changes of leases are not in the ledger yet",
                "ask again; /readyz says when the master can",
            ))
        })
    }

    /// The renewal of a machine that a token let in; none where it is no such renewal.
    pub(super) fn renew_by_token(
        &self,
        applicant: &Applicant,
        signing: &Signing,
    ) -> Result<Option<Grant>, Failure> {
        let state = self.journal.state();
        let node = applicant.renewing.and_then(|id| state.node(&id));
        let Some(machine) = node.filter(|node| node.is_by_token()) else {
            return Ok(None);
        };
        let permits = |ip| signing.containers.permits(ip);
        let grant = token::renew(applicant, machine, &self.given(&state, &permits))?;
        Ok(Some(grant))
    }

    /// Whose address it is. Where it is a machine's, a refusal says so.
    pub(super) async fn claim(&self, applicant: &Applicant) -> Result<Claimed, Failure> {
        let claimed = self.attestor.claim(&self.journal, applicant).await;
        claimed.map_err(|unclaimed| match unclaimed {
            Unclaimed::Refused(refusal) => {
                let state = self.journal.state();
                token::explained(refusal, applicant.source(), &state, env::now()).into()
            }
            other => other.into(),
        })
    }
}

impl From<token::Refused> for Failure {
    fn from(refused: token::Refused) -> Self {
        match refused {
            token::Refused::Untold(refusal) => Self::Untold(refusal),
            token::Refused::Told(refusal) => Self::Refused(refusal),
        }
    }
}
