//! How much memory requests and answers may take: of all together, and of one address. Whoever sends a
//! body slowly, or does not read an answer, keeps what it has, and gets no more.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use dockmaster_proto::problem::{Problem, ProblemCode};

use crate::flow::{Flow, Owed};

/// Bytes of all together.
const ALL: usize = 512 << 20;
/// Bytes of one address: more than its largest request and answer at once.
const EACH: usize = 64 << 20;
/// Smaller answers are not worth the counting.
const SMALL: usize = 4 << 10;

/// What is held.
#[derive(Debug, Clone, Default)]
pub struct Budget(Arc<Mutex<Spent>>);

#[derive(Debug, Default)]
struct Spent {
    all: usize,
    each: HashMap<IpAddr, usize>,
}

/// Bytes that an address holds; they are given back with the value.
#[derive(Debug)]
pub(super) struct Held {
    budget: Budget,
    source: IpAddr,
    bytes: usize,
}

impl Budget {
    /// Nothing yet, for an address.
    pub(super) fn hold(&self, source: IpAddr) -> Held {
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
        source: IpAddr,
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
        if all > ALL || each > EACH {
            return Err(Problem::new(
                ProblemCode::Unavailable,
                "too many requests and answers of this address, or of all, are on their way",
                "read the answers that are due, send bodies at once, and ask again",
            ));
        }
        spent.all = all;
        spent.each.insert(self.source, each);
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
    fn one_address_gets_its_share_and_no_more_and_gives_it_back() {
        let budget = Budget::default();
        let [one, other] = ["10.0.0.1", "10.0.0.2"].map(|ip| ip.parse().unwrap());
        let mut held = budget.hold(one);
        held.grow(EACH).unwrap();
        assert!(budget.hold(one).grow(1).is_err());
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
            let mut one = budget.hold([10, 0, 0, number].into());
            if one.grow(EACH).is_ok() {
                held.push(one);
            }
        }
        assert_eq!(held.len(), ALL / EACH);
    }
}
