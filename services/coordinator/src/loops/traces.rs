//! Traces: writes the trace of each request that ended, some at a time.

use atelier_proto::RequestId;
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use crate::{farm::Farm, operations::trace};

/// Traces written at once.
const AT_ONCE: usize = 8;

/// Runs until `stop`; what is left over is found again by reconcile.
pub async fn run(farm: Farm, ended: mpsc::Receiver<RequestId>, stop: CancellationToken) {
    ReceiverStream::new(ended)
        .take_until(stop.cancelled_owned())
        .for_each_concurrent(AT_ONCE, |id| {
            let farm = &farm;
            async move {
                if let Err(error) = trace::write(farm, id).await {
                    tracing::warn!(request = %id, %error, "a trace was not written yet");
                }
            }
        })
        .await;
}
