//! Liveness: heartbeats and progress extend leases, many in one statement. One coordinator of the group hears each.

use std::{collections::HashMap, time::Duration};

use atelier_proto::{
    JobId, decode, encode,
    signal::{Cancel, Heartbeat, Progress},
};
use futures::StreamExt;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::{
    farm::Farm,
    store::{Extension, StoreError},
};

/// Signs of life are gathered this long.
const GATHER: Duration = Duration::from_millis(250);

/// Runs until `stop`.
pub async fn run(farm: Farm, stop: CancellationToken) -> anyhow::Result<()> {
    let names = farm.bus.names();
    let group = Some(names.coordinators());
    let mut heartbeats = farm
        .bus
        .subscribe(names.all_heartbeats(), group.clone())
        .await?;
    let mut progress = farm.bus.subscribe(names.all_progress(), group).await?;
    let mut alive: HashMap<JobId, Extension> = HashMap::new();
    let mut tick = tokio::time::interval(GATHER);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            Some(message) = heartbeats.next() => match decode::<Heartbeat>(&message.payload) {
                Ok(heartbeat) => {
                    let Heartbeat { worker, holding, .. } = heartbeat.body;
                    for (job, attempt) in holding {
                        newest(&mut alive, Extension { job, attempt, worker });
                    }
                }
                Err(_) => farm.metrics.malformed.with_label_values(&["heartbeat"]).inc(),
            },
            Some(message) = progress.next() => match decode::<Progress>(&message.payload) {
                Ok(progress) => {
                    let Progress { job, attempt, worker, .. } = progress.body;
                    newest(&mut alive, Extension { job, attempt, worker });
                }
                Err(_) => farm.metrics.malformed.with_label_values(&["progress"]).inc(),
            },
            _ = tick.tick(), if !alive.is_empty() => {
                let batch: Vec<_> = alive.drain().map(|(_, extension)| extension).collect();
                if let Err(error) = write(&farm, &batch).await {
                    tracing::warn!(%error, "leases were not extended");
                }
            }
        }
    }
}

/// Extends leases, and tells workers once more to drop what was canceled: they may not have heard it the first time.
async fn write(farm: &Farm, batch: &[Extension]) -> Result<(), StoreError> {
    if farm.store.extend(batch, farm.policy.lease_ms).await? > 0 {
        // A job that left the queue makes room in it.
        farm.ready.notify_one();
    }
    for request in farm.store.canceled_among(batch).await? {
        let message = encode(&Cancel { request }, None);
        if let Err(error) = farm.bus.publish(farm.bus.names().cancel(), message).await {
            tracing::debug!(%request, %error, "workers were not told to stop");
        }
    }
    Ok(())
}

/// Keeps the sign of life for the latest attempt.
fn newest(alive: &mut HashMap<JobId, Extension>, extension: Extension) {
    let known = alive.entry(extension.job).or_insert(extension);
    if known.attempt <= extension.attempt {
        *known = extension;
    }
}
