//! Collect: gathers the reports that wait while a commit is under way into the next one, and answers each after it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use atelier_proto::{
    TraceContext, decode, encode,
    report::{MOST_TOGETHER, Report, ReportAnswer, ReportAnswers, Reports},
};
use futures::StreamExt;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{AFTER_ERROR, BUSY, LONGEST_TURN, gather, pause};
use crate::{
    farm::Farm,
    operations::{collect, spans},
};

/// Most reports in one commit.
const BATCH: usize = 512;

/// How long reports that nothing follows from wait for others to go into the same commit.
const LULL: Duration = Duration::from_millis(2);

struct Waiting {
    report: Report,
    from: Origin,
}

/// Where a report comes from, and where its answer goes.
struct Origin {
    /// The attempt's span.
    trace: TraceContext,
    subject: async_nats::Subject,
    reply: Reply,
    arrived: Instant,
}

/// Runs until `stop`, then answers what has arrived.
pub async fn run(farm: Farm, stop: CancellationToken) -> anyhow::Result<()> {
    let names = farm.bus.names();
    let hear = |subject| farm.bus.subscribe(subject, Some(names.coordinators()));
    let alone = hear(names.all_reports()).await?;
    let together = hear(names.all_reports_together()).await?;
    let (sender, mut receiver) = mpsc::channel(4 * BATCH);
    let intake = {
        let (farm, stop, others) = (farm.clone(), stop.clone(), sender.clone());
        async move {
            tokio::join!(
                take_in(&farm, alone, Come::Alone, &stop, sender),
                take_in(&farm, together, Come::Together, &stop, others),
            )
        }
    };
    let writer = async move {
        let pulse = farm.pulses.watch("collect", LONGEST_TURN);
        let mut batch = Vec::with_capacity(BATCH);
        let mut busy = false;
        while pulse.idle(receiver.recv_many(&mut batch, BATCH)).await > 0 {
            if busy {
                gather(&mut receiver, &mut batch, BATCH).await;
            } else if !collect::leads_on(&farm, batch.iter().map(|waiting| &waiting.report)) {
                tokio::select! {
                    _ = receiver.recv_many(&mut batch, BATCH) => {}
                    () = tokio::time::sleep(LULL) => {}
                }
            }
            busy = batch.len() >= BUSY;
            save(&farm, std::mem::take(&mut batch), &stop).await;
        }
        farm.bus.flush().await;
    };
    tokio::join!(intake, writer);
    Ok(())
}

/// How reports come.
#[derive(Clone, Copy)]
enum Come {
    Alone,
    Together,
}

/// Hands on the reports of messages until `stop`; then those that the server has sent before it hears of this.
async fn take_in(
    farm: &Farm,
    mut messages: async_nats::Subscriber,
    come: Come,
    stop: &CancellationToken,
    sender: mpsc::Sender<Waiting>,
) {
    loop {
        tokio::select! {
            message = messages.next() => match message {
                None => return,
                Some(message) => if !hand_on(farm, message, come, &sender).await { return },
            },
            () = stop.cancelled() => break,
        }
    }
    // What still arrives ends with the stream.
    let _ = messages.drain().await;
    while let Ok(Some(message)) = tokio::time::timeout(AFTER_ERROR, messages.next()).await {
        hand_on(farm, message, come, &sender).await;
    }
}

/// Reads a message and hands on what is in it; says whether anybody takes it.
async fn hand_on(
    farm: &Farm,
    message: async_nats::Message,
    come: Come,
    sender: &mpsc::Sender<Waiting>,
) -> bool {
    let reports = match come {
        Come::Alone => read(farm, message).await.into_iter().collect(),
        Come::Together => read_together(farm, message).await,
    };
    for waiting in reports {
        if sender.send(waiting).await.is_err() {
            return false;
        }
    }
    true
}

/// A message as a report; what cannot be read is refused at once.
async fn read(farm: &Farm, message: async_nats::Message) -> Option<Waiting> {
    let Some(reply) = message.reply else {
        malformed(farm);
        return None;
    };
    let reply = Reply::Alone(reply);
    read_one(farm, &message.payload, message.subject, reply).await
}

/// A message as the reports in it. One that cannot be read is answered with no answers, so that each is sent alone.
async fn read_together(farm: &Farm, message: async_nats::Message) -> Vec<Waiting> {
    let Some(reply) = message.reply else {
        malformed(farm);
        return Vec::new();
    };
    let reports = match decode::<Reports>(&message.payload) {
        Ok(envelope) if (1..=MOST_TOGETHER).contains(&envelope.body.reports.len()) => {
            envelope.body.reports
        }
        read => {
            let error = read.err();
            tracing::warn!(?error, "refused reports that came together");
            malformed(farm);
            let answers = Vec::new();
            send(farm, &reply, &ReportAnswers { answers }).await;
            return Vec::new();
        }
    };
    let together = Together::new(reply, reports.len());
    let mut all = Vec::with_capacity(reports.len());
    for (place, bytes) in reports.iter().enumerate() {
        let reply = Reply::Together(together.clone(), place);
        all.extend(read_one(farm, bytes, message.subject.clone(), reply).await);
    }
    all
}

/// Bytes as a report; what cannot be read is refused at once.
async fn read_one(
    farm: &Farm,
    bytes: &[u8],
    subject: async_nats::Subject,
    reply: Reply,
) -> Option<Waiting> {
    match decode::<Report>(bytes) {
        Ok(envelope) => {
            let report = envelope.body;
            farm.reported.add(report.job, report.attempt);
            Some(Waiting {
                from: Origin {
                    trace: TraceContext::read(envelope.trace.as_deref(), report.request),
                    subject,
                    reply,
                    arrived: Instant::now(),
                },
                report,
            })
        }
        Err(error) => {
            tracing::warn!(%error, "refused a report");
            malformed(farm);
            reply.give(farm, ReportAnswer::Refused).await;
            None
        }
    }
}

fn malformed(farm: &Farm) {
    farm.metrics.malformed.with_label_values(&["report"]).inc();
}

async fn save(farm: &Farm, batch: Vec<Waiting>, stop: &CancellationToken) {
    let (reports, from): (Vec<_>, Vec<_>) = batch
        .into_iter()
        .map(|waiting| (waiting.report, waiting.from))
        .unzip();
    match collect::collect(farm, &reports).await {
        Ok(answers) => {
            for ((report, from), given) in reports.iter().zip(&from).zip(answers) {
                let Some(given) = given else {
                    let Report { job, attempt, .. } = report;
                    tracing::info!(%job, attempt, "a report has to come again: its attempt is not known yet");
                    continue;
                };
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
                from.reply.give(farm, given).await;
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
                from.reply.give(farm, ReportAnswer::Refused).await;
            }
        }
        Err(error) => {
            // Unanswered: the worker keeps the report and sends it again.
            tracing::error!(%error, reports = reports.len(), "reports were not saved");
            pause(stop, AFTER_ERROR).await;
        }
    }
}

/// Where the answer to a report goes.
enum Reply {
    Alone(async_nats::Subject),
    /// Into that of all who came with it, at this place.
    Together(Arc<Together>, usize),
}

/// The answer to reports that came together. As long as one of them has none nothing is sent, and each comes again.
struct Together {
    reply: async_nats::Subject,
    answers: Mutex<Vec<Option<ReportAnswer>>>,
}

impl Together {
    fn new(reply: async_nats::Subject, reports: usize) -> Arc<Self> {
        Arc::new(Self {
            reply,
            answers: Mutex::new(vec![None; reports]),
        })
    }

    /// Notes an answer; all of them once it was the last one.
    fn note(&self, place: usize, given: ReportAnswer) -> Option<Vec<ReportAnswer>> {
        // Nothing under the lock can panic halfway through a change.
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers[place] = Some(given);
        answers.iter().copied().collect()
    }
}

impl Reply {
    async fn give(&self, farm: &Farm, given: ReportAnswer) {
        match self {
            Self::Alone(reply) => send(farm, reply, &given).await,
            Self::Together(together, place) => {
                if let Some(answers) = together.note(*place, given) {
                    send(farm, &together.reply, &ReportAnswers { answers }).await;
                }
            }
        }
    }
}

async fn send(farm: &Farm, reply: &async_nats::Subject, answer: &impl Serialize) {
    let message = encode(answer, None);
    if let Err(error) = farm.bus.publish(reply.to_string(), message).await {
        // The worker asks again and hears that its report is superseded.
        tracing::debug!(%error, "an answer was not sent");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_that_came_together_are_answered_in_their_order_and_only_once_all_are() {
        let together = Together::new("inbox".into(), 3);
        assert_eq!(together.note(2, ReportAnswer::Refused), None);
        assert_eq!(together.note(0, ReportAnswer::Committed), None);
        assert_eq!(
            together.note(1, ReportAnswer::Superseded),
            Some(vec![
                ReportAnswer::Committed,
                ReportAnswer::Superseded,
                ReportAnswer::Refused
            ])
        );
    }
}
