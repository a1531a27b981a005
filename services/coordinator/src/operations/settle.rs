//! What follows a commit: wake dispatch, tell workers to drop what is not needed, queue traces, wake watchers.

use std::collections::HashSet;

use atelier_domain::Effect;
use atelier_proto::{RequestId, encode, signal::Cancel};

use crate::{farm::Farm, store::Committed};

/// Does what a commit asks for. Every part of it may get lost; the loops make up for it.
pub async fn settle(farm: &Farm, touched: &[RequestId], committed: Committed) {
    let mut stopped = HashSet::new();
    for (request, effect) in committed.effects {
        match effect {
            // Its kind is among those that are ready.
            Effect::JobReady(_) => {}
            Effect::StopWork(job) => {
                stopped.insert(request);
                // Nobody shall begin what still waits in the stream.
                let noted = committed.places.get(&job).copied();
                if let Some(place) = farm.posted.take(job).or(noted) {
                    farm.withdraw(place).await;
                }
            }
            Effect::BestPicture(_) => {}
            Effect::Ended(state) => {
                let word = state.kind().as_str();
                farm.metrics.requests_ended.with_label_values(&[word]).inc();
                tracing::info!(%request, state = word, reason = state.reason(), "request ended");
                farm.webhooks.ended();
                // When the queue is full, reconcile finds it later.
                let _ = farm.traces.try_send(request);
            }
        }
    }
    if !committed.ready.is_empty() {
        // Until dispatch has looked, nothing passes them.
        farm.pass.wait(committed.ready);
        farm.claim_if_worth_it();
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
