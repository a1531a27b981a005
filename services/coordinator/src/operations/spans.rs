//! What a coordinator tells of a request over OTLP: the call that made it, each message of it into the stream, each report of it that was taken in,
//! and at its end the request and its jobs as wholes, by whichever coordinator records its trace.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use atelier_platform::{
    BusError, Clock, SystemClock,
    telemetry::spans::{Moments, Span, SpanKind},
};
use atelier_proto::{
    JobId, Leg, TraceContext,
    http::RequestState,
    report::Report,
    trace::{Trace, TraceJob},
};
use jiff::Timestamp;

use crate::{
    farm::{Arrival, Farm},
    store::Claimed,
};

/// A message that went into the stream, or did not.
pub struct Message {
    /// Where it was published.
    pub subject: String,
    /// Its id.
    pub id: String,
    /// Its length.
    pub bytes: usize,
}

/// A request is durable: the call that asked for it is answered, or waits for its picture.
pub fn accepted(farm: &Farm, request: TraceContext, brought: Option<TraceContext>) {
    if !farm.spans.want(request) {
        return;
    }
    let Some(call) = Arrival::current() else {
        return;
    };
    let name = format!("{} {}", call.method, call.route);
    // In the milliseconds that ids are made of, for the request's span begins with its id.
    let times = (whole_millis(call.at), SystemClock.now());
    let span = Span::new(request.of_leg(Leg::Accept), SpanKind::Server, name, times)
        .with("http.request.method", call.method)
        .with("http.route", call.route);
    farm.spans.record(match brought {
        Some(brought) => span.after(brought),
        None => span,
    });
}

/// An attempt at a job was published, or was not.
pub fn published(
    farm: &Farm,
    claimed: &Claimed,
    message: Message,
    started: Instant,
    error: Option<&BusError>,
) {
    if !farm.spans.want(claimed.trace) {
        return;
    }
    let (job, attempt) = (claimed.offer.job, claimed.offer.attempt);
    let at = claimed.trace.of_attempt(job, attempt).of_leg(Leg::Publish);
    let moments = Moments::now();
    let span = Span::new(
        at,
        SpanKind::Producer,
        format!("publish {}", message.subject),
        (moments.time(started), moments.time(Instant::now())),
    )
    .within(claimed.trace.of_job(job))
    .on_nats("publish", "send", message.subject)
    .with("messaging.message.id", message.id)
    .with("messaging.message.body.size", number(message.bytes as u64))
    .with("atelier.attempt", i64::from(attempt))
    .failed(error.map(ToString::to_string).as_deref());
    farm.spans.record(span);
}

/// A report that arrived at `arrived` on `subject` was committed and answered. `attempt` is the span of the attempt that it is about.
pub fn collected(
    farm: &Farm,
    report: &Report,
    subject: &str,
    attempt: TraceContext,
    arrived: Instant,
) {
    if !farm.spans.want(attempt) {
        return;
    }
    let moments = Moments::now();
    let span = Span::new(
        attempt.of_leg(Leg::Collect),
        SpanKind::Consumer,
        format!("process {subject}"),
        (moments.time(arrived), moments.time(Instant::now())),
    )
    .after(attempt.of_leg(Leg::Report))
    .on_nats("process", "process", subject.to_owned())
    .with(
        "messaging.consumer.group.name",
        farm.bus.names().coordinators(),
    )
    .with("atelier.job", report.job.to_string())
    .with("atelier.attempt", i64::from(report.attempt));
    farm.spans.record(span);
}

/// A request is over and its trace recorded. `jobs` are the ids of the trace's jobs.
pub fn ended(farm: &Farm, trace: &Trace, jobs: &[JobId], brought: Option<TraceContext>) {
    let at = TraceContext::of_request(trace.request, brought);
    if !farm.spans.want(at) {
        return;
    }
    let Some((created, finished)) = times(trace) else {
        return;
    };
    for (job, id) in trace.jobs.iter().zip(jobs) {
        if let Some(span) = of_job(job, at.of_job(*id), (created, finished)) {
            let span = span.within(at).with("atelier.job", id.to_string());
            farm.spans.record(span);
        }
    }
    // The id was made by a coordinator's clock, the time of creation by the database's.
    let begun = UNIX_EPOCH + Duration::from_millis(trace.request.unix_millis());
    let rounds = trace.jobs.iter().map(|job| job.round).max();
    let failure =
        (trace.state == RequestState::Failed).then(|| trace.reason.as_deref().unwrap_or("failed"));
    let span = Span::new(
        at,
        SpanKind::Internal,
        "request",
        (begun.min(created), finished),
    )
    .after(at.of_leg(Leg::Accept))
    .with("atelier.request", trace.request.to_string())
    .with("atelier.state", trace.state.as_str())
    .with("atelier.model", trace.model.clone())
    .with("atelier.think", trace.submitted.think.as_str())
    .with("atelier.priority", trace.submitted.priority.as_str())
    .with_some("atelier.rounds", rounds.map(i64::from))
    .failed(failure);
    farm.spans.record(span);
}

/// A job from being ready until its end, with all its attempts; none of one that never was ready.
fn of_job(
    job: &TraceJob,
    at: TraceContext,
    (created, finished): (SystemTime, SystemTime),
) -> Option<Span> {
    let since = |ms: u64| created + Duration::from_millis(ms);
    let ready = since(job.ready_ms?);
    let ended = job.ended_ms.map_or(finished, since);
    let failure = (job.state == "failed").then(|| job.reason.as_deref().unwrap_or("failed"));
    let span = Span::new(at, SpanKind::Internal, job.kind.as_str(), (ready, ended))
        .with("atelier.kind", job.kind.as_str())
        .with("atelier.state", job.state.clone())
        .with("atelier.round", i64::from(job.round))
        .with("atelier.attempts", i64::from(job.attempts))
        .with_some("atelier.candidate", job.candidate.map(i64::from))
        .with_some("atelier.stage", job.stage.clone())
        .with_some("atelier.op", job.op.clone())
        .with_some("atelier.worker", job.worker.clone())
        .with_some("atelier.device_ms", job.device_ms.map(number))
        .failed(failure);
    Some(span)
}

/// When a request that is over was created and ended.
fn times(trace: &Trace) -> Option<(SystemTime, SystemTime)> {
    let read = |text: &str| {
        let time: Timestamp = text.parse().ok()?;
        let since = u64::try_from(time.as_millisecond()).ok()?;
        Some(UNIX_EPOCH + Duration::from_millis(since))
    };
    Some((
        read(&trace.created_at)?,
        read(trace.finished_at.as_deref()?)?,
    ))
}

fn whole_millis(time: SystemTime) -> SystemTime {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + Duration::from_millis(u64::try_from(since.as_millis()).unwrap_or(0))
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
