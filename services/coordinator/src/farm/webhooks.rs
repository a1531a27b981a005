//! Wakes whoever tells the ends of requests. Until somebody asks for that, an end costs nothing more.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::Notify;

/// Whether ends are to be told. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Webhooks(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Whether a request with a webhook came through this coordinator since it began. The ends of others are found by looking.
    asked: AtomicBool,
    wake: Notify,
}

impl Webhooks {
    /// Somebody wants to know how a request ends.
    pub fn asked(&self) {
        self.0.asked.store(true, Ordering::Relaxed);
        // It may have ended before this.
        self.0.wake.notify_one();
    }

    /// A request ended: somebody may want to know.
    pub fn ended(&self) {
        if self.0.asked.load(Ordering::Relaxed) {
            self.0.wake.notify_one();
        }
    }

    /// Waits until somebody should be told.
    pub async fn changed(&self) {
        self.0.wake.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn ends_wake_once_somebody_asked() {
        let webhooks = Webhooks::default();
        webhooks.ended();
        assert_eq!(webhooks.changed().now_or_never(), None);
        webhooks.asked();
        webhooks.changed().await;
        webhooks.ended();
        webhooks.ended();
        webhooks.changed().await;
        assert_eq!(webhooks.changed().now_or_never(), None);
    }
}
