//! Retire: deletes, once in a while, what is older than is kept and what nothing points at.

use std::time::Duration;

use atelier_platform::{Pulse, SystemClock};
use tokio_util::sync::CancellationToken;

use super::pause;
use crate::{farm::Farm, operations::retire};

/// What is kept.
#[derive(Clone, Copy, Debug)]
pub struct Keep {
    /// Days that ended requests are kept; none is for ever.
    pub days: Option<u32>,
    /// Age at which an object that nothing points at goes.
    pub grace: Duration,
    /// Between two looks.
    pub every: Duration,
}

/// Pointers to results that were not used for so long go.
const RESULTS_KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);

/// A step that takes longer hangs: asking which of some thousand objects no row names may take ten minutes, one deletion half a minute.
const LONGEST_STEP: Duration = Duration::from_secs(900);

/// Runs until `stop`.
pub async fn run(farm: Farm, keep: Keep, stop: CancellationToken) {
    let pulse = farm.pulses.watch("retire", LONGEST_STEP);
    // Coordinators that were started together do not look together.
    let share = f64::from(rand::random::<u16>()) / f64::from(u16::MAX);
    let mut wait = keep.every.mul_f64(share);
    while pulse.idle(pause(&stop, wait)).await {
        wait = keep.every;
        tokio::select! {
            () = stop.cancelled() => return,
            () = turn(&farm, keep, &pulse) => {}
        }
    }
}

async fn turn(farm: &Farm, keep: Keep, pulse: &Pulse) {
    if let Some(days) = keep.days {
        match retire::retire(&farm.store, days, pulse).await {
            Ok(0) => {}
            Ok(requests) => tracing::info!(requests, days, "deleted old requests"),
            Err(error) => tracing::warn!(%error, "retire"),
        }
    }
    let swept = retire::sweep(
        &farm.store,
        &farm.artifacts,
        &SystemClock,
        keep.grace,
        pulse,
    );
    match swept.await {
        Ok(objects) => {
            farm.metrics.objects_swept.inc_by(objects);
            if objects > 0 {
                tracing::info!(objects, "deleted objects that nothing points at");
            }
        }
        Err(error) => tracing::warn!(%error, "sweep"),
    }
    let forgotten =
        retire::forget_results(&farm.artifacts, &SystemClock, RESULTS_KEPT, pulse).await;
    match forgotten {
        Ok(0) => {}
        Ok(results) => tracing::info!(results, "forgot results that were not used again"),
        Err(error) => tracing::warn!(%error, "forgetting results"),
    }
}
