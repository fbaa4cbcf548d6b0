//! Who holds how much of what there is only so much of: places, memory.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Amounts by account, none of which holds more than it may. An amount can be on several accounts, as
/// that of one address and that of all.
pub(crate) struct Tally<K>(Arc<Inner<K>>);

struct Inner<K> {
    most: Box<dyn Fn(&K) -> usize + Send + Sync>,
    /// Without those that hold nothing.
    amounts: Mutex<HashMap<K, usize>>,
}

impl<K> Clone for Tally<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: fmt::Debug> fmt::Debug for Tally<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tally").field(&*self.0.amounts()).finish()
    }
}

impl<K> Inner<K> {
    fn amounts(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.amounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An amount on some accounts; it is given back with the value.
#[derive(Debug)]
pub(crate) struct Held<K: Eq + Hash + fmt::Debug> {
    tally: Tally<K>,
    accounts: Vec<K>,
    amount: usize,
}

impl<K: Clone + Eq + Hash + fmt::Debug> Tally<K> {
    /// One where each account may hold so much.
    pub(crate) fn new(most: impl Fn(&K) -> usize + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner {
            most: Box::new(most),
            amounts: Mutex::default(),
        }))
    }

    /// Nothing yet.
    pub(crate) fn hold(&self, accounts: impl Into<Vec<K>>) -> Held<K> {
        Held {
            tally: self.clone(),
            accounts: accounts.into(),
            amount: 0,
        }
    }

    /// One of something; none where an account is full.
    pub(crate) fn take(&self, accounts: impl Into<Vec<K>>) -> Option<Held<K>> {
        let mut held = self.hold(accounts);
        held.grow(1).then_some(held)
    }

    /// How many accounts hold anything.
    #[cfg(test)]
    pub(crate) fn accounts(&self) -> usize {
        self.0.amounts().len()
    }
}

impl<K: Clone + Eq + Hash + fmt::Debug> Held<K> {
    /// Takes so much more, if all accounts may hold it.
    pub(crate) fn grow(&mut self, more: usize) -> bool {
        let inner = &self.tally.0;
        let mut amounts = inner.amounts();
        let has_room = |account| {
            let amount = amounts.get(account).copied().unwrap_or_default();
            (inner.most)(account).saturating_sub(amount) >= more
        };
        if more == 0 || !self.accounts.iter().all(has_room) {
            return more == 0;
        }
        for account in &self.accounts {
            *amounts.entry(account.clone()).or_default() += more;
        }
        self.amount += more;
        true
    }
}

impl<K: Eq + Hash + fmt::Debug> Held<K> {
    /// On which accounts it is.
    pub(crate) fn accounts(&self) -> &[K] {
        &self.accounts
    }

    /// Takes it off an account.
    pub(crate) fn leave(&mut self, account: &K) {
        let amount = self.amount;
        let mut amounts = self.tally.0.amounts();
        self.accounts.retain(|held| {
            if held == account {
                give_back(&mut amounts, held, amount);
            }
            held != account
        });
    }
}

impl<K: Eq + Hash + fmt::Debug> Drop for Held<K> {
    fn drop(&mut self) {
        if self.amount == 0 {
            return;
        }
        let mut amounts = self.tally.0.amounts();
        for account in &self.accounts {
            give_back(&mut amounts, account, self.amount);
        }
    }
}

fn give_back<K: Eq + Hash>(amounts: &mut HashMap<K, usize>, account: &K, less: usize) {
    if let Some(amount) = amounts.get_mut(account) {
        *amount = amount.saturating_sub(less);
        if *amount == 0 {
            amounts.remove(account);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An account's number is the most that it may hold.
    fn tally() -> Tally<usize> {
        Tally::new(|most| *most)
    }

    #[test]
    fn what_one_account_has_no_room_for_is_on_none() {
        let tally = tally();
        let mut held = tally.hold([10, 3]);
        assert!(held.grow(3));
        assert!(!held.grow(1));
        let mut other = tally.hold([10]);
        assert!(other.grow(7));
        assert!(!other.grow(1));
        drop(held);
        assert!(other.grow(3));
        drop(other);
        assert_eq!(tally.accounts(), 0);
    }

    #[test]
    fn what_leaves_an_account_makes_room_there_and_stays_on_the_others() {
        let tally = tally();
        let mut held = tally.take([1, 2]).unwrap();
        assert!(tally.take([1]).is_none());
        held.leave(&1);
        assert_eq!(held.accounts(), [2]);
        let more = (tally.take([1]).unwrap(), tally.take([2]).unwrap());
        assert!(tally.take([2]).is_none());
        drop((held, more));
        assert_eq!(tally.accounts(), 0);
    }

    #[test]
    fn nothing_takes_no_account() {
        let tally = tally();
        let mut held = tally.hold([0]);
        assert!(held.grow(0) && !held.grow(1));
        assert_eq!(tally.accounts(), 0);
    }
}
