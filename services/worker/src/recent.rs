//! A map that forgets its oldest keys.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

/// The map. What is set again stays as old as it was.
#[derive(Debug)]
pub struct Recent<K, V> {
    most: usize,
    known: HashMap<K, V>,
    order: VecDeque<K>,
}

impl<K: Copy + Eq + Hash, V> Recent<K, V> {
    /// An empty one for at most `most` keys.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            known: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// What is known of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.known.get(key)
    }

    /// Remembers it.
    pub fn set(&mut self, key: K, value: V) {
        if self.known.insert(key, value).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > self.most {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn memory_is_bounded(keys in prop::collection::vec(0_u32..200, 0..1_000), most in 1_usize..100) {
            let mut recent = Recent::new(most);
            for key in &keys {
                recent.set(*key, ());
                prop_assert_eq!(recent.get(key), Some(&()));
            }
            prop_assert!(recent.known.len() <= most);
            prop_assert_eq!(recent.known.len(), recent.order.len());
        }
    }

    #[test]
    fn the_oldest_keys_are_forgotten() {
        let mut recent = Recent::new(2);
        for (key, value) in [(1, "one"), (2, "two"), (1, "uno"), (3, "three")] {
            recent.set(key, value);
        }
        let known = [1, 2, 3].map(|key| recent.get(&key).copied());
        assert_eq!(known, [None, Some("two"), Some("three")]);
    }
}
