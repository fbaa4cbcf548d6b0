//! How much memory requests and answers may take: of all together, and of one address. Whoever sends a
//! body slowly, or does not read an answer, keeps what it has, and gets no more.

use std::sync::Arc;

use bytes::Bytes;
use dockmaster_proto::problem::{Problem, ProblemCode};

use crate::{
    flow::{Flow, Owed},
    origin::{Group, Origin, Party},
    tally::{self, Tally},
};

/// Bytes of all together.
const ALL: usize = 512 << 20;
/// Bytes of one address: more than its largest request and answer at once.
const EACH: usize = 64 << 20;
/// Bytes of all addresses of a group.
const GROUP: usize = ALL / 4;
/// Smaller answers are not worth the counting.
const SMALL: usize = 4 << 10;

/// What is held.
#[derive(Debug, Clone)]
pub struct Budget(Tally<Account>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Account {
    All,
    Group(Group),
    Origin(Origin),
}

impl Account {
    const fn most(&self) -> usize {
        match self {
            Self::All => ALL,
            Self::Group(_) => GROUP,
            Self::Origin(_) => EACH,
        }
    }
}

/// Bytes that a party holds; they are given back with the value.
#[derive(Debug)]
pub(super) struct Held(tally::Held<Account>);

impl Default for Budget {
    fn default() -> Self {
        Self(Tally::new(Account::most))
    }
}

impl Budget {
    /// Nothing yet, for a party.
    pub(super) fn hold(&self, party: Party) -> Held {
        let Party { origin, group } = party;
        let mut accounts = vec![Account::All, Account::Origin(origin)];
        accounts.extend(group.map(Account::Group));
        Held(self.0.hold(accounts))
    }

    /// An answer that counts for as long as it is not sent.
    ///
    /// # Errors
    /// When the party holds too much already.
    pub(super) fn answer(
        &self,
        party: Party,
        flow: &Arc<Flow>,
        answer: Bytes,
    ) -> Result<Bytes, Problem> {
        if answer.is_empty() {
            return Ok(answer);
        }
        let mut held = self.hold(party);
        if answer.len() >= SMALL {
            held.grow(answer.len())?;
        }
        Ok(Bytes::from_owner(Counted {
            answer,
            _held: held,
            _owed: flow.owe_answer(),
        }))
    }
}

/// Bytes with what they are counted by.
struct Counted {
    answer: Bytes,
    _held: Held,
    _owed: Owed,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.answer
    }
}

impl Held {
    /// Takes more.
    ///
    /// # Errors
    /// When there is no more to be had.
    pub(super) fn grow(&mut self, more: usize) -> Result<(), Problem> {
        if self.0.grow(more) {
            return Ok(());
        }
        Err(Problem::new(
            ProblemCode::Unavailable,
            "too many requests and answers of this address, or of all, are on their way",
            "read the answers that are due, send bodies at once, and ask again",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(last: u8) -> Party {
        Party::known(Origin::direct([10, 0, 0, last].into()))
    }

    fn stranger(last: u8) -> Party {
        Party::unknown(Origin::direct([10, 0, 0, last].into()))
    }

    fn relayed(last: u8) -> Party {
        let origin = Origin::relayed([10, 0, 0, last].into(), "h2".parse().unwrap());
        Party::unknown(origin)
    }

    /// Each holds as much as it may; gives those that hold something.
    fn all_hold(budget: &Budget, party: impl Fn(u8) -> Party) -> Vec<Held> {
        let held = (0..=u8::MAX).map(|number| budget.hold(party(number)));
        held.filter_map(|mut held| held.grow(EACH).is_ok().then_some(held))
            .collect()
    }

    #[test]
    fn a_group_takes_a_share_of_all_however_many_it_is_and_gives_it_back() {
        for party in [stranger, relayed] {
            let budget = Budget::default();
            let mut held = all_hold(&budget, party);
            assert_eq!(held.len(), GROUP / EACH);
            budget.hold(known(200)).grow(EACH).unwrap();
            held.pop();
            budget.hold(party(u8::MAX)).grow(EACH).unwrap();
            drop(held);
            assert_eq!(budget.0.accounts(), 0);
        }
    }

    #[test]
    fn one_address_gets_its_share_and_no_more_and_gives_it_back() {
        let budget = Budget::default();
        let mut held = budget.hold(known(1));
        held.grow(EACH).unwrap();
        assert!(budget.hold(known(1)).grow(1).is_err());
        budget.hold(known(2)).grow(EACH).unwrap();
        drop(held);
        let answer = budget
            .answer(known(1), &Arc::default(), Bytes::from(vec![7; SMALL]))
            .unwrap();
        let part = answer.slice(1..2);
        drop(answer);
        let mut rest = budget.hold(known(1));
        rest.grow(EACH - SMALL).unwrap();
        assert!(rest.grow(1).is_err(), "a part is still unsent");
        drop(part);
        rest.grow(SMALL).unwrap();
        drop(rest);
        assert_eq!(budget.0.accounts(), 0);
    }

    #[test]
    fn all_together_get_no_more_than_there_is() {
        let budget = Budget::default();
        assert_eq!(all_hold(&budget, known).len(), ALL / EACH);
    }
}
