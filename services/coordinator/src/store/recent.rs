//! Requests as this coordinator last saw or wrote them. Only fresher than asking, never needed: whatever is saved from here is fenced by version.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use atelier_proto::RequestId;

use super::unit::Loaded;

/// Requests that are kept, some kilobytes each. One that fell out is read again.
const LIMIT: usize = 4_096;

/// How long the last state of a request is kept: whoever waits for its end looks at once.
const AFTER_END: Duration = Duration::from_secs(1);

/// Most of those: traces are made of them.
const MOST_ENDED: usize = 512;

/// Active requests by id, and the last states of some that ended. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    known: HashMap<RequestId, Arc<Loaded>>,
    /// In the order they came; may name some that are gone.
    order: VecDeque<RequestId>,
    /// Requests that ended lately, so that whoever is late with an older state of one does not bring it back.
    ended: HashSet<RequestId>,
    ended_order: VecDeque<RequestId>,
    /// The last states of those that ended just now.
    last: HashMap<RequestId, (Instant, Arc<Loaded>)>,
    /// In the order they ended; may name some that are gone.
    last_order: VecDeque<RequestId>,
}

impl Recent {
    /// A request as it was last seen.
    pub fn get(&self, id: RequestId) -> Option<Arc<Loaded>> {
        self.lock().known.get(&id).cloned()
    }

    /// Whether a request is known that is still active.
    pub fn is_active(&self, id: RequestId) -> bool {
        self.lock().known.contains_key(&id)
    }

    /// The last state of a request that ended just now. Nothing changes any more after it.
    pub fn get_ended(&self, id: RequestId) -> Option<Arc<Loaded>> {
        let inner = self.lock();
        let (when, loaded) = inner.last.get(&id)?;
        (when.elapsed() < AFTER_END).then(|| loaded.clone())
    }

    /// Remembers a request, unless a later state of it is known; the oldest make room.
    pub fn put(&self, loaded: Arc<Loaded>) {
        let id = loaded.request.id;
        let mut inner = self.lock();
        let later = |known: &Arc<Loaded>| known.version > loaded.version;
        if inner.ended.contains(&id) || inner.known.get(&id).is_some_and(later) {
            return;
        }
        if inner.known.insert(id, loaded).is_none() {
            inner.order.push_back(id);
        }
        while inner.known.len() > LIMIT || inner.order.len() > 2 * LIMIT {
            let Some(oldest) = inner.order.pop_front() else {
                break;
            };
            inner.known.remove(&oldest);
        }
    }

    /// Remembers a new request while there is much room: of many that wait, those that came first are needed first.
    pub fn offer(&self, loaded: impl FnOnce() -> Loaded) {
        let mut inner = self.lock();
        if inner.known.len() < LIMIT / 2 {
            let loaded = loaded();
            let id = loaded.request.id;
            if inner.ended.contains(&id) || inner.known.contains_key(&id) {
                return;
            }
            inner.order.push_back(id);
            inner.known.insert(id, Arc::new(loaded));
        }
    }

    /// Changes what is known of a request, if it is known.
    pub fn change(&self, id: RequestId, change: impl FnOnce(&mut Loaded)) {
        if let Some(loaded) = self.lock().known.get_mut(&id) {
            change(Arc::make_mut(loaded));
        }
    }

    /// Forgets a request that ended, for good; its last state, if that is known, after a moment.
    pub fn end(&self, id: RequestId, last: Option<Arc<Loaded>>) {
        let mut inner = self.lock();
        inner.known.remove(&id);
        if let Some(last) = last {
            if inner.last_order.len() == MOST_ENDED
                && let Some(oldest) = inner.last_order.pop_front()
            {
                inner.last.remove(&oldest);
            }
            inner.last_order.push_back(id);
            inner.last.insert(id, (Instant::now(), last));
        }
        if inner.ended.insert(id) {
            inner.ended_order.push_back(id);
        }
        if inner.ended_order.len() > LIMIT
            && let Some(oldest) = inner.ended_order.pop_front()
        {
            inner.ended.remove(&oldest);
        }
    }

    /// Forgets the last states of requests: nobody is expected to ask for them any more.
    pub fn forget_ended(&self, ids: impl IntoIterator<Item = RequestId>) {
        let mut inner = self.lock();
        for id in ids {
            inner.last.remove(&id);
        }
    }

    /// Forgets requests: somebody else changed them.
    pub fn forget(&self, ids: impl IntoIterator<Item = RequestId>) {
        let mut inner = self.lock();
        for id in ids {
            inner.known.remove(&id);
        }
    }

    /// Forgets everything.
    pub fn clear(&self) {
        let mut inner = self.lock();
        inner.known.clear();
        inner.order.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing under the lock can panic halfway through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
