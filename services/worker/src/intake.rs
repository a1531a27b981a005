//! Takes jobs of one role from the stream: one when the device is idle, the next when the one before is past its middle.

use std::{convert::Infallible, sync::Arc, time::Duration};

use atelier_platform::bus::{Delivery, Puller};
use tokio::time::Instant;

use crate::{
    hands::{Job, Taken},
    job,
    offer::{self, Offer},
    shared::Shared,
};

/// First and longest pause after the stream could not be asked.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// How long a message that only a newer release can read stays away.
const NEWER_PAUSE: Duration = Duration::from_secs(30);

/// How often a job that failed here is left to others before it is done here all the same.
const MOST_LEFT: i64 = 4;

/// How long a job that failed here is left to others, each time. All of it must be well within the lease of a job that nobody has.
fn left_for(lease_ms: u64) -> Duration {
    Duration::from_millis((lease_ms / 8).clamp(20, 1_000))
}

/// Takes jobs until the process ends.
pub async fn run(shared: Arc<Shared>, mut puller: Puller) {
    let soft = shared.life.soft();
    let mut pause = PAUSES.0;
    loop {
        let pulled = tokio::select! {
            biased;
            () = soft.cancelled() => break,
            pulled = async {
                while let Some(until) = shared.kept.until(puller.kind(), Instant::now()) {
                    tokio::time::sleep_until(until).await;
                }
                let urgency = shared.hands.room().await;
                puller.pull(urgency).await
            } => pulled,
        };
        match pulled {
            Ok(None) => pause = PAUSES.0,
            Ok(Some(delivery)) => {
                pause = PAUSES.0;
                accept(&shared, delivery).await;
            }
            Err(error) => {
                let role = puller.kind().as_str();
                tracing::warn!(role, %error, again_in_ms = pause.as_millis(), "cannot take jobs");
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = soft.cancelled() => break,
                }
                pause = (pause * 2).min(PAUSES.1);
            }
        }
    }
    puller.close().await;
}

async fn accept(shared: &Arc<Shared>, delivery: Delivery) {
    let (envelope, refused) = match offer::read(delivery.bytes()) {
        Offer::Good(envelope) => (envelope, None),
        Offer::Bad(envelope, reason) => (envelope, Some(reason)),
        Offer::Newer(error) => {
            tracing::warn!(%error, "leaving a job to a newer worker");
            return delivery.give_back(Some(NEWER_PAUSE)).await;
        }
        Offer::Malformed(error) => {
            shared.metrics.malformed.inc();
            let bytes = delivery.bytes().len();
            tracing::error!(%error, bytes, "discarding a message that is no job");
            return delivery.discard().await;
        }
    };
    let (id, attempt) = (envelope.body.job, envelope.body.attempt);
    let deliveries = delivery.deliveries();
    let kind = envelope.body.work.kind();
    if shared.kept.until(kind, Instant::now()).is_some() {
        // It was asked for before the quarantine.
        return delivery.give_back(None).await;
    }
    if envelope.body.avoid.contains(&shared.worker) && deliveries <= MOST_LEFT {
        tracing::info!(job = %id, attempt, deliveries, "failed here before: leaving it to another worker");
        let pause = left_for(envelope.body.lease_ms);
        return delivery.give_back(Some(pause)).await;
    }
    match shared.hands.take(envelope.body, envelope.trace, delivery) {
        Taken::Known { settled } => {
            shared.metrics.duplicates.inc();
            tracing::info!(job = %id, attempt, deliveries, "a known job came again");
            if let Some(delivery) = settled {
                delivery.done().await;
            }
        }
        Taken::New(job) => {
            let work = work(shared.clone(), job, refused);
            shared.life.spawn("job", work);
        }
    }
}

/// Never fails; but were it to panic, the process must end, or the job's lease would be renewed for ever.
async fn work(
    shared: Arc<Shared>,
    job: Arc<Job>,
    refused: Option<String>,
) -> Result<(), Infallible> {
    match refused {
        None => job::run(shared, job).await,
        Some(reason) => job::refuse(shared, job, reason).await,
    }
    Ok(())
}
