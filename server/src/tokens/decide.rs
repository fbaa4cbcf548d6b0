//! What may become of tokens and of the machines that they let in. Pure.

use dockmaster_proto::{
    api::tokens::TokenProposal,
    event::{CertConfirmed, Event, LeaseCause, NodeGone, TokenCreated, TokenUsed},
    id::{ContainerId, NetworkName, Serial, TokenId},
    label::MAX_VALUE,
    time::UnixMs,
    token::{DEFAULT_NETWORK, JoinToken, MAX_LABEL_BYTES, MAX_LABELS, MAX_USES, TOKEN_HOST, Ttl},
};

use crate::{
    leases,
    state::{MachineRecord, NodeRecord, State},
};

/// Tokens that are remembered at a time: those that live, and those that ended within the last hour.
const MAX_TOKENS: usize = 1000;
/// Machines that are ended by one commit: each is a few entries, and the ledger takes a bounded number.
const MAX_ENDED: usize = 32;

/// Why a token may not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It would live too short or too long.
    #[error("a token lives from 1 minute to 24 hours, not {0} ms")]
    Ttl(u64),
    /// It would let in nobody or too many.
    #[error("a token lets in 1 to {MAX_USES} machines, not {0}")]
    Uses(u32),
    /// Too many labels, or too large.
    #[error(
        "a token has at most {MAX_LABELS} labels of {MAX_LABEL_BYTES} bytes together, each value of at most {MAX_VALUE}"
    )]
    Labels,
    /// A network of a host's own, in which only that host says who holds what.
    #[error("network {0} is host {1}'s own; a token's is a name without '/', or token/NAME")]
    Network(NetworkName, String),
    /// There are too many.
    #[error(
        "there are {MAX_TOKENS} tokens that live or ended within the last hour, which is all that may be"
    )]
    TooMany,
}

/// The record of a new token.
pub(super) fn create(
    proposal: TokenProposal,
    token: &JoinToken,
    state: &State,
    now: UnixMs,
) -> Result<TokenCreated, Unfit> {
    let TokenProposal {
        labels,
        network,
        ttl_ms,
        uses,
    } = proposal;
    let ttl = Ttl::from_ms(ttl_ms).ok_or(Unfit::Ttl(ttl_ms))?;
    if !(1..=MAX_USES).contains(&uses) {
        return Err(Unfit::Uses(uses));
    }
    let size =
        |(key, value)| serde_json::to_string(&(key, value)).map_or(usize::MAX, |it| it.len());
    let fits = labels.len() <= MAX_LABELS
        && labels.values().all(|value| value.len() <= MAX_VALUE)
        && labels.iter().map(size).sum::<usize>() <= MAX_LABEL_BYTES;
    if !fits {
        return Err(Unfit::Labels);
    }
    // Rules that name a host's networks are about what that host vouches for, whether it is enrolled yet or
    // not.
    let network = network.unwrap_or_else(default_network);
    if let Some(host) = network.host().filter(|host| *host != TOKEN_HOST) {
        let host = host.to_owned();
        return Err(Unfit::Network(network, host));
    }
    if state.tokens().remembered(now) >= MAX_TOKENS {
        return Err(Unfit::TooMany);
    }
    let labels = labels.into_iter();
    Ok(TokenCreated {
        token: token.id,
        secret_sha256: token.secret.digest(),
        labels: labels
            .map(|(key, value)| (key.as_str().to_owned(), value))
            .collect(),
        network,
        uses,
        until_ms: now.plus_ms(ttl.as_ms()),
    })
}

#[expect(clippy::expect_used, reason = "a constant, and a test reads it")]
fn default_network() -> NetworkName {
    DEFAULT_NETWORK.parse().expect("a network")
}

/// The live machines that a token let in.
pub(super) fn let_in_by<'s>(
    token: &TokenId,
    state: &'s State,
) -> impl Iterator<Item = &'s NodeRecord> {
    let by_it = move |node: &&NodeRecord| {
        node.joined
            .as_ref()
            .is_some_and(|joined| joined.token == *token)
    };
    state.nodes().filter(by_it)
}

/// The record of a first request with a certificate that a token gave, itself or by a renewal; none where
/// it is not the first.
pub(super) fn confirm(node: &ContainerId, shown: &Serial, state: &State) -> Option<Event> {
    let joined = state.node(node)?.joined.as_ref()?;
    if !joined.confirmed {
        return Some(Event::TokenUsed(TokenUsed {
            token: joined.token,
            container: *node,
            spki_sha256: joined.key,
        }));
    }
    let machine = state.machines().get(node)?;
    machine
        .is_news(shown)
        .then_some(Event::CertConfirmed(CertConfirmed {
            serial: *shown,
            container: *node,
        }))
}

/// The machines that a token let in, that are away, and that might come back.
pub(super) fn away_by<'s>(
    token: &TokenId,
    state: &'s State,
) -> impl Iterator<Item = &'s MachineRecord> {
    let all = state.machines().all_away();
    all.filter(move |machine| machine.token == *token)
}

/// The end of a machine that is away: it comes back by no key.
pub(super) fn put_out(machine: &MachineRecord) -> Event {
    Event::NodeGone(NodeGone {
        container: machine.id,
        cause: LeaseCause::Evicted,
    })
}

/// The ends of machines of which no certificate counts any more: nobody can speak for them.
pub(super) fn expired(state: &State, now: UnixMs) -> Vec<Event> {
    let counts = |node: &NodeRecord| {
        node.certificates
            .iter()
            .any(|certificate| now < certificate.not_after_ms)
    };
    state
        .nodes()
        .filter(|node| node.is_by_token() && !counts(node))
        .take(MAX_ENDED)
        .flat_map(|node| leases::end(node, state, LeaseCause::Expired))
        .collect()
}

#[cfg(test)]
mod tests;
