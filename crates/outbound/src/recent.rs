//! A map that holds a bounded number of values and forgets the one that was used longest ago.

use std::collections::HashMap;
use std::hash::Hash;

pub(crate) struct Recent<K, V> {
    values: HashMap<K, (V, u64)>,
    /// Counts uses.
    uses: u64,
    capacity: usize,
}

impl<K: Hash + Eq + Clone, V: Clone> Recent<K, V> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            values: HashMap::new(),
            uses: 0,
            capacity,
        }
    }

    /// The value of `key`, which `make` makes where there is none.
    ///
    /// # Errors
    /// What `make` gives; then nothing is kept.
    pub(crate) fn get_or_make<E>(&mut self, key: &K, make: impl FnOnce() -> Result<V, E>) -> Result<V, E> {
        self.uses += 1;
        if let Some((value, used)) = self.values.get_mut(key) {
            *used = self.uses;
            return Ok(value.clone());
        }
        let value = make()?;
        if self.values.len() >= self.capacity {
            self.forget_oldest();
        }
        self.values.insert(key.clone(), (value.clone(), self.uses));
        Ok(value)
    }

    fn forget_oldest(&mut self) {
        let oldest = self.values.iter().min_by_key(|(_, (_, used))| *used);
        if let Some(key) = oldest.map(|(key, _)| key.clone()) {
            self.values.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn what_was_used_longest_ago_is_forgotten() {
        let mut made = Vec::new();
        let mut recent = Recent::new(2);
        for key in [1, 2, 1, 3, 1, 2] {
            let value = recent.get_or_make(&key, || {
                made.push(key);
                Ok::<_, Infallible>(key * 10)
            });
            assert_eq!(value, Ok(key * 10));
        }
        assert_eq!(made, [1, 2, 3, 2]);
        assert_eq!(recent.values.len(), 2);
    }

    #[test]
    fn what_can_not_be_made_is_not_kept() {
        let mut recent = Recent::<_, u8>::new(1);
        assert_eq!(recent.get_or_make(&1, || Err("no")), Err("no"));
        assert_eq!(recent.get_or_make(&1, || Ok::<_, &str>(5)), Ok(5));
    }
}
