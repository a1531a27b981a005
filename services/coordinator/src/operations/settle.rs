//! What follows a commit: wake dispatch, tell workers to drop what is not needed, queue traces, wake watchers.

use std::collections::HashSet;

use atelier_domain::Effect;
use atelier_proto::{RequestId, encode, signal::Cancel};

use crate::farm::Farm;

/// Does what the committed `effects` ask for. Every one of these may get lost; the loops make up for it.
pub async fn settle(farm: &Farm, touched: &[RequestId], effects: Vec<(RequestId, Effect)>) {
    let mut stopped = HashSet::new();
    let mut wake = false;
    for (request, effect) in effects {
        match effect {
            Effect::JobReady(_) => wake = true,
            Effect::StopWork(_) => {
                stopped.insert(request);
            }
            Effect::BestPicture(_) => {}
            Effect::Ended(state) => {
                let word = state.kind().as_str();
                farm.metrics.requests_ended.with_label_values(&[word]).inc();
                tracing::info!(%request, state = word, reason = state.reason(), "request ended");
                // When the queue is full, reconcile finds it later.
                let _ = farm.traces.try_send(request);
            }
        }
    }
    if wake {
        farm.ready.notify_one();
    }
    for request in stopped {
        let message = encode(&Cancel { request }, None);
        if let Err(error) = farm.bus.publish(farm.bus.names().cancel(), message).await {
            tracing::debug!(%request, %error, "workers were not told to stop");
        }
    }
    for request in touched {
        farm.changes.changed(*request);
    }
}
