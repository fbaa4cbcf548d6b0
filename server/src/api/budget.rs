//! How much memory requests and answers may take: of all together, and of one address. Whoever sends a
//! body slowly, or does not read an answer, keeps what it has, and gets no more.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use dockmaster_proto::{
    id::Name,
    problem::{Problem, ProblemCode},
};

use crate::{
    flow::{Flow, Owed},
    origin::Origin,
};

/// Bytes of all together.
const ALL: usize = 512 << 20;
/// Bytes of one address: more than its largest request and answer at once.
const EACH: usize = 64 << 20;
/// Bytes of all that one host relays: it says itself where connections begin.
const RELAYED: usize = ALL / 4;
/// Smaller answers are not worth the counting.
const SMALL: usize = 4 << 10;

/// What is held.
#[derive(Debug, Clone, Default)]
pub struct Budget(Arc<Mutex<Spent>>);

#[derive(Debug, Default)]
struct Spent {
    all: usize,
    each: HashMap<Origin, usize>,
    relayed: HashMap<Name, usize>,
}

/// Bytes that an address holds; they are given back with the value.
#[derive(Debug)]
pub(super) struct Held {
    budget: Budget,
    source: Origin,
    bytes: usize,
}

impl Budget {
    /// Nothing yet, for an address.
    pub(super) fn hold(&self, source: Origin) -> Held {
        Held {
            budget: self.clone(),
            source,
            bytes: 0,
        }
    }

    /// An answer that counts for as long as it is not sent.
    ///
    /// # Errors
    /// When the address holds too much already.
    pub(super) fn answer(
        &self,
        source: Origin,
        flow: &Arc<Flow>,
        answer: Bytes,
    ) -> Result<Bytes, Problem> {
        if answer.is_empty() {
            return Ok(answer);
        }
        let mut held = self.hold(source);
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
        let mut spent = self.budget.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = spent.all + more;
        let each = spent.each.get(&self.source).copied().unwrap_or_default() + more;
        let relay = self.source.relay.as_ref();
        let relayed = relay.map(|host| spent.relayed.get(host).copied().unwrap_or_default() + more);
        if all > ALL || each > EACH || relayed.is_some_and(|relayed| relayed > RELAYED) {
            return Err(Problem::new(
                ProblemCode::Unavailable,
                "too many requests and answers of this address, or of all, are on their way",
                "read the answers that are due, send bodies at once, and ask again",
            ));
        }
        spent.all = all;
        spent.each.insert(self.source.clone(), each);
        if let Some((host, relayed)) = relay.zip(relayed) {
            spent.relayed.insert(host.clone(), relayed);
        }
        self.bytes += more;
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut spent = self.budget.0.lock().unwrap_or_else(PoisonError::into_inner);
        spent.all -= self.bytes;
        if let Some(host) = &self.source.relay
            && let Some(relayed) = spent.relayed.get_mut(host)
        {
            *relayed -= self.bytes;
            if *relayed == 0 {
                spent.relayed.remove(host);
            }
        }
        if let Some(each) = spent.each.get_mut(&self.source) {
            *each -= self.bytes;
            if *each == 0 {
                spent.each.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_invents_addresses_takes_a_share_of_all_and_gives_it_back() {
        let budget = Budget::default();
        let invented = |last: u8| Origin::relayed([10, 0, 0, last].into(), "h2".parse().unwrap());
        let mut held = Vec::new();
        for last in 0..=255 {
            let mut one = budget.hold(invented(last));
            if one.grow(EACH).is_ok() {
                held.push(one);
            }
        }
        assert_eq!(held.len(), RELAYED / EACH);
        budget
            .hold(Origin::direct([10, 0, 0, 1].into()))
            .grow(EACH)
            .unwrap();
        held.pop();
        budget.hold(invented(1)).grow(EACH).unwrap();
        drop(held);
        assert!(budget.0.lock().unwrap().relayed.is_empty());
    }

    #[test]
    fn one_address_gets_its_share_and_no_more_and_gives_it_back() {
        let budget = Budget::default();
        let [one, other] = ["10.0.0.1", "10.0.0.2"].map(|ip| Origin::direct(ip.parse().unwrap()));
        let mut held = budget.hold(one.clone());
        held.grow(EACH).unwrap();
        assert!(budget.hold(one.clone()).grow(1).is_err());
        budget.hold(other).grow(EACH).unwrap();
        drop(held);
        let answer = budget
            .answer(one, &Arc::default(), Bytes::from(vec![7; SMALL]))
            .unwrap();
        let part = answer.slice(1..2);
        drop(answer);
        assert_eq!(
            budget.0.lock().unwrap().all,
            SMALL,
            "a part is still unsent"
        );
        drop(part);
        let spent = budget.0.lock().unwrap();
        assert_eq!((spent.all, spent.each.len()), (0, 0));
    }

    #[test]
    fn all_together_get_no_more_than_there_is() {
        let budget = Budget::default();
        let mut held = Vec::new();
        for number in 0..=u8::MAX {
            let mut one = budget.hold(Origin::direct([10, 0, 0, number].into()));
            if one.grow(EACH).is_ok() {
                held.push(one);
            }
        }
        assert_eq!(held.len(), ALL / EACH);
    }
}
