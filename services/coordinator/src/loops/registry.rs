//! Registry: hears every worker's heartbeat. Every coordinator does, since each must know how many workers there are.

use atelier_proto::{decode, job::JobKind, signal::Heartbeat};
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::LONGEST_TURN;
use crate::{
    farm::Farm,
    operations::advise::{advise, release},
};

/// Runs until `stop`.
pub async fn run(farm: Farm, stop: CancellationToken) -> anyhow::Result<()> {
    let subject = farm.bus.names().all_heartbeats();
    let mut heartbeats = farm.bus.subscribe(subject, None).await?;
    let pulse = farm.pulses.watch("registry", LONGEST_TURN);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            Some(message) = pulse.idle(heartbeats.next()) => {
                // The one that extends leases counts what cannot be read.
                let Ok(heartbeat) = decode::<Heartbeat>(&message.payload) else { continue };
                let heartbeat = heartbeat.body;
                let worker = heartbeat.worker;
                let kept_from = heartbeat.kept_from.clone();
                let mut taken = heartbeat.roles.clone();
                taken.retain(|kind| !kept_from.contains(kind));
                if farm.workers.heard(heartbeat) {
                    farm.ready.notify_one();
                }
                for kind in taken {
                    advise(&farm, worker, kind).await;
                }
                for kind in kept_from {
                    release(&farm, worker, kind).await;
                }
                for kind in JobKind::ALL {
                    let taking = i64::from(farm.workers.taking(kind));
                    farm.metrics.workers.with_label_values(&[kind.as_str()]).set(taking);
                }
            }
        }
    }
}
