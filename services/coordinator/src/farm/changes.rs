//! Who watches which request, so that a change wakes its watchers and nobody else.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use atelier_proto::RequestId;
use tokio::sync::watch;

/// The watched requests. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Changes(Arc<Mutex<HashMap<RequestId, watch::Sender<()>>>>);

/// Sees every change of one request; several in a row may be seen as one.
#[derive(Debug)]
pub struct Watch {
    changes: Changes,
    request: RequestId,
    receiver: watch::Receiver<()>,
}

impl Changes {
    /// Begins to watch `request`.
    pub fn watch(&self, request: RequestId) -> Watch {
        let mut watched = self.lock();
        let sender = watched
            .entry(request)
            .or_insert_with(|| watch::channel(()).0);
        Watch {
            changes: self.clone(),
            request,
            receiver: sender.subscribe(),
        }
    }

    /// Wakes whoever watches `request`.
    pub fn changed(&self, request: RequestId) {
        if let Some(sender) = self.lock().get(&request) {
            sender.send_replace(());
        }
    }

    /// Wakes everybody: changes may have been missed.
    pub fn all_changed(&self) {
        for sender in self.lock().values() {
            sender.send_replace(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RequestId, watch::Sender<()>>> {
        // Nothing under the lock can panic halfway through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// Waits for the next change.
    pub async fn changed(&mut self) {
        if self.receiver.changed().await.is_err() {
            // The sender lives as long as there are watches.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watched = self.changes.lock();
        let last = watched
            .get(&self.request)
            .is_some_and(|sender| sender.receiver_count() <= 1);
        if last {
            watched.remove(&self.request);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn wakes_those_who_watch_and_forgets_the_last() {
        let changes = Changes::default();
        let id = RequestId::at(1, [1; 10]);
        let mut first = changes.watch(id);
        let mut second = changes.watch(id);
        changes.changed(id);
        first.changed().await;
        second.changed().await;
        drop(first);
        changes.all_changed();
        second.changed().await;
        drop(second);
        assert!(changes.lock().is_empty());
        changes.changed(id);
    }
}
