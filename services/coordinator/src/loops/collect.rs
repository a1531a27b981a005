//! Collect: gathers the reports that wait while a commit is under way into the next one, and answers each after it.

use std::time::Instant;

use atelier_proto::{
    TraceContext, decode, encode,
    report::{Report, ReportAnswer},
};
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{AFTER_ERROR, BUSY, LONGEST_TURN, gather, pause};
use crate::{
    farm::Farm,
    operations::{collect, spans},
};

/// Most reports in one commit.
const BATCH: usize = 512;

struct Waiting {
    report: Report,
    from: Origin,
}

/// Where a report comes from, and where its answer goes.
struct Origin {
    /// The attempt's span.
    trace: TraceContext,
    subject: async_nats::Subject,
    reply: async_nats::Subject,
    arrived: Instant,
}

/// Runs until `stop`, then answers what has arrived.
pub async fn run(farm: Farm, stop: CancellationToken) -> anyhow::Result<()> {
    let names = farm.bus.names();
    let mut messages = farm
        .bus
        .subscribe(names.all_reports(), Some(names.coordinators()))
        .await?;
    let (sender, mut receiver) = mpsc::channel(4 * BATCH);
    let intake = {
        let farm = farm.clone();
        let stop = stop.clone();
        async move {
            loop {
                tokio::select! {
                    message = messages.next() => match message {
                        None => break,
                        Some(message) => if let Some(waiting) = read(&farm, message).await
                            && sender.send(waiting).await.is_err() { break },
                    },
                    () = stop.cancelled() => {
                        // What the server sent before it heard of this still arrives; then the stream ends.
                        let _ = messages.drain().await;
                        while let Ok(Some(message)) = tokio::time::timeout(AFTER_ERROR, messages.next()).await {
                            if let Some(waiting) = read(&farm, message).await {
                                let _ = sender.send(waiting).await;
                            }
                        }
                        break;
                    }
                }
            }
        }
    };
    let writer = async move {
        let pulse = farm.pulses.watch("collect", LONGEST_TURN);
        let mut batch = Vec::with_capacity(BATCH);
        let mut busy = false;
        while pulse.idle(receiver.recv_many(&mut batch, BATCH)).await > 0 {
            if busy {
                gather(&mut receiver, &mut batch, BATCH).await;
            }
            busy = batch.len() >= BUSY;
            save(&farm, std::mem::take(&mut batch), &stop).await;
        }
        farm.bus.flush().await;
    };
    tokio::join!(intake, writer);
    Ok(())
}

/// A message as a report; what cannot be read is refused at once.
async fn read(farm: &Farm, message: async_nats::Message) -> Option<Waiting> {
    let Some(reply) = message.reply else {
        farm.metrics.malformed.with_label_values(&["report"]).inc();
        return None;
    };
    match decode::<Report>(&message.payload) {
        Ok(envelope) => {
            let report = envelope.body;
            farm.reported.add(report.job, report.attempt);
            Some(Waiting {
                from: Origin {
                    trace: TraceContext::read(envelope.trace.as_deref(), report.request),
                    subject: message.subject,
                    reply,
                    arrived: Instant::now(),
                },
                report,
            })
        }
        Err(error) => {
            tracing::warn!(%error, "refused a report");
            farm.metrics.malformed.with_label_values(&["report"]).inc();
            answer(farm, &reply, ReportAnswer::Refused).await;
            None
        }
    }
}

async fn save(farm: &Farm, batch: Vec<Waiting>, stop: &CancellationToken) {
    let (reports, from): (Vec<_>, Vec<_>) = batch
        .into_iter()
        .map(|waiting| (waiting.report, waiting.from))
        .unzip();
    match collect::collect(farm, &reports).await {
        Ok(answers) => {
            for ((report, from), given) in reports.iter().zip(&from).zip(answers) {
                if given != ReportAnswer::Committed {
                    let Report {
                        request,
                        job,
                        attempt,
                        ..
                    } = report;
                    let trace = from.trace.trace_id();
                    tracing::info!(%request, %job, attempt, %trace, answer = ?given, "a report changed nothing");
                }
                answer(farm, &from.reply, given).await;
                if given == ReportAnswer::Committed {
                    spans::collected(farm, report, &from.subject, from.trace, from.arrived);
                }
            }
        }
        // One that the database refuses must not keep the others out.
        Err(error) if reports.len() > 1 && !error.is_away() => {
            tracing::warn!(%error, reports = reports.len(), "a batch was refused: saving one by one");
            for (report, from) in reports.into_iter().zip(from) {
                let alone = Waiting { report, from };
                Box::pin(save(farm, vec![alone], stop)).await;
            }
        }
        Err(error) if error.is_refusal() => {
            tracing::error!(%error, "refused a report");
            for from in &from {
                answer(farm, &from.reply, ReportAnswer::Refused).await;
            }
        }
        Err(error) => {
            // Unanswered: the worker keeps the report and sends it again.
            tracing::error!(%error, reports = reports.len(), "reports were not saved");
            pause(stop, AFTER_ERROR).await;
        }
    }
}

async fn answer(farm: &Farm, reply: &async_nats::Subject, given: ReportAnswer) {
    let message = encode(&given, None);
    if let Err(error) = farm.bus.publish(reply.to_string(), message).await {
        // The worker asks again and hears that its report is superseded.
        tracing::debug!(%error, "an answer was not sent");
    }
}
