//! Signs of life: the stream is told that work goes on, and the coordinators which jobs are in these hands.

use std::{sync::Arc, time::Duration};

use atelier_platform::bus::ACK_WAIT;
use atelier_proto::{encode, signal::Heartbeat};
use tokio::time::Instant;

use crate::shared::Shared;

/// A lease is renewed this many times before it could run out.
const RENEWALS: u32 = 4;

/// Never more often than this.
const SHORTEST: Duration = Duration::from_millis(25);

/// Begins of jobs are gathered this long before they are told.
const GATHER: Duration = Duration::from_millis(100);

/// Gives signs of life until nothing is in hands any more.
pub async fn run(shared: Arc<Shared>, longest: Duration) {
    let hard = shared.life.hard();
    let mut arrivals = shared.hands.arrivals();
    let mut connections = shared.bus.connections();
    loop {
        let jobs = shared.hands.jobs();
        shared.metrics.holding.set(jobs.len() as i64);
        let now = Instant::now();
        shared.metrics.kept_from(&shared.kept.kinds(now));
        beat(&shared).await;
        for job in &jobs {
            for delivery in job.deliveries() {
                delivery.working().await;
            }
        }
        let last = Instant::now();
        // When to tell of jobs that began.
        let mut soon = None;
        // A job with a short lease may come meanwhile.
        loop {
            let due = last + pause(shared.hands.shortest_lease(), longest);
            tokio::select! {
                () = tokio::time::sleep_until(due) => break,
                _ = arrivals.changed() => {}
                _ = connections.changed() => break,
                () = shared.begun.notified(), if soon.is_none() => soon = Some(Instant::now() + GATHER),
                () = tokio::time::sleep_until(soon.unwrap_or(due)), if soon.is_some() => {
                    soon = None;
                    beat(&shared).await;
                }
                () = shared.empty.cancelled() => {
                    beat(&shared).await;
                    return;
                }
                () = hard.cancelled() => return,
            }
        }
    }
}

/// Tells the coordinators what is in these hands.
pub async fn beat(shared: &Shared) {
    let signs = shared.hands.signs();
    let signal = Heartbeat {
        worker: shared.worker,
        name: shared.name.clone(),
        roles: shared.roles.clone(),
        model: shared.about.model.clone(),
        device: shared.about.device.clone(),
        holding: signs.holding,
        draining: shared.life.soft().is_cancelled(),
        on_device: signs.on_device,
        computed: signs.computed,
        kept_from: shared.kept.kinds(Instant::now()),
    };
    let subject = shared.bus.names().heartbeat(shared.worker);
    if let Err(error) = shared.bus.publish(subject, encode(&signal, None)).await {
        tracing::debug!(%error, "a sign of life was not sent");
    }
}

/// How long the next sign of life may wait.
fn pause(shortest_lease: Option<Duration>, longest: Duration) -> Duration {
    let lease = shortest_lease.map_or(ACK_WAIT, |lease| lease.min(ACK_WAIT));
    longest.min(lease / RENEWALS).max(SHORTEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_lease_sets_the_pace() {
        let seconds = Duration::from_secs;
        assert_eq!(pause(None, seconds(2)), seconds(2));
        assert_eq!(pause(None, seconds(60)), ACK_WAIT / 4);
        assert_eq!(pause(Some(seconds(120)), seconds(60)), ACK_WAIT / 4);
        assert_eq!(
            pause(Some(seconds(1)), seconds(2)),
            Duration::from_millis(250)
        );
        assert_eq!(pause(Some(Duration::from_millis(1)), seconds(2)), SHORTEST);
    }
}
