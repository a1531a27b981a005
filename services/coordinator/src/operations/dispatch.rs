//! Publishing ready jobs: marked in the database first, published after the commit, given back when that failed.
//!
//! Or published ahead of the commit, beside the statement that marks them: then four of five jobs of a request do not wait for the disk. Nothing depends
//! on it, since no report of such a job is committed before the job is. When the commit fails, what was published is taken back; what a worker has
//! already begun of it is wasted, and cannot be taken for another attempt, because reports say what they were made of.

use std::time::Instant;

use atelier_platform::BusError;
use atelier_proto::{
    encode,
    job::{JobKind, JobOffer},
    subject::message_id,
};
use futures::{FutureExt, future::join_all};
use tokio::sync::oneshot;

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
    /// Hears whether the commit came, of what is published ahead of it.
    commit: Option<oneshot::Receiver<()>>,
}

/// The promise of a commit, to be kept once it came. Dropped, what was published ahead of it is taken back.
#[must_use]
#[derive(Debug)]
pub struct Pledge(oneshot::Sender<()>);

impl Pledge {
    /// The commit came.
    pub fn keep(self) {
        // Whoever does not hear it any more runs out the leases, as when this process ends.
        let _ = self.0.send(());
    }
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
    Ok(Publishing {
        claimed,
        epoch,
        commit: None,
    })
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
        Self {
            claimed,
            epoch,
            commit: None,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.claimed.is_empty()
    }

    /// Publishes them ahead of the commit that marks them.
    pub fn begin_ahead(mut self, farm: &Farm) -> Pledge {
        let (pledge, commit) = oneshot::channel();
        self.commit = Some(commit);
        self.begin(farm);
        Pledge(pledge)
    }

    /// Publishes them beside what follows, which waits for nothing but that they are on their way.
    pub fn begin(self, farm: &Farm) {
        farm.metrics.chained.inc_by(self.claimed.len() as u64);
        let mut published = Box::pin(self.publish(farm.clone()));
        if published.as_mut().now_or_never().is_none() {
            farm.life.track(published);
        }
    }

    /// Publishes them; once this returns, each is in the stream or ready again. A job of which that cannot be said runs out its lease.
    pub async fn publish(mut self, farm: Farm) {
        let epoch = self.epoch;
        // The stream drops a second message of the same id, also when the first is not there any more.
        let ahead = self.commit.as_ref().map(|_| farm.ids.seed());
        let sent = self
            .claimed
            .iter()
            .map(|claimed| post(&farm, claimed, epoch, ahead));
        let posted = join_all(sent).await;
        if let Some(commit) = self.commit.take()
            && commit.await.is_err()
        {
            return self.take_back(&farm, posted).await;
        }
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

    /// The commit did not come: takes the messages out of the stream that no worker has.
    async fn take_back(&self, farm: &Farm, posted: Vec<Result<Place, BusError>>) {
        let jobs = self.claimed.len();
        tracing::warn!(jobs, "jobs that were published ahead were not saved");
        farm.metrics.taken_back.inc_by(jobs as u64);
        for (claimed, place) in self.claimed.iter().zip(posted) {
            if let Ok(place) = place {
                farm.posted.forget(claimed.offer.job, place);
                farm.withdraw(place).await;
            }
        }
    }
}

/// Puts a job into the stream; one that goes ahead of its commit under an id of its own, which it may need again.
async fn post(
    farm: &Farm,
    claimed: &Claimed,
    epoch: u64,
    ahead: Option<u64>,
) -> Result<Place, BusError> {
    let offer = &claimed.offer;
    let kind = offer.work.kind();
    let subject = farm.bus.names().job(kind, &farm.model, claimed.priority);
    let mut id = message_id(offer.job, offer.attempt);
    if let Some(number) = ahead {
        id = format!("{id}.{number:x}");
    }
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
    let place = Place {
        epoch,
        sequence: taken.sequence,
    };
    farm.posted.add(Posted {
        job: offer.job,
        attempt: offer.attempt,
        place,
    });
    Ok(place)
}
