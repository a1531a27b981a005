//! The end of the worker: what is nearly done is finished, everything else goes back at once.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use crate::{
    hands::{Job, Stop},
    shared::Shared,
};

/// Share of the grace that computing may take; the rest is for storing and reporting.
const FOR_COMPUTING: f64 = 0.6;

/// How often the pace of what still runs is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Waits for the end of the process, then empties the hands within `grace`.
pub async fn run(shared: Arc<Shared>, grace: Duration) {
    shared.life.soft().cancelled().await;
    shared.metrics.draining.set(1);
    let until = Instant::now() + grace.mul_f64(FOR_COMPUTING);
    let hard = shared.life.hard();
    let mut changes = shared.hands.changes();
    loop {
        changes.mark_unchanged();
        let jobs = shared.hands.jobs();
        if jobs.is_empty() || hard.is_cancelled() {
            break;
        }
        let left = until.saturating_duration_since(Instant::now());
        for job in &jobs {
            if !fits(job, left) {
                job.stop(Stop::Draining);
            }
        }
        tokio::select! {
            _ = changes.changed() => {}
            () = tokio::time::sleep(LOOK) => {}
            () = hard.cancelled() => break,
        }
    }
    shared.empty.cancel();
}

/// Whether a job may go on: it is done with computing, or will be in the time that is left. While its pace is unknown it may.
fn fits(job: &Job, left: Duration) -> bool {
    if job.is_computed() {
        return true;
    }
    let in_time = job.remaining().is_none_or(|needs| needs <= left);
    job.is_computing() && !left.is_zero() && in_time
}
