//! Deleting what nobody keeps: old requests, and objects that nothing points at (outputs of attempts that were superseded, pictures of submits
//! that failed, everything of requests that were deleted).

use std::{collections::HashSet, time::Duration};

use atelier_platform::{Artifacts, Clock, Pulse, artifacts::Stored};
use futures::TryStreamExt;

use super::error::SaveError;
use crate::store::Store;

/// Objects that one statement asks about.
const BATCH: usize = 20_000;
/// Requests that one statement deletes.
const REQUESTS: u32 = 500;
/// Wait between two statements, so that a sweep is never what keeps the database busy.
const PAUSE: Duration = Duration::from_secs(1);

/// Deletes requests that ended more than `days` ago; returns how many.
pub async fn retire(store: &Store, days: u32, pulse: &Pulse) -> Result<u64, SaveError> {
    let mut retired = 0;
    loop {
        pulse.beat();
        let deleted = store.retire(days, REQUESTS).await?;
        retired += deleted;
        if deleted < u64::from(REQUESTS) {
            return Ok(retired);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Deletes objects that were written more than `grace` ago and that no row names; returns how many.
///
/// A younger object may belong to a report or a submit that is under way. Whoever stores what is there already writes it again when it is not
/// young any more, so that it looks young here.
pub async fn sweep(
    store: &Store,
    artifacts: &Artifacts,
    clock: &impl Clock,
    grace: Duration,
    pulse: &Pulse,
) -> Result<u64, SaveError> {
    let grace_ms = i64::try_from(grace.as_millis()).unwrap_or(i64::MAX);
    let oldest = |now: u64| now.cast_signed().saturating_sub(grace_ms);
    let mut swept = 0;
    let mut listed = artifacts.list();
    let mut batch: Vec<Stored> = Vec::new();
    loop {
        pulse.beat();
        let next = listed.try_next().await?;
        let ended = next.is_none();
        let old = |stored: &Stored| stored.modified_unix_millis < oldest(clock.unix_millis());
        batch.extend(next.filter(old));
        if batch.len() < BATCH && !ended {
            continue;
        }
        let digests: Vec<_> = batch.iter().filter_map(Stored::sha256).collect();
        if !digests.is_empty() {
            let unnamed: HashSet<_> = store.unnamed(&digests).await?.into_iter().collect();
            for stored in &batch {
                pulse.beat();
                if stored
                    .sha256()
                    .is_some_and(|digest| unnamed.contains(&digest))
                    && artifacts.delete_older(stored).await?
                {
                    swept += 1;
                }
            }
        }
        batch.clear();
        if ended {
            return Ok(swept);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Deletes pointers to results that were written more than `kept` ago; returns how many. Those that are used are written again, and what they point
/// at is kept or not whether they are there or not.
pub async fn forget_results(
    artifacts: &Artifacts,
    clock: &impl Clock,
    kept: Duration,
    pulse: &Pulse,
) -> Result<u64, SaveError> {
    let kept_ms = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
    let mut forgotten = 0;
    let mut listed = artifacts.list_results();
    while let Some(pointer) = listed.try_next().await? {
        pulse.beat();
        let oldest = clock.unix_millis().cast_signed().saturating_sub(kept_ms);
        if pointer.modified_unix_millis < oldest && artifacts.delete_older(&pointer).await? {
            forgotten += 1;
        }
    }
    Ok(forgotten)
}
