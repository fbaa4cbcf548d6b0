//! Join tokens in the index: the same fold as in the view, a record each.

use dockmaster_proto::{
    event::{CertIssued, Entry, TokenCreated},
    id::TokenId,
};

use super::{Index, IndexError, keys, overlay::Overlay};
use crate::state::{Ended, State, TokenRecord, token_of};

/// The tokens that there are records of.
const REMEMBERED: &[u8] = b"m/tokens";

pub(super) fn create(
    event: &TokenCreated,
    entry: &Entry,
    to: &mut Overlay<'_>,
) -> Result<(), IndexError> {
    let mut kept = Vec::new();
    for id in remembered(to)? {
        match to.get::<TokenRecord>(&keys::token(&id))? {
            Some(token) if !token.is_past(entry.ts_ms) => kept.push(id),
            _ => to.delete(&keys::token(&id)),
        }
    }
    kept.push(event.token);
    to.put(REMEMBERED, &kept);
    to.put(&keys::token(&event.token), &TokenRecord::new(event, entry));
    Ok(())
}

/// A first certificate burns the token that it rests on into its key.
pub(super) fn burn(event: &CertIssued, to: &mut Overlay<'_>) -> Result<(), IndexError> {
    let (Some(token), Some(node)) = (token_of(event), event.container) else {
        return Ok(());
    };
    change(&token, to, |token| token.take(event, node))
}

pub(super) fn change(
    token: &TokenId,
    to: &mut Overlay<'_>,
    change: impl FnOnce(&mut TokenRecord),
) -> Result<(), IndexError> {
    to.update(&keys::token(token), change)
}

pub(super) fn end_all(why: Ended, to: &mut Overlay<'_>) -> Result<(), IndexError> {
    for id in remembered(to)? {
        change(&id, to, |token| token.end(why))?;
    }
    Ok(())
}

fn remembered(from: &Overlay<'_>) -> Result<Vec<TokenId>, IndexError> {
    Ok(from.get(REMEMBERED)?.unwrap_or_default())
}

impl Index {
    /// Puts the tokens back into a view that is being loaded.
    pub(super) fn load_tokens(&self, into: &mut State) -> Result<(), IndexError> {
        for token in self.scan::<TokenRecord>(keys::TOKENS) {
            let (_, token) = token?;
            into.restore_token(token);
        }
        Ok(())
    }
}
