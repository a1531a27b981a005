//! Acting on jobs that nobody works on any more, or shall: leases that ran out, messages that went down with their stream, and what waits when
//! the time of its request is over.

use std::time::Duration;

use atelier_domain::{Event, Job, JobState};
use atelier_proto::{JobId, RequestId};

use super::{direct_plan, error::SaveError, settle::settle};
use crate::{
    farm::Farm,
    store::{StoreError, Unit},
};

/// Most requests that one transaction looks at.
const BATCH: u32 = 128;

/// Makes jobs ready again whose leases ran out, or gives them up; returns the number of requests.
pub async fn expire_leases(farm: &Farm) -> Result<usize, SaveError> {
    let ids = farm.store.expired(BATCH).await?;
    if ids.is_empty() {
        return Ok(0);
    }
    let mut unit = farm.store.begin(&ids).await?;
    let mut touched = Vec::new();
    let mut stale = Vec::new();
    for id in unit.ids() {
        let before = dispatched(&unit, id);
        spare_the_living(farm, &mut unit, id, &before);
        if unit.apply(id, Event::LeasesChecked, &farm.policy).is_err() {
            // It gave a sign of life in between.
            continue;
        }
        touched.push(id);
        let after = dispatched(&unit, id);
        stale.extend(before.into_iter().filter(|job| !after.contains(job)));
    }
    direct_plan::store(farm, &unit).await?;
    let committed = unit.commit().await?;
    for (job, attempt) in stale {
        tracing::warn!(%job, attempt, "a lease ran out");
        // What is left of the attempt in the stream would only waste a worker's time.
        // Its next one may be there already.
        let remembered = farm.posted.take_attempt(job, attempt);
        let noted = committed.places.get(&job).copied();
        if let Some(place) = remembered.or(noted) {
            farm.withdraw(place).await;
        }
    }
    farm.metrics.leases_expired.inc_by(touched.len() as u64);
    settle(farm, &touched, committed).await;
    Ok(touched.len())
}

/// Ends requests whose time is over while a further round waits in the queue, with the best picture so far; returns the number of requests.
/// That cost is used up is noticed when a report says so.
pub async fn stop_overdue(farm: &Farm) -> Result<usize, StoreError> {
    let ids = farm.store.overdue(BATCH).await?;
    if ids.is_empty() {
        return Ok(0);
    }
    let mut unit = farm.store.begin(&ids).await?;
    let mut touched = Vec::new();
    for id in unit.ids() {
        // Unless a worker took it in between.
        if unit.apply(id, Event::LimitsChecked, &farm.policy).is_ok() {
            touched.push(id);
        }
    }
    let committed = unit.commit().await?;
    settle(farm, &touched, committed).await;
    Ok(touched.len())
}

/// Extends what a worker was heard to hold. Of two coordinators, each writes down half of the signs of life; when one hangs, its half is
/// lost, but both hear all of them.
fn spare_the_living(farm: &Farm, unit: &mut Unit, id: RequestId, running: &[(JobId, u32)]) {
    let lease = Duration::from_millis(farm.policy.lease_ms);
    for &(job, attempt) in running {
        if let Some(worker) = farm.workers.holder(job, attempt, lease) {
            let known = unit.request(id).and_then(|request| request.job(job));
            let begun = |job: &Job| matches!(job.state, JobState::Dispatched { begun: true, .. });
            let alive = Event::Alive {
                job,
                attempt,
                worker,
                begun: known.is_some_and(begun),
            };
            // It may have ended in this very unit; then there is nothing to spare.
            let _ = unit.apply(id, alive, &farm.policy);
        }
    }
}

/// Makes queueing jobs ready again whose messages were not in the stream that there is now; returns the number of jobs.
pub async fn recover_orphans(farm: &Farm, epoch: u64) -> Result<usize, StoreError> {
    let orphans = farm.store.orphaned(epoch, BATCH).await?;
    if orphans.is_empty() {
        return Ok(0);
    }
    let mut ids: Vec<RequestId> = orphans.iter().map(|(request, ..)| *request).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut unit = farm.store.begin(&ids).await?;
    let mut lost = 0;
    for (request, job, attempt) in orphans {
        let event = Event::MessageLost { job, attempt };
        lost += usize::from(unit.apply(request, event, &farm.policy).is_ok());
    }
    let committed = unit.commit().await?;
    tracing::warn!(jobs = lost, "messages went down with their stream");
    farm.metrics.messages_lost.inc_by(lost as u64);
    settle(farm, &ids, committed).await;
    Ok(lost)
}

fn dispatched(unit: &Unit, id: RequestId) -> Vec<(JobId, u32)> {
    let jobs = unit
        .request(id)
        .map_or(&[][..], |request| &request.jobs[..]);
    jobs.iter()
        .filter(|job| matches!(job.state, JobState::Dispatched { .. }))
        .map(|job| (job.id, job.attempt))
        .collect()
}
