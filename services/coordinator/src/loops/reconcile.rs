//! Reconcile: acts on leases and limits that ran out, finds traces that were not written, and shows what the database holds.

use std::time::{Duration, Instant};

use atelier_platform::Pulse;
use atelier_proto::job::{JobKind, Priority};
use tokio_util::sync::CancellationToken;

use super::{AFTER_ERROR, LONGEST_TURN, pause};
use crate::{
    farm::Farm,
    operations::{
        error::SaveError,
        expire::{expire_leases, stop_overdue},
    },
    store::{JobCount, StoreError},
};

/// Between two looks at traces and counts.
const SLOW: Duration = Duration::from_secs(5);
/// A trace that is not there this long after the end was forgotten by whoever ended the request.
const FORGOTTEN_MS: u64 = 5_000;
/// Most forgotten traces that are queued at once.
const TRACES: u32 = 256;

/// Runs until `stop`.
pub async fn run(farm: Farm, stop: CancellationToken) {
    let every = Duration::from_millis((farm.policy.lease_ms / 10).clamp(50, 1_000));
    let mut steady = Steady::new(&farm);
    let mut slow_at = Instant::now();
    let pulse = farm.pulses.watch("reconcile", LONGEST_TURN);
    loop {
        pulse.beat();
        if !pause(&stop, every).await {
            return;
        }
        let mut done = if steady.holds(&farm) {
            sweep(&farm, &pulse).await
        } else {
            // Without a look an outage would not be seen.
            farm.store.ping().await.map_err(SaveError::from)
        };
        if done.is_ok() && slow_at.elapsed() >= SLOW {
            slow_at = Instant::now();
            done = look(&farm).await.map_err(SaveError::from);
        }
        if let Err(error) = done {
            tracing::warn!(%error, "reconcile");
            if error.is_away() {
                steady.lost();
            }
            pause(&stop, AFTER_ERROR).await;
        }
    }
}

async fn sweep(farm: &Farm, pulse: &Pulse) -> Result<(), SaveError> {
    while expire_leases(farm).await? > 0 {
        pulse.beat();
    }
    while stop_overdue(farm).await? > 0 {
        pulse.beat();
    }
    Ok(())
}

async fn look(farm: &Farm) -> Result<(), StoreError> {
    for id in farm.store.without_trace(FORGOTTEN_MS, TRACES).await? {
        // A full queue is worked on; the rest is found again.
        if farm.traces.try_send(id).is_err() {
            break;
        }
    }
    farm.store.look_for_others().await?;
    farm.store.count_rows_anew().await?;
    show(farm, &farm.store.count_jobs().await?);
    Ok(())
}

/// Shows how many jobs there are and for how long they have waited; what is not among `counts` is 0.
fn show(farm: &Farm, counts: &[JobCount]) {
    for (kind, priority) in JobKind::ALL
        .into_iter()
        .flat_map(|kind| Priority::ALL.map(|priority| (kind.as_str(), priority.as_str())))
    {
        for state in ["ready", "dispatched"] {
            let found = counts.iter().find(|count| {
                count.kind == kind && count.priority == priority && count.state == state
            });
            farm.metrics
                .jobs
                .with_label_values(&[kind, state, priority, &farm.model])
                .set(found.map_or(0, |count| count.jobs));
            if state == "ready" {
                farm.metrics
                    .oldest_ready
                    .with_label_values(&[kind, priority, &farm.model])
                    .set(found.map_or(0.0, |count| count.oldest_s));
            }
        }
    }
}

/// Whether signs of life could be heard and written down lately. Right after a start, an outage of NATS or PostgreSQL, or a pause of this
/// whole process, every lease looks old, although the workers live.
struct Steady {
    connections: tokio::sync::watch::Receiver<u64>,
    since: Option<Instant>,
    asked: Instant,
    needed: Duration,
}

impl Steady {
    fn new(farm: &Farm) -> Self {
        Self {
            connections: farm.bus.connections(),
            since: None,
            asked: Instant::now(),
            needed: Duration::from_millis(farm.policy.lease_ms / 2),
        }
    }

    /// PostgreSQL is away: leases cannot be extended.
    fn lost(&mut self) {
        self.since = None;
    }

    fn holds(&mut self, farm: &Farm) -> bool {
        let made_anew = self.connections.has_changed().unwrap_or(false);
        self.connections.mark_unchanged();
        if !farm.bus.is_connected() {
            self.since = None;
            return false;
        }
        // This process may have been stopped, or waited for PostgreSQL, for as long.
        let paused = self.asked.elapsed() >= self.needed;
        self.asked = Instant::now();
        if made_anew || paused {
            self.since = None;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        since.elapsed() >= self.needed
    }
}
