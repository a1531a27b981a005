//! What a worker tells of an attempt over OTLP: its way from the stream through the device thread to the answered report.

use std::time::Instant;

use atelier_platform::telemetry::spans::{Moments, Span, SpanKind};
use atelier_proto::{
    Leg,
    report::{Outcome, Report, ReportAnswer},
};

use crate::{hands::Job, shared::Shared};

/// When an attempt came how far. What it did not come to has no time.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// It was taken in.
    pub taken: Instant,
    /// Its inputs were there.
    pub fetched: Option<Instant>,
    /// It came on the device, and off it.
    pub turn: Option<(Instant, Instant)>,
    /// What was made was stored.
    pub stored: Option<Instant>,
    /// Its report began to be sent.
    pub reported: Option<Instant>,
}

impl Default for Times {
    /// Taken in now.
    fn default() -> Self {
        Self {
            taken: Instant::now(),
            fetched: None,
            turn: None,
            stored: None,
            reported: None,
        }
    }
}

impl Times {
    /// Each leg of the way with its beginning and its end; `now` the report is answered.
    fn legs(&self, now: Instant) -> impl Iterator<Item = (Leg, Instant, Instant)> {
        let (began, ended) = self.turn.unzip();
        [
            (Leg::Fetch, Some(self.taken), self.fetched),
            (Leg::Wait, self.fetched, began),
            (Leg::Device, began, ended),
            (Leg::Store, ended, self.stored),
            (Leg::Report, self.reported, Some(now)),
        ]
        .into_iter()
        .filter_map(|(leg, from, until)| Some((leg, from?, until?)))
    }
}

/// An attempt's report is answered, or the process has to end before.
pub fn processed(
    shared: &Shared,
    job: &Job,
    times: &Times,
    report: &Report,
    answer: Option<ReportAnswer>,
) {
    if !shared.spans.want(job.trace) {
        return;
    }
    let (now, moments) = (Instant::now(), Moments::now());
    let between = |from, until| (moments.time(from), moments.time(until));
    let reports = shared.bus.names().report(job.offer.work.kind());
    for (leg, from, until) in times.legs(now) {
        let (kind, name) = match leg {
            Leg::Fetch => (SpanKind::Internal, "fetch".into()),
            Leg::Wait => (SpanKind::Internal, "wait for device".into()),
            Leg::Device => (SpanKind::Internal, "device".into()),
            Leg::Store => (SpanKind::Internal, "store".into()),
            Leg::Report => (SpanKind::Client, format!("request {reports}")),
            // Of coordinators.
            Leg::Accept | Leg::Publish | Leg::Collect => continue,
        };
        let span = Span::new(job.trace.of_leg(leg), kind, name, between(from, until));
        let span = span.within(job.trace);
        shared.spans.record(match leg {
            Leg::Device => span
                .with("thread.name", "device")
                .with("atelier.device", shared.about.device.clone())
                .with("atelier.batch", i64::from(report.batch)),
            Leg::Report => {
                let unanswered = answer.is_none().then_some("nobody answered");
                span.on_nats("request", "send", reports.clone())
                    .failed(unanswered)
            }
            _ => span,
        });
    }
    let deliveries = job.deliveries();
    let subject = deliveries.first().map_or("", |first| first.subject());
    let (outcome, failure) = match &report.outcome {
        Outcome::Planned { .. } | Outcome::Rendered { .. } | Outcome::Reviewed { .. } => {
            ("done", None)
        }
        Outcome::Failed { reason, .. } => ("failed", Some(reason.as_str())),
        Outcome::Returned => ("returned", None),
    };
    let kind = job.offer.work.kind();
    let cached = report.made.as_ref().is_some_and(|made| made.cached);
    let span = Span::new(
        job.trace,
        SpanKind::Consumer,
        format!("process {subject}"),
        between(times.taken, now),
    )
    .after(job.trace.of_leg(Leg::Publish))
    .on_nats("process", "process", subject.to_owned())
    .with(
        "messaging.consumer.group.name",
        shared.bus.names().consumer(kind, &shared.about.model),
    )
    .with("atelier.job", report.job.to_string())
    .with("atelier.attempt", i64::from(report.attempt))
    .with("atelier.worker", shared.name.clone())
    .with("atelier.outcome", outcome)
    .with("atelier.cached", cached)
    .failed(failure);
    shared.spans.record(span);
}
