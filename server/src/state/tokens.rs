//! Join tokens in the view.

use std::collections::BTreeMap;

use dockmaster_proto::{
    api::tokens::{TokenMachine, TokenState, TokenSummary},
    event::{CertIssued, Entry, Evidence, TokenCreated},
    id::{ContainerId, Digest, NetworkName, TokenId},
    time::UnixMs,
};
use serde::{Deserialize, Serialize};

use super::came_back;

/// How long a token is remembered after its time is over, so that a refusal can say what it was.
const KEEP_MS: u64 = 3_600_000;

/// Everything that the ledger says about one token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Its public name.
    pub id: TokenId,
    /// SHA-256 of its secret.
    pub secret_sha256: Digest,
    /// The labels that it gives.
    pub labels: BTreeMap<String, String>,
    /// The network of the addresses.
    pub network: NetworkName,
    /// How many machines it lets in.
    pub uses: u32,
    /// Until when.
    pub until_ms: UnixMs,
    /// When it was made.
    pub created_at_ms: UnixMs,
    /// Who made it.
    pub created_by: String,
    /// The keys that it burned into, at most `uses`.
    pub burnt: Vec<Burn>,
    /// Why it ended before its time.
    pub ended: Option<Ended>,
}

/// One use of a token: it burned into this key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Burn {
    /// SHA-256 of the key (DER SubjectPublicKeyInfo).
    pub key: Digest,
    /// The machine's node.
    pub node: ContainerId,
    /// Whether the machine came back with the certificate: then the use is over, for this key too.
    pub confirmed: bool,
    /// How many times it came as another node than before.
    #[serde(default)]
    pub moves: u32,
}

/// Why a token ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// An operator took it back.
    Revoked,
    /// The installation was restored from a backup: what became of the token since the backup is
    /// not known, and it may have been used.
    Restored,
}

impl TokenRecord {
    /// A token that was just made.
    #[must_use]
    pub fn new(event: &TokenCreated, entry: &Entry) -> Self {
        Self {
            id: event.token,
            secret_sha256: event.secret_sha256,
            labels: event.labels.clone(),
            network: event.network.clone(),
            uses: event.uses,
            until_ms: event.until_ms,
            created_at_ms: entry.ts_ms,
            created_by: entry.actor.clone(),
            burnt: Vec::new(),
            ended: None,
        }
    }

    /// Whether it is remembered no longer.
    #[must_use]
    pub fn is_past(&self, now: UnixMs) -> bool {
        self.until_ms.plus_ms(KEEP_MS) <= now
    }

    /// Whether it still lets anyone in.
    #[must_use]
    pub fn state(&self, now: UnixMs) -> TokenState {
        match self.ended {
            Some(Ended::Revoked) => TokenState::Revoked,
            Some(Ended::Restored) => TokenState::Restored,
            None if self.until_ms <= now => TokenState::Expired,
            None if self.uses_left() == 0 => TokenState::UsedUp,
            None => TokenState::Live,
        }
    }

    /// How many more machines it lets in.
    #[must_use]
    pub fn uses_left(&self) -> u32 {
        self.uses
            .saturating_sub(u32::try_from(self.burnt.len()).unwrap_or(u32::MAX))
    }

    /// The use that burned into a key.
    #[must_use]
    pub fn burn(&self, key: &Digest) -> Option<&Burn> {
        self.burnt.iter().find(|burn| burn.key == *key)
    }

    /// Takes up that a certificate was issued for it. Who comes back by a key uses up nothing.
    pub fn take(&mut self, event: &CertIssued, node: ContainerId) {
        let key = event.spki_sha256;
        if came_back(event) {
            return self.confirm(&key);
        }
        match self.burnt.iter_mut().find(|burn| burn.key == key) {
            // The same machine asked again, perhaps as another node.
            Some(burn) => {
                burn.moves += u32::from(burn.node != node);
                burn.node = node;
            }
            None => self.burnt.push(Burn {
                key,
                node,
                confirmed: false,
                moves: 0,
            }),
        }
    }

    /// Takes up that the machine came back.
    pub fn confirm(&mut self, key: &Digest) {
        if let Some(burn) = self.burnt.iter_mut().find(|burn| burn.key == *key) {
            burn.confirmed = true;
        }
    }

    /// Ends it, where nothing else did before.
    pub fn end(&mut self, why: Ended) {
        self.ended.get_or_insert(why);
    }

    /// As operators see it.
    #[must_use]
    pub fn summary(&self, now: UnixMs) -> TokenSummary {
        TokenSummary {
            id: self.id,
            labels: self.labels.clone(),
            network: self.network.clone(),
            uses: self.uses,
            uses_left: self.uses_left(),
            machines: self
                .burnt
                .iter()
                .map(|burn| TokenMachine {
                    node: burn.node,
                    confirmed: burn.confirmed,
                })
                .collect(),
            until_ms: self.until_ms,
            created_at_ms: self.created_at_ms,
            created_by: self.created_by.clone(),
            state: self.state(now),
        }
    }
}

/// The token that an issuance rests on.
#[must_use]
pub fn token_of(event: &CertIssued) -> Option<TokenId> {
    event.evidence.iter().find_map(|evidence| match evidence {
        Evidence::Token { token, .. } => Some(*token),
        _ => None,
    })
}

/// The tokens that are remembered.
#[derive(Debug, Default)]
pub struct Tokens(BTreeMap<TokenId, TokenRecord>);

impl Tokens {
    /// A token.
    #[must_use]
    pub fn get(&self, id: &TokenId) -> Option<&TokenRecord> {
        self.0.get(id)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &TokenRecord> {
        self.0.values()
    }

    /// How many are remembered at a time.
    #[must_use]
    pub fn remembered(&self, now: UnixMs) -> usize {
        self.iter().filter(|token| !token.is_past(now)).count()
    }

    pub(super) fn create(&mut self, event: &TokenCreated, entry: &Entry) {
        self.0.retain(|_, token| !token.is_past(entry.ts_ms));
        self.restore(TokenRecord::new(event, entry));
    }

    /// Puts back a token: the view is being loaded from the index.
    pub(crate) fn restore(&mut self, token: TokenRecord) {
        self.0.insert(token.id, token);
    }

    pub(super) fn change(&mut self, id: &TokenId, change: impl FnOnce(&mut TokenRecord)) {
        if let Some(token) = self.0.get_mut(id) {
            change(token);
        }
    }

    pub(super) fn end_all(&mut self, why: Ended) {
        for token in self.0.values_mut() {
            token.end(why);
        }
    }
}
