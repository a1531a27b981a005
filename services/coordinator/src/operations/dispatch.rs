//! Publishing ready jobs: marked in the database first, published after the commit, given back when that failed.

use std::time::Instant;

use atelier_platform::BusError;
use atelier_proto::{
    encode,
    job::{JobKind, JobOffer},
    subject::message_id,
};
use futures::{FutureExt, future::join_all};

use super::spans;
use crate::{
    farm::Farm,
    store::{Claimed, Place, Posted, StoreError},
};

/// Wait before a job that could not be published is tried again, in milliseconds.
const UNPUBLISHED_DELAY_MS: u64 = 500;

/// Jobs that were marked and are on their way into the stream.
#[derive(Debug)]
pub struct Publishing {
    claimed: Vec<Claimed>,
    epoch: u64,
}

/// Marks what is ready, as far as there is room; what is left waiting then says whether what becomes ready later may pass.
pub async fn claim(farm: &Farm, epoch: u64) -> Result<Publishing, StoreError> {
    let started = Instant::now();
    let room = farm.workers.room();
    let paced = farm.pass.paced_plans();
    let claim = farm.store.claim(room, paced, farm.policy.lease_ms);
    let mut claim = claim.await?;
    for backlog in claim.left {
        farm.pass.renew(backlog, room.of(backlog.kind));
    }
    for Claimed { offer, .. } in &mut claim.claimed {
        farm.changes.changed(offer.request);
        spare_the_last(farm, offer);
    }
    let claimed = claim.claimed;
    if !claimed.is_empty() {
        farm.metrics.committed("dispatch", claimed.len(), started);
    }
    Ok(Publishing { claimed, epoch })
}

/// Workers that a job failed on are to leave it to others only while there are others.
fn spare_the_last(farm: &Farm, offer: &mut JobOffer) {
    if !farm.workers.others(offer.work.kind(), &offer.avoid) {
        offer.avoid.clear();
    }
}

impl Publishing {
    /// Jobs that were marked dispatched together with what made them ready, for the stream of `epoch`.
    pub fn new(farm: &Farm, mut claimed: Vec<Claimed>, epoch: u64) -> Self {
        for Claimed { offer, .. } in &mut claimed {
            spare_the_last(farm, offer);
        }
        Self { claimed, epoch }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.claimed.is_empty()
    }

    /// Publishes them beside what follows, which waits for nothing but that they are on their way.
    pub fn begin(self, farm: &Farm) {
        let mut published = Box::pin(self.publish(farm.clone()));
        if published.as_mut().now_or_never().is_none() {
            farm.life.track(published);
        }
    }

    /// Publishes them; once this returns, each is in the stream or ready again. A job of which that cannot be said runs out its lease.
    pub async fn publish(self, farm: Farm) {
        let epoch = self.epoch;
        let sent = self
            .claimed
            .iter()
            .map(|claimed| post(&farm, claimed, epoch));
        let posted = join_all(sent).await;
        let failed: Vec<_> = self
            .claimed
            .iter()
            .zip(posted)
            .filter_map(|(claimed, posted)| {
                let error = posted.err()?;
                let JobOffer { job, attempt, .. } = claimed.offer;
                let trace = claimed.trace.trace_id();
                tracing::warn!(%job, attempt, %trace, %error, "a job was not published");
                Some((job, attempt))
            })
            .collect();
        if failed.is_empty() {
            return;
        }
        farm.metrics.publish_failures.inc_by(failed.len() as u64);
        farm.pass.wait(JobKind::ALL);
        if let Err(error) = farm.store.unclaim(&failed, UNPUBLISHED_DELAY_MS).await {
            tracing::warn!(%error, "unpublished jobs run out their leases");
        }
        // Some have changed without a new version.
        farm.store
            .forget(self.claimed.iter().map(|claimed| claimed.offer.request));
    }
}

async fn post(farm: &Farm, claimed: &Claimed, epoch: u64) -> Result<(), BusError> {
    let offer = &claimed.offer;
    let kind = offer.work.kind();
    let subject = farm.bus.names().job(kind, &farm.model, claimed.priority);
    let id = message_id(offer.job, offer.attempt);
    let message = encode(offer, Some(&claimed.trace.to_string()));
    let (started, bytes) = (Instant::now(), message.len());
    let taken = async {
        let sent = farm.bus.offer(subject.clone(), &id, message).await?;
        sent.await
    };
    let taken = taken.await;
    let message = spans::Message { subject, id, bytes };
    spans::published(farm, claimed, message, started, taken.as_ref().err());
    let taken = taken?;
    farm.metrics
        .jobs_published
        .with_label_values(&[kind.as_str()])
        .inc();
    farm.posted.add(Posted {
        job: offer.job,
        attempt: offer.attempt,
        place: Place {
            epoch,
            sequence: taken.sequence,
        },
    });
    Ok(())
}
