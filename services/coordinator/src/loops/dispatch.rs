//! Dispatch: publishes ready jobs as soon as there are some and there is room.

use std::time::{Duration, Instant};

use atelier_platform::Lifecycle;
use tokio_util::sync::CancellationToken;

use super::{AFTER_ERROR, LONGEST_TURN, pause};
use crate::{farm::Farm, operations::dispatch};

/// Looks for ready jobs this often although nobody said that there are any: delayed ones, and notices that got lost.
const SWEEP: Duration = Duration::from_millis(500);

/// Runs until `stop`. What is being published when it ends is finished by tasks of `life`.
pub async fn run(farm: Farm, life: Lifecycle, stop: CancellationToken) {
    let pulse = farm.pulses.watch("dispatch", LONGEST_TURN);
    let mut looked = Instant::now();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = farm.ready.notified() => {}
            () = tokio::time::sleep(SWEEP) => {}
        }
        loop {
            pulse.beat();
            // Without a stream jobs stay ready: nothing is gained by marking them.
            let Some(epoch) = farm.epoch().filter(|_| !stop.is_cancelled()) else {
                break;
            };
            match dispatch::claim(&farm, epoch).await {
                Ok(publishing) => {
                    let claimed = publishing.len();
                    if claimed > 0 {
                        let mut publishing = Box::pin(publishing.publish(farm.clone()));
                        // The first step hands them to the connection: before the next claim, so that they stay in their order.
                        if futures::poll!(&mut publishing).is_pending() {
                            life.track(publishing);
                        }
                    }
                    if claimed == 0 || looked.elapsed() > SWEEP {
                        looked = Instant::now();
                        if let Err(error) = dispatch::look(&farm).await {
                            tracing::warn!(%error, "dispatch");
                        }
                    }
                    if claimed == 0 {
                        break;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "dispatch");
                    if !pause(&stop, AFTER_ERROR).await {
                        return;
                    }
                }
            }
        }
    }
}
