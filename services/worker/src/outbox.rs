//! Reports: sent as a request, again and again until a coordinator answers. Survives NATS and coordinators being away.

use std::{sync::Arc, time::Duration};

use atelier_platform::BusError;
use atelier_proto::report::{Report, ReportAnswer};
use bytes::Bytes;
use tokio::time::Instant;

use crate::{hands::Job, shared::Shared};

/// How long an answer is waited for. Sending a report twice is harmless: the attempt number fences it.
const PATIENCE: Duration = Duration::from_secs(5);
/// First and longest pause between two tries.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// While many jobs are in hands their reports leave together, so often: carrying and saving one costs as much as several that come at once.
const BETWEEN_DEPARTURES: Duration = Duration::from_millis(10);
/// How many are many.
const MANY: usize = 8;

/// Sends an encoded report until it is answered; none when the process has to end before.
pub async fn deliver(
    shared: &Arc<Shared>,
    job: &Job,
    report: &Report,
    message: &Bytes,
) -> Option<ReportAnswer> {
    let hard = shared.life.hard();
    let mut connections = shared.bus.connections();
    let mut pause = PAUSES.0;
    if shared.hands.held() >= MANY {
        tokio::time::sleep_until(next_departure(shared.started, Instant::now())).await;
    }
    loop {
        connections.mark_unchanged();
        let sent = tokio::select! {
            biased;
            sent = send(shared, job, message) => sent,
            () = hard.cancelled() => return None,
        };
        let error = match sent {
            Ok(answer) => {
                if answer == ReportAnswer::Refused {
                    tracing::error!(?report, "a coordinator refused a report");
                }
                return Some(answer);
            }
            Err(error) => error,
        };
        shared.metrics.report_retries.inc();
        tracing::warn!(%error, again_in_ms = pause.as_millis(), "nobody answered a report: sending it again");
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSES.1),
            _ = connections.changed() => pause = PAUSES.0,
            () = hard.cancelled() => return None,
        }
    }
}

async fn send(shared: &Shared, job: &Job, message: &Bytes) -> Result<ReportAnswer, BusError> {
    let subject = shared.bus.names().report(job.offer.work.kind());
    let answer = shared
        .bus
        .request(subject, message.clone(), PATIENCE)
        .await?;
    Ok(answer.body)
}

/// The departure after `now`; the first was at `first`.
fn next_departure(first: Instant, now: Instant) -> Instant {
    let between = BETWEEN_DEPARTURES.as_micros();
    let left = between - (now - first).as_micros() % between;
    now + Duration::from_micros(u64::try_from(left).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_that_are_ready_between_two_departures_leave_at_once() {
        let first = Instant::now();
        let after = |micros| next_departure(first, first + Duration::from_micros(micros)) - first;
        for micros in [0, 1, 9_999] {
            assert_eq!(after(micros), BETWEEN_DEPARTURES);
        }
        assert_eq!(after(10_000), 2 * BETWEEN_DEPARTURES);
    }
}
