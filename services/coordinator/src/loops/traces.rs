//! Traces: writes the traces of requests that ended, those that ended at about the same time together.

use std::time::Duration;

use atelier_proto::RequestId;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{AFTER_ERROR, LONGEST_TURN, pause, take_waiting};
use crate::{farm::Farm, operations::trace};

/// Most traces written at once.
const BATCH: usize = 256;

/// How long those that end next are waited for. Who asks for a trace before has it made at once.
const GATHER: Duration = Duration::from_millis(100);

/// Runs until `stop`; what is left over is found again by reconcile.
pub async fn run(farm: Farm, mut ended: mpsc::Receiver<RequestId>, stop: CancellationToken) {
    let pulse = farm.pulses.watch("traces", LONGEST_TURN);
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            taken = pulse.idle(ended.recv_many(&mut batch, BATCH)) => if taken == 0 { return },
        }
        if !pause(&stop, GATHER).await {
            return;
        }
        take_waiting(&mut ended, &mut batch, BATCH);
        if let Err(error) = trace::write(&farm, &batch).await {
            tracing::warn!(requests = batch.len(), %error, "traces were not written yet");
            pause(&stop, AFTER_ERROR).await;
        }
        batch.clear();
    }
}
