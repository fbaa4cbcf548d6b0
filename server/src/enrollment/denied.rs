//! Refusals are evidence too: each goes into the log, like ones of a minute together.

use std::sync::PoisonError;

use dockmaster_proto::{
    error::chain,
    event::{CertDenied, Event},
    id::ContainerId,
    problem::Problem,
};

use super::{Enrollment, Refusal};
use crate::{
    env,
    journal::Cause,
    origin::{Origin, Party},
};

impl Enrollment {
    /// Records what was refused before it came to a request for a certificate: a connection that a host
    /// may not relay, or a certificate that was shown from an address that is not its own.
    pub async fn record_problem(
        &self,
        source: &Origin,
        container: Option<ContainerId>,
        problem: &Problem,
        cause: &Cause,
    ) {
        let refusal = Refusal::of(problem, container);
        self.record(source, &refusal, cause).await;
    }

    /// Records a refusal; the first of its kind in a minute at once.
    pub(super) async fn record(&self, source: &Origin, refusal: &Refusal, cause: &Cause) {
        let denied = CertDenied {
            source: source.ip,
            container: refusal.container,
            reason: refusal.code.as_str().to_owned(),
            detail: refusal.detail.clone(),
            count: 1,
            relay: source.relay.clone(),
            rule: refusal.rule.clone(),
            hint: refusal.hint.clone(),
        };
        let Party { group, .. } = self.journal.state().party(source.clone());
        let first = self
            .refusals
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .record(refusal.code, denied, group, env::now());
        if let Some(denied) = first {
            self.commit_refusals(cause, vec![denied]).await;
        }
    }

    /// Commits the refusals of minutes that are over; called now and then.
    pub async fn flush_refusals(&self, cause: &Cause) {
        let over = self
            .refusals
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .flush(env::now());
        if !over.is_empty() {
            self.commit_refusals(cause, over).await;
        }
    }

    async fn commit_refusals(&self, cause: &Cause, refusals: Vec<CertDenied>) {
        let events = refusals.into_iter().map(Event::CertDenied).collect();
        if let Err(error) = self.journal.commit(cause, events, vec![]).await {
            // The refusal itself stands; only its record is lost, and the log says so.
            tracing::error!(error = %chain(&error), "a refusal could not be recorded in the ledger");
        }
    }
}
