//! Cancels: work on a canceled request stops within one step, and does not begin when its job comes later.

use std::sync::Arc;

use async_nats::Subscriber;
use atelier_proto::{decode, signal::Cancel};
use futures::StreamExt;

use crate::shared::Shared;

/// Subscribes; from then on no cancel is missed while NATS is there.
pub async fn subscribe(shared: &Shared) -> Result<Subscriber, atelier_platform::BusError> {
    let subject = shared.bus.names().cancel();
    shared.bus.subscribe(subject, None).await
}

/// Obeys cancels until nothing is in hands any more.
pub async fn run(shared: Arc<Shared>, mut cancels: Subscriber) -> anyhow::Result<()> {
    let hard = shared.life.hard();
    loop {
        let message = tokio::select! {
            message = cancels.next() => message,
            () = shared.empty.cancelled() => return Ok(()),
            () = hard.cancelled() => return Ok(()),
        };
        let Some(message) = message else {
            anyhow::bail!("the subscription to cancels ended");
        };
        match decode::<Cancel>(&message.payload) {
            Ok(cancel) => {
                let request = cancel.body.request;
                let stopped = shared.hands.cancel(request);
                if stopped > 0 {
                    tracing::info!(%request, stopped, "canceled");
                }
            }
            Err(error) => {
                shared.metrics.malformed.inc();
                tracing::warn!(%error, "a cancel that cannot be read");
            }
        }
    }
}
