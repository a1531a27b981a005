//! The objects that were read and found damaged. Their length may be as it should be, so that whoever writes one again must know of it.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many are remembered; of more, any go.
const MOST: usize = 4_096;

/// Keys of damaged objects, until they are written again. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Damaged(Arc<Mutex<HashSet<String>>>);

impl Damaged {
    /// An object turned out to be damaged.
    pub fn note(&self, key: String) {
        let mut keys = self.lock();
        if keys.len() >= MOST
            && let Some(any) = keys.iter().next().cloned()
        {
            keys.remove(&any);
        }
        keys.insert(key);
    }

    /// Whether an object was damaged when it was last read.
    pub fn holds(&self, key: &str) -> bool {
        self.lock().contains(key)
    }

    /// An object was written again.
    pub fn forget(&self, key: &str) {
        self.lock().remove(key);
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<String>> {
        // Nothing under the lock can panic halfway through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_damaged_is_known_until_it_is_written_and_never_too_much_of_it() {
        let damaged = Damaged::default();
        damaged.note("one".into());
        assert!(damaged.holds("one") && !damaged.holds("two"));
        damaged.clone().forget("one");
        assert!(!damaged.holds("one"));
        for number in 0..MOST + 10 {
            damaged.note(number.to_string());
        }
        assert_eq!(damaged.lock().len(), MOST);
        assert!(damaged.holds(&(MOST + 9).to_string()));
    }
}
