//! Join tokens: made, listed, taken back; and the machines that they let in: confirmed when they come
//! back, ended when nobody speaks for them any more.

mod decide;

use dockmaster_ledger::CommitError;
use dockmaster_proto::{
    api::tokens::{CreatedToken, RevokedToken, TokenProposal, TokenSummary},
    error::chain,
    event::{Event, LeaseCause, TokenRevoked},
    id::{ContainerId, Serial, TokenId},
    token::{JoinToken, TokenSecret},
};
use tokio::sync::Mutex;

use crate::{
    env,
    journal::{Cause, Journal},
    leases,
    state::{Ended, NodeRecord},
};

pub use decide::Unfit;

/// How many events go into one commit: well below what the ledger takes at once.
const CHUNK: usize = 128;

/// What becomes of the machines that a token let in when it is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machines {
    /// They stay.
    Keep,
    /// They are put out.
    Evict,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// No such token may be made.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// There is none of this name.
    #[error("there is no token {0}, or it ended more than an hour ago")]
    Unknown(TokenId),
    /// No secret can be made.
    #[error(transparent)]
    NoRandomness(#[from] env::NoRandomness),
    /// Another change of leases is not in the ledger yet.
    #[error("other changes of leases are not in the ledger yet")]
    Busy,
    /// The ledger takes nothing.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// The part of a master that keeps join tokens.
#[derive(Debug)]
pub struct TokenDesk {
    journal: Journal,
    /// One change at a time: each is decided upon what the one before left.
    turn: Mutex<()>,
}

impl TokenDesk {
    /// A desk.
    #[must_use]
    pub fn new(journal: Journal) -> Self {
        Self {
            journal,
            turn: Mutex::default(),
        }
    }

    /// Makes a token. Its secret is in the answer and nowhere else.
    ///
    /// # Errors
    /// When it asks for more than a token may be, or it cannot be recorded.
    pub async fn create(
        &self,
        proposal: TokenProposal,
        cause: &Cause,
    ) -> Result<CreatedToken, TokenError> {
        let secret = JoinToken {
            id: TokenId::from_bytes(env::random()?),
            secret: TokenSecret::from_bytes(env::random()?),
        };
        let _turn = self.turn.lock().await;
        let created = decide::create(proposal, &secret, &self.journal.state(), env::now())?;
        let event = Event::TokenCreated(created);
        self.journal.commit(cause, vec![event], vec![]).await?;
        let summary = self.summary(&secret.id)?;
        Ok(CreatedToken { secret, summary })
    }

    /// Tokens that live or ended a short while ago, newest first.
    #[must_use]
    pub fn list(&self) -> Vec<TokenSummary> {
        let now = env::now();
        let state = self.journal.state();
        let tokens = state.tokens().iter().filter(|token| !token.is_past(now));
        let mut tokens: Vec<TokenSummary> = tokens.map(|token| token.summary(now)).collect();
        tokens.sort_by_key(|token| (std::cmp::Reverse(token.created_at_ms), token.id));
        tokens
    }

    fn summary(&self, id: &TokenId) -> Result<TokenSummary, TokenError> {
        let state = self.journal.state();
        let token = state.tokens().get(id).ok_or(TokenError::Unknown(*id))?;
        Ok(token.summary(env::now()))
    }

    /// Takes a token back, and puts out the machines that it let in where that is wanted.
    ///
    /// # Errors
    /// When there is no such token, or it cannot be recorded.
    pub async fn revoke(
        &self,
        id: TokenId,
        machines: Machines,
        cause: &Cause,
    ) -> Result<RevokedToken, TokenError> {
        let _leases = self.journal.claim_leases().await.ok_or(TokenError::Busy)?;
        let (known, evicted, mut events) = {
            let state = self.journal.state();
            let let_in: Vec<&NodeRecord> = match machines {
                Machines::Keep => Vec::new(),
                Machines::Evict => decide::let_in_by(&id, &state).collect(),
            };
            let ends = let_in
                .iter()
                .flat_map(|node| leases::end(node, &state, LeaseCause::Evicted));
            let mut events: Vec<Event> = ends.collect();
            let ids = let_in.iter().map(|node| *node.id());
            let away: Vec<_> = match machines {
                Machines::Keep => Vec::new(),
                Machines::Evict => decide::away_by(&id, &state).collect(),
            };
            let ids: Vec<ContainerId> = ids.chain(away.iter().map(|machine| machine.id)).collect();
            events.extend(away.into_iter().map(decide::put_out));
            let known = state.tokens().get(&id).map(|token| token.ended);
            (known, ids, events)
        };
        // A token that is forgotten may still have machines to put out.
        if known.is_none() && evicted.is_empty() {
            return Err(TokenError::Unknown(id));
        }
        let was_revoked = known == Some(Some(Ended::Revoked));
        if !was_revoked {
            events.insert(0, Event::TokenRevoked(TokenRevoked { token: id }));
        }
        // Whoever loses a lease is cut off before the commit.
        self.journal
            .change_suspension(|state| state.suspend(evicted.iter().copied()));
        let committed = self.commit(events, cause).await;
        self.journal
            .change_suspension(|state| state.resume(&evicted));
        committed?;
        Ok(RevokedToken {
            id,
            evicted,
            was_revoked,
        })
    }

    /// Commits events in as many parts as the ledger takes.
    async fn commit(&self, events: Vec<Event>, cause: &Cause) -> Result<(), CommitError> {
        for chunk in events.chunks(CHUNK) {
            self.journal.commit(cause, chunk.to_vec(), vec![]).await?;
        }
        Ok(())
    }

    /// Records that a machine came back with the certificate that it shows, where that is news: from then
    /// on its token gives this key no other, and no key before it brings the machine back.
    pub async fn confirm(&self, node: &ContainerId, shown: &Serial, cause: &Cause) {
        if decide::confirm(node, shown, &self.journal.state()).is_none() {
            return;
        }
        let _turn = self.turn.lock().await;
        let Some(event) = decide::confirm(node, shown, &self.journal.state()) else {
            return;
        };
        if let Err(error) = self.journal.commit(cause, vec![event], vec![]).await {
            // Whoever has the certificate is served all the same; the next request tries again.
            tracing::error!(error = %chain(&error), "that a machine came back is not in the ledger");
        }
    }

    /// Ends the machines of which no certificate counts any more; called now and then.
    pub async fn end_expired(&self, cause: &Cause) {
        if decide::expired(&self.journal.state(), env::now()).is_empty() {
            return;
        }
        let Some(_leases) = self.journal.claim_leases().await else {
            return;
        };
        let events = decide::expired(&self.journal.state(), env::now());
        if events.is_empty() {
            return;
        }
        if let Err(error) = self.journal.commit(cause, events, vec![]).await {
            tracing::error!(error = %chain(&error), "the end of a machine is not in the ledger; trying again");
        }
    }
}
