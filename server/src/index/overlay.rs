//! Changes that are not written yet, over what is.

use std::collections::BTreeMap;

use serde::{Serialize, de::DeserializeOwned};

use super::IndexError;

/// Reads see the changes made so far; [`Overlay::commit`] writes all of them at once or none.
pub(super) struct Overlay<'a> {
    tree: &'a sled::Tree,
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl<'a> Overlay<'a> {
    pub(super) const fn new(tree: &'a sled::Tree) -> Self {
        Self {
            tree,
            changes: BTreeMap::new(),
        }
    }

    pub(super) fn get<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, IndexError> {
        match self.changes.get(key) {
            Some(change) => change
                .as_deref()
                .map(|value| decode(key, value))
                .transpose(),
            None => self
                .tree
                .get(key)?
                .map(|value| decode(key, &value))
                .transpose(),
        }
    }

    /// Whether there is a value, which is not looked at.
    pub(super) fn has(&self, key: &[u8]) -> Result<bool, IndexError> {
        match self.changes.get(key) {
            Some(change) => Ok(change.is_some()),
            None => Ok(self.tree.contains_key(key)?),
        }
    }

    /// All values under a prefix, by key.
    pub(super) fn scan<T: DeserializeOwned>(&self, prefix: &[u8]) -> Result<Vec<T>, IndexError> {
        let mut found = BTreeMap::new();
        for one in self.tree.scan_prefix(prefix) {
            let (key, value) = one?;
            found.insert(key.to_vec(), Some(value.to_vec()));
        }
        let changed = self.changes.range(prefix.to_vec()..);
        let changed = changed.take_while(|(key, _)| key.starts_with(prefix));
        found.extend(changed.map(|(key, change)| (key.clone(), change.clone())));
        let there = found
            .iter()
            .filter_map(|(key, value)| Some((key, value.as_ref()?)));
        there.map(|(key, value)| decode(key, value)).collect()
    }

    #[expect(
        clippy::expect_used,
        reason = "every record is made of strings, numbers, lists and maps with string keys"
    )]
    pub(super) fn put<T: Serialize>(&mut self, key: &[u8], value: &T) {
        let value = serde_json::to_vec(value).expect("an index record serialises");
        self.changes.insert(key.to_vec(), Some(value));
    }

    pub(super) fn delete(&mut self, key: &[u8]) {
        self.changes.insert(key.to_vec(), None);
    }

    /// Changes the value under a key where there is one.
    pub(super) fn update<T: Serialize + DeserializeOwned>(
        &mut self,
        key: &[u8],
        change: impl FnOnce(&mut T),
    ) -> Result<(), IndexError> {
        if let Some(mut value) = self.get(key)? {
            change(&mut value);
            self.put(key, &value);
        }
        Ok(())
    }

    pub(super) fn commit(self) -> Result<(), IndexError> {
        let mut batch = sled::Batch::default();
        for (key, change) in self.changes {
            match change {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        self.tree.apply_batch(batch)?;
        Ok(())
    }
}

pub(super) fn decode<T: DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, IndexError> {
    serde_json::from_slice(value).map_err(|source| IndexError::Value {
        key: key.escape_ascii().to_string(),
        source,
    })
}
