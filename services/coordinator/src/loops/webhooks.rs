//! Webhooks: tells the ends of requests to whoever asked for it. Several coordinators share the work: each takes what nobody else has taken.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{AFTER_ERROR, LONGEST_TURN, pause};
use crate::{farm::Farm, operations::webhooks::deliver};

/// Ends that other coordinators saw, and tries whose time has come, are found by looking this often.
const LOOK: Duration = Duration::from_secs(2);

/// Runs until `stop`.
pub async fn run(farm: Farm, stop: CancellationToken) {
    let pulse = farm.pulses.watch("webhooks", LONGEST_TURN);
    loop {
        let woken = async {
            tokio::select! {
                () = stop.cancelled() => false,
                () = farm.webhooks.changed() => true,
                () = tokio::time::sleep(LOOK) => true,
            }
        };
        if !pulse.idle(woken).await {
            return;
        }
        // As long as there are more than one turn takes.
        loop {
            let told = tokio::select! {
                // What was begun is tried again by whoever looks next.
                () = stop.cancelled() => return,
                told = deliver(&farm) => told,
            };
            pulse.beat();
            match told {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "webhooks");
                    pause(&stop, AFTER_ERROR).await;
                    break;
                }
            }
        }
    }
}
