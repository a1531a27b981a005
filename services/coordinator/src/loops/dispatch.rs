//! Dispatch: publishes ready jobs as soon as there are some and there is room.

use std::time::Duration;

use atelier_platform::Lifecycle;
use tokio_util::sync::CancellationToken;

use super::{AFTER_ERROR, LONGEST_TURN, pause};
use crate::{farm::Farm, operations::dispatch};

/// Looks for ready jobs this often although nobody said that there are any: delayed ones, and notices that got lost.
const SWEEP: Duration = Duration::from_millis(500);

/// Runs until `stop`. What is being published when it ends is finished by tasks of `life`.
pub async fn run(farm: Farm, life: Lifecycle, stop: CancellationToken) {
    let pulse = farm.pulses.watch("dispatch", LONGEST_TURN);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = farm.ready.notified() => {}
            () = tokio::time::sleep(SWEEP) => {}
        }
        pulse.beat();
        // Without a stream jobs stay ready: nothing is gained by marking them.
        let Some(epoch) = farm.epoch().filter(|_| !stop.is_cancelled()) else {
            continue;
        };
        // One claim takes all that there is room for.
        match dispatch::claim(&farm, epoch).await {
            Ok(publishing) if publishing.is_empty() => {}
            Ok(publishing) => {
                let mut publishing = Box::pin(publishing.publish(farm.clone()));
                // The first step hands them to the connection: before the next claim, so that they stay in their order.
                if futures::poll!(&mut publishing).is_pending() {
                    life.track(publishing);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "dispatch");
                farm.ready.notify_one();
                if !pause(&stop, AFTER_ERROR).await {
                    return;
                }
            }
        }
    }
}
