//! The way of one job through the worker: fetch, compute, store, report, acknowledge. The last three overlap with the next job's computing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use atelier_proto::{
    Sha256, encode,
    envelope::MAX_BYTES,
    job::JobKind,
    made::{Made, Spent},
    report::{Outcome, Report},
};
use bytes::Bytes;
use tracing::Instrument;

use crate::{
    config::Caching,
    device::{self, DeviceError, Done, Task},
    hands::Job,
    outbox,
    progress::Steps,
    results,
    shared::Shared,
    spans::{self, Times},
    stages::{self, Label, Promise, StageError},
};

/// Works on a job until its report is answered.
pub async fn run(shared: Arc<Shared>, job: Arc<Job>) {
    let span = tracing::info_span!(
        "job",
        kind = job.offer.work.kind().as_str(),
        job = %job.offer.job,
        attempt = job.offer.attempt,
        request = %job.offer.request,
        trace = %job.trace.trace_id(),
    );
    let inside = async {
        let mut device = Device::default();
        let ended = attempt(&shared, &job, &mut device).await;
        shared.hands.computed(&job);
        let ended = match ended {
            Ok(outcome) => Ended::of(outcome),
            Err(error) => failed(&shared, &job, &error),
        };
        settle(&shared, &job, ended, device).await;
    };
    inside.instrument(span).await;
}

/// Reports a job that breaks a rule, without work.
pub async fn refuse(shared: Arc<Shared>, job: Arc<Job>, reason: String) {
    tracing::warn!(job = %job.offer.job, reason, "a job breaks a rule");
    shared.hands.computed(&job);
    let outcome = Outcome::Failed {
        reason,
        retry: false,
    };
    settle(&shared, &job, Ended::of(outcome), Device::default()).await;
}

/// How an attempt ended, and why.
struct Ended {
    outcome: Outcome,
    /// Whether something else than job and worker was away.
    outage: bool,
}

impl Ended {
    fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            outage: false,
        }
    }
}

/// What an attempt took of the device.
#[derive(Debug)]
struct Device {
    /// Of a batch its share.
    time: Duration,
    batch: u32,
    /// Once something was made.
    made: Option<Box<Made>>,
    times: Times,
}

impl Default for Device {
    fn default() -> Self {
        Self {
            time: Duration::ZERO,
            batch: 1,
            made: None,
            times: Times::default(),
        }
    }
}

async fn attempt(
    shared: &Arc<Shared>,
    job: &Arc<Job>,
    device: &mut Device,
) -> Result<Outcome, StageError> {
    let mut spent = Spent::default();
    let begun = Instant::now();
    let kind = job.offer.work.kind();
    let key = results::key(shared, &job.offer.work);
    let (task, kept) = tokio::select! {
        biased;
        () = job.stopping() => return Err(StageError::Stopped),
        both = prepare(shared, job, key) => both,
    };
    spent.fetch_ms = millis(begun.elapsed());
    device.times.fetched = Some(Instant::now());
    if let Some(outcome) = kept {
        let made = made_by(shared, kind, spent);
        device.made = Some(Box::new(Made {
            cached: true,
            ..made
        }));
        return Ok(outcome);
    }
    let mut task = task?;
    if shared.caching == Caching::None {
        task.forbid_reuse();
    }
    let label = shared
        .labels
        .then(|| Label::of(&shared.about.model, &job.offer.work, &task))
        .flatten();
    let promise = Promise::of(&job.offer.work, &task);
    let handed = Instant::now();
    let done = compute(shared, job, task).await;
    spent.queue_ms = millis(handed.elapsed().saturating_sub(done.took));
    spent.compute_ms = millis(done.took);
    device.times.turn = done.began.map(|began| (began, began + done.took));
    // From here on the device is free for the next one.
    shared.hands.computed(job);
    (device.time, device.batch) = (done.took / done.batch.max(1), done.batch);
    let made = done.made?;
    shared.engine_works();
    shared.metrics.device(kind, device.time);
    let kept = match &made {
        device::Made::Plan(plan) => plan.kept,
        device::Made::Picture(drawn) => {
            shared.metrics.looked("texts", drawn.texts);
            None
        }
        device::Made::Review(_) => None,
    };
    if let Some(hit) = kept {
        shared.metrics.cache("drafts", hit);
    }
    let computed = Instant::now();
    let outcome = tokio::select! {
        biased;
        () = job.unwanted() => return Err(StageError::Stopped),
        outcome = stages::finish(&shared.artifacts, &shared.plans, made, label, promise) => outcome?,
    };
    spent.store_ms = millis(computed.elapsed());
    device.times.stored = Some(Instant::now());
    if let Some(key) = key {
        results::keep(shared, key, &outcome);
    }
    device.made = Some(Box::new(Made {
        cached: kept == Some(true),
        ..made_by(shared, kind, spent)
    }));
    Ok(outcome)
}

/// Fetches the inputs, and looks meanwhile for what came of the same work before.
async fn prepare(
    shared: &Shared,
    job: &Job,
    key: Option<Sha256>,
) -> (Result<Task, StageError>, Option<Outcome>) {
    let inputs = stages::prepare(&shared.artifacts, &shared.plans, &job.offer.work);
    match key {
        None => (inputs.await, None),
        Some(key) => tokio::join!(inputs, results::find(shared, key)),
    }
}

/// How something was made here.
fn made_by(shared: &Shared, kind: JobKind, spent: Spent) -> Made {
    Made {
        worker: shared.name.clone(),
        device: shared.about.device.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        weights: shared.about.weights(kind),
        load_ms: Some(millis(shared.loaded_in)),
        spent,
        cached: false,
    }
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

/// Waits for the device and for what it makes. A job that is stopped before its turn does not wait for its turn.
async fn compute(shared: &Arc<Shared>, job: &Arc<Job>, task: Task) -> Done {
    let control = Steps::new(shared.clone(), job.clone());
    let running = shared.device.run(task, Box::new(control));
    tokio::pin!(running);
    tokio::select! {
        biased;
        done = &mut running => return done,
        () = job.hung() => return Done::without(DeviceError::Hung(shared.step_timeout)),
        () = job.stopping() => {}
    }
    if !job.has_begun() {
        return Done::without(atelier_engine::EngineError::Canceled.into());
    }
    // It stops within a step; until then the device is not free.
    tokio::select! {
        biased;
        done = running => done,
        () = job.hung() => Done::without(DeviceError::Hung(shared.step_timeout)),
    }
}

fn failed(shared: &Shared, job: &Job, error: &StageError) -> Ended {
    let outcome = error.outcome();
    match (&outcome, job.stopped()) {
        (Outcome::Returned, why) => tracing::info!(?why, "returned"),
        (_, _) => tracing::warn!(%error, "failed"),
    }
    if matches!(error, StageError::Device(DeviceError::Panicked(_))) {
        shared.engine_broke();
    }
    Ended {
        outcome,
        outage: error.is_outage(),
    }
}

/// Reports until answered, then lets the stream forget the job.
async fn settle(shared: &Arc<Shared>, job: &Arc<Job>, ended: Ended, device: Device) {
    shared
        .metrics
        .attempt(job.offer.work.kind(), &ended.outcome);
    let report = Report {
        job: job.offer.job,
        attempt: job.offer.attempt,
        request: job.offer.request,
        worker: shared.worker,
        sources: job.offer.work.sources(),
        device_ms: u64::try_from(device.time.as_millis()).unwrap_or(u64::MAX),
        batch: device.batch,
        outage: ended.outage,
        made: device.made,
        outcome: ended.outcome,
    };
    let (report, message) = fitting(report, &job.trace.to_string());
    let mut times = device.times;
    times.reported = Some(Instant::now());
    let answer = outbox::deliver(shared, job, &report, &message).await;
    spans::processed(shared, job, &times, &report, answer);
    for delivery in job.deliveries() {
        match answer {
            Some(_) => delivery.done().await,
            None => delivery.give_back(None).await,
        }
    }
    shared.hands.release(job, answer.is_some());
    if let Some(answer) = answer {
        shared.metrics.answer(answer);
        tracing::info!(?answer, device_ms = report.device_ms, "reported");
    } else {
        tracing::warn!("stopped before anybody answered the report: the job will come again");
    }
}

/// A report with its message. The bus carries no longer ones; an engine that makes one has failed.
fn fitting(report: Report, trace: &str) -> (Report, Bytes) {
    let message = encode(&report, Some(trace));
    let bytes = message.len();
    if bytes <= MAX_BYTES {
        return (report, message.into());
    }
    let outcome = Outcome::Failed {
        reason: format!("the report of {bytes} bytes is too long"),
        retry: false,
    };
    let report = Report { outcome, ..report };
    let message = encode(&report, Some(trace));
    (report, message.into())
}
