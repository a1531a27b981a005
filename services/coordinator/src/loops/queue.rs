//! Queue: keeps the stream of jobs and its consumers there, and knows which jobs still wait in it.
//!
//! A job that queues longer than a lease is not lost: JetStream says how far each role has read, and what is behind that keeps its lease.
//! A stream that was made anew has another epoch, and jobs whose messages were in the old one are ready again.

use std::time::Duration;

use atelier_platform::BusError;
use atelier_proto::job::JobKind;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{LONGEST_TURN, pause};
use crate::{farm::Farm, operations::expire::recover_orphans, store::StoreError};

/// Longest wait between two looks, in milliseconds, and until the place of a message is written down: most jobs are over before. What is not
/// written down when this process is killed runs out its lease although it may still be in the stream.
const LONGEST_WAIT_MS: u64 = 1_000;
/// Wait before the stream is tried again.
const RETRY: Duration = Duration::from_millis(500);

#[derive(Debug, thiserror::Error)]
enum QueueError {
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Runs until `stop`; tells the epoch of the stream to `stream`, 0 while there is none.
pub async fn run(farm: Farm, stream: watch::Sender<u64>, stop: CancellationToken) {
    let every = Duration::from_millis((farm.policy.lease_ms / 4).min(LONGEST_WAIT_MS));
    let mut connections = farm.bus.connections();
    let pulse = farm.pulses.watch("queue", LONGEST_TURN);
    loop {
        pulse.beat();
        connections.mark_unchanged();
        let looked = if farm.bus.is_connected() {
            look(&farm, &stream, every).await
        } else {
            Ok(())
        };
        let wait = match looked {
            Ok(()) => every,
            Err(error) => {
                tracing::warn!(%error, "the stream of jobs");
                stream.send_replace(0);
                RETRY.min(every)
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            changed = connections.changed() => if changed.is_err() && !pause(&stop, wait).await { return },
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn look(farm: &Farm, stream: &watch::Sender<u64>, every: Duration) -> Result<(), QueueError> {
    let epoch = farm.bus.ensure_jobs().await?.epoch;
    if stream.send_replace(epoch) != epoch {
        // Scalers look at the consumers before the first worker makes them.
        for kind in JobKind::ALL {
            farm.bus.ensure_consumer(kind, &farm.model).await?;
        }
        farm.ready.notify_one();
    }
    let posted = farm.posted.take_older(every);
    if !posted.is_empty() {
        let canceled = farm.store.record_posted(&posted).await?;
        // Canceled by another coordinator, or just when it was published.
        for left in posted.iter().filter(|one| canceled.contains(&one.job)) {
            farm.withdraw(left.place).await;
        }
    }
    for kind in JobKind::ALL {
        let delivered = match farm.bus.read_so_far(kind, &farm.model).await? {
            // A message that was taken out of the stream would seem to wait until something later is delivered: for ever, on a calm day.
            Some(read) if read.waiting == 0 => continue,
            Some(read) => read.delivered,
            None => {
                farm.bus.ensure_consumer(kind, &farm.model).await?;
                0
            }
        };
        farm.store
            .extend_queued(kind, epoch, delivered, farm.policy.lease_ms)
            .await?;
    }
    recover_orphans(farm, epoch).await?;
    Ok(())
}
