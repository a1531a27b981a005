//! Takes jobs of one role from the stream: one when the device is idle, the next when the one before is past its middle; of jobs that take the
//! device next to no time, several at once.

use std::{convert::Infallible, sync::Arc, time::Duration};

use atelier_platform::bus::{Delivery, Puller};
use atelier_proto::TraceContext;
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
const MOST_LEFT: i64 = 8;

/// How long nothing is asked for after a job that failed here came again, so that it goes to another worker, busy or not. All of it must be
/// well within the lease of a job that nobody has.
fn left_for(lease_ms: u64) -> Duration {
    Duration::from_millis((lease_ms / 16).clamp(20, 500))
}

/// Takes jobs until the process ends.
pub async fn run(shared: Arc<Shared>, mut puller: Puller) {
    let soft = shared.life.soft();
    let mut pause = PAUSES.0;
    let mut quiet = Duration::ZERO;
    loop {
        let pulled = tokio::select! {
            biased;
            () = soft.cancelled() => break,
            pulled = async {
                // A sleep of no length ends with the clock's next tick, a millisecond later: several jobs are done meanwhile.
                if !quiet.is_zero() {
                    tokio::time::sleep(quiet).await;
                }
                shared.kept.taken(puller.kind()).await;
                let (urgency, jobs) = shared.hands.room(puller.kind()).await;
                puller.pull_some(urgency, jobs).await
            } => pulled,
        };
        match pulled {
            Ok(None) => pause = PAUSES.0,
            Ok(Some(delivery)) => {
                pause = PAUSES.0;
                quiet = accept(&shared, delivery).await;
                continue;
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
        quiet = Duration::ZERO;
    }
    puller.close().await;
}

/// Takes a delivery in, or not; returns how long to ask for nothing more.
async fn accept(shared: &Arc<Shared>, delivery: Delivery) -> Duration {
    let (envelope, refused) = match offer::read(delivery.bytes()) {
        Offer::Good(envelope) => (envelope, None),
        Offer::Bad(envelope, reason) => (envelope, Some(reason)),
        Offer::Newer(error) => {
            tracing::warn!(%error, "leaving a job to a newer worker");
            delivery.give_back(Some(NEWER_PAUSE)).await;
            return Duration::ZERO;
        }
        Offer::Malformed(error) => {
            shared.metrics.malformed.inc();
            let bytes = delivery.bytes().len();
            tracing::error!(%error, bytes, "discarding a message that is no job");
            delivery.discard().await;
            return Duration::ZERO;
        }
    };
    let (id, attempt) = (envelope.body.job, envelope.body.attempt);
    let trace = TraceContext::read(envelope.trace.as_deref(), envelope.body.request);
    let trace = trace.of_attempt(id, attempt);
    let deliveries = delivery.deliveries();
    let kind = envelope.body.work.kind();
    if shared.kept.until(kind, Instant::now()).is_some() {
        // It was asked for before the quarantine.
        delivery.give_back(None).await;
        return Duration::ZERO;
    }
    if envelope.body.avoid.contains(&shared.worker) && deliveries <= MOST_LEFT {
        tracing::info!(job = %id, attempt, deliveries, "failed here before: leaving it to another worker");
        let quiet = left_for(envelope.body.lease_ms);
        delivery.give_back(Some(quiet / 2)).await;
        return quiet;
    }
    match shared.hands.take(envelope.body, trace, delivery) {
        Taken::Known { settled } => {
            shared.metrics.duplicates.inc();
            tracing::info!(job = %id, attempt, deliveries, "a known job came again");
            if let Some(delivery) = settled {
                delivery.done().await;
            }
        }
        Taken::New(job) => {
            // It is large, and would be moved from one wrapper to the next.
            let work = Box::pin(work(shared.clone(), job, refused));
            shared.life.spawn("job", work);
        }
    }
    Duration::ZERO
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
