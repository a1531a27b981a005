//! Cancels: hears of every canceled request, whoever canceled it, and takes out of the stream what this coordinator put there for it. Who cancels
//! knows only the places of messages that it published itself, or that were written down.

use atelier_proto::{decode, signal::Cancel};
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::LONGEST_TURN;
use crate::{farm::Farm, operations::cancel};

/// Runs until `stop`.
pub async fn run(farm: Farm, stop: CancellationToken) -> anyhow::Result<()> {
    let mut cancels = farm.bus.subscribe(farm.bus.names().cancel(), None).await?;
    let pulse = farm.pulses.watch("cancels", LONGEST_TURN);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            Some(message) = pulse.idle(cancels.next()) => {
                let Ok(message) = decode::<Cancel>(&message.payload) else {
                    farm.metrics.malformed.with_label_values(&["cancel"]).inc();
                    continue;
                };
                let request = message.body.request;
                if let Err(error) = cancel::withdraw(&farm, request).await {
                    tracing::debug!(%request, %error, "what waits of a canceled request was not looked for");
                }
            }
        }
    }
}
