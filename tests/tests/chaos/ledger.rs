//! What the farm has promised so far: written down outside of it, to be held against it at the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use atelier_proto::{RequestId, http::RequestView};

/// A cancel that was acknowledged.
#[derive(Clone, Debug)]
pub struct Cancel {
    /// When it was sent.
    pub sent: Instant,
    /// When it was acknowledged.
    pub acknowledged: Instant,
    /// The request as the answer showed it.
    pub view: RequestView,
}

/// What is known of the request of one number.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// The ids under which it was acknowledged: one, if all is well.
    pub ids: BTreeSet<RequestId>,
    /// Every end that an event stream told, stream by stream.
    pub ends: Vec<RequestView>,
    /// An event stream told the end more than once.
    pub told_twice: bool,
    /// Its cancel.
    pub cancel: Option<Cancel>,
}

/// What was promised, by number.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: Mutex<BTreeMap<u32, Entry>>,
    complaints: Mutex<Vec<String>>,
}

impl Ledger {
    /// Changes the entry of a number.
    pub fn note(&self, number: u32, change: impl FnOnce(&mut Entry)) {
        change(lock(&self.entries).entry(number).or_default());
    }

    /// Something that should not happen, whatever else does.
    pub fn complain(&self, what: String) {
        eprintln!("chaos: {what}");
        lock(&self.complaints).push(what);
    }

    /// Everything that was promised.
    pub fn entries(&self) -> BTreeMap<u32, Entry> {
        lock(&self.entries).clone()
    }

    /// How many requests were acknowledged.
    pub fn acknowledged(&self) -> usize {
        let entries = lock(&self.entries);
        entries
            .values()
            .filter(|entry| !entry.ids.is_empty())
            .count()
    }

    /// What should not have happened.
    pub fn complaints(&self) -> Vec<String> {
        lock(&self.complaints).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
