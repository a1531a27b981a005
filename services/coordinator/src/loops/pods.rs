//! Pods: tells Kubernetes which workers hold jobs, where that is asked for. Every coordinator hears what workers hold; one of them tells it.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{LONGEST_TURN, pause};
use crate::{
    farm::Farm,
    operations::pods::{Access, Teller},
    store::{Lead, StoreError},
};

/// Between two looks; shorter than PostgreSQL waits for a leader's next word.
const LOOK: Duration = Duration::from_secs(3);
/// What is led.
const LED: &str = "atelier pods";

/// Runs until `stop`.
pub async fn run(farm: Farm, access: Access, stop: CancellationToken) {
    let pulse = farm.pulses.watch("pods", LONGEST_TURN);
    let mut leading = None;
    while pulse.idle(pause(&stop, LOOK)).await {
        tokio::select! {
            () = stop.cancelled() => return,
            done = turn(&farm, &access, &mut leading) => if let Err(error) = done {
                tracing::warn!(%error, "pods");
            }
        }
    }
}

/// Goes on leading, or tries to begin. Whoever begins does not know what the last one wrote.
async fn turn(
    farm: &Farm,
    access: &Access,
    leading: &mut Option<(Lead, Teller)>,
) -> Result<(), StoreError> {
    let still = match leading.take() {
        Some((mut lead, teller)) => {
            lead.keep().await?;
            Some((lead, teller))
        }
        None => {
            let lead = farm.store.lead(LED).await?;
            lead.map(|lead| (lead, Teller::new(access.clone())))
        }
    };
    if let Some((lead, mut teller)) = still {
        teller.turn(farm).await;
        *leading = Some((lead, teller));
    }
    Ok(())
}
