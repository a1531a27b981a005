//! Reports: sent as a request, again and again until a coordinator answers. Survives NATS and coordinators being away.

use std::{sync::Arc, time::Duration};

use atelier_platform::BusError;
use atelier_proto::report::{Report, ReportAnswer};
use bytes::Bytes;

use crate::{departures, hands::Job, shared::Shared};

/// How long an answer is waited for. Sending a report twice is harmless: the attempt number fences it.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// First and longest pause between two tries.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// With so many jobs in hands, those whose reports wait for an answer included, reports leave together.
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
        let kind = job.offer.work.kind();
        let answered = tokio::select! {
            biased;
            answered = departures::with_others(shared, kind, message) => answered,
            () = hard.cancelled() => return None,
        };
        if let Some(answer) = answered {
            return Some(noted(answer, report));
        }
    }
    loop {
        connections.mark_unchanged();
        let sent = tokio::select! {
            biased;
            sent = send(shared, job, message) => sent,
            () = hard.cancelled() => return None,
        };
        let error = match sent {
            Ok(answer) => return Some(noted(answer, report)),
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

fn noted(answer: ReportAnswer, report: &Report) -> ReportAnswer {
    if answer == ReportAnswer::Refused {
        tracing::error!(?report, "a coordinator refused a report");
    }
    answer
}

async fn send(shared: &Shared, job: &Job, message: &Bytes) -> Result<ReportAnswer, BusError> {
    let subject = shared.bus.names().report(job.offer.work.kind());
    let answer = shared
        .bus
        .request(subject, message.clone(), PATIENCE)
        .await?;
    Ok(answer.body)
}
