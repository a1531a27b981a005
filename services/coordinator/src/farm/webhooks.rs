//! Whose ends are to be told: requests with a webhook that came through this coordinator. Without any, an end costs nothing more.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use atelier_proto::RequestId;
use tokio::sync::Notify;

/// Most that are remembered; the ends of others are found by looking.
const MOST: usize = 65_536;

/// The requests with a webhook. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Webhooks(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    requests: Mutex<HashSet<RequestId>>,
    count: AtomicUsize,
    wake: Notify,
}

impl Webhooks {
    /// Somebody wants to know how `request` ends.
    pub fn watch(&self, request: RequestId) {
        self.change(|requests| requests.len() < MOST && requests.insert(request));
        // It may have ended before this.
        self.0.wake.notify_one();
    }

    /// `request` ended: tells whoever delivers, if somebody wants to know.
    pub fn ended(&self, request: RequestId) {
        if self.0.count.load(Ordering::Relaxed) == 0 {
            return;
        }
        if self.change(|requests| requests.remove(&request)) {
            self.0.wake.notify_one();
        }
    }

    /// Waits until somebody should be told.
    pub async fn changed(&self) {
        self.0.wake.notified().await;
    }

    fn change(&self, change: impl FnOnce(&mut HashSet<RequestId>) -> bool) -> bool {
        // Nothing under the lock can panic halfway through a change.
        let mut requests = self
            .0
            .requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let changed = change(&mut requests);
        self.0.count.store(requests.len(), Ordering::Relaxed);
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_ends_that_somebody_waits_for_wake() {
        let webhooks = Webhooks::default();
        let (one, other) = (RequestId::at(1, [1; 10]), RequestId::at(1, [2; 10]));
        webhooks.watch(one);
        webhooks.changed().await;
        webhooks.ended(other);
        let wait = std::time::Duration::from_millis(20);
        assert!(
            tokio::time::timeout(wait, webhooks.changed())
                .await
                .is_err()
        );
        webhooks.ended(one);
        webhooks.changed().await;
        assert_eq!(webhooks.0.count.load(Ordering::Relaxed), 0);
    }
}
