//! Taking reports in: many in one commit, each answered only after it.

use std::time::Instant;

use atelier_domain::{Event, Job, JobState, NotApplied, Outcome, Request, State};
use atelier_proto::{
    JobId, RequestId, WorkerId,
    job::{self, JobKind},
    report::{self, Report, ReportAnswer},
};

use super::{
    advise::weigh, direct_plan, dispatch::Publishing, error::SaveError, findings, settle::settle,
};
use crate::{
    farm::{Evidence, Farm},
    store::Unit,
};

/// Tries on requests from memory before they are locked.
const TRIES: usize = 3;

/// What is to be answered to a report.
struct Answered {
    /// Of its job; none when there is no such job.
    kind: Option<JobKind>,
    /// None where it has to come again.
    answer: Option<ReportAnswer>,
    /// What it says of workers.
    evidence: Option<Evidence>,
}

/// When jobs are published that a commit makes ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Publish {
    /// Beside it.
    Ahead,
    /// After it.
    After,
}

/// Whether anything follows from these reports, as far as memory tells: of two pictures that are blended nobody waits for the first to be saved, and the
/// second is often about to come.
pub fn leads_on<'a>(farm: &Farm, reports: impl Iterator<Item = &'a Report> + Clone + 'a) -> bool {
    // Whatever else is reported has a sequel, or went wrong.
    let drawn = |report: &Report| matches!(report.outcome, report::Outcome::Rendered { .. });
    if !reports.clone().all(drawn) {
        return true;
    }
    let touched: Vec<RequestId> = reports.clone().map(|report| report.request).collect();
    let Some(mut unit) = farm.store.recall(&touched) else {
        return true;
    };
    let answers = apply(farm, &mut unit, reports);
    let committed = |answered: &Answered| answered.answer == Some(ReportAnswer::Committed);
    unit.leads_on() || !answers.iter().all(committed)
}

/// Saves `reports` in one commit; says in the same order how each is to be answered, if it is. After an error nothing was changed.
pub async fn collect(
    farm: &Farm,
    reports: &[Report],
) -> Result<Vec<Option<ReportAnswer>>, SaveError> {
    let started = Instant::now();
    let mut touched: Vec<RequestId> = reports.iter().map(|report| report.request).collect();
    touched.sort_unstable();
    touched.dedup();
    let answers = save(farm, &touched, reports).await?;
    farm.metrics.committed("collect", reports.len(), started);
    let mut evidence = Vec::new();
    let mut given = Vec::with_capacity(answers.len());
    for (report, answered) in reports.iter().zip(answers) {
        count(farm, answered.kind, report.device_ms, answered.answer);
        if answered.answer == Some(ReportAnswer::Committed) {
            farm.posted.take(report.job);
        }
        evidence.extend(answered.evidence);
        given.push(answered.answer);
    }
    weigh(farm, &evidence).await;
    Ok(given)
}

/// Tries with the requests as they are in memory; when that was out of date, with what the database has; at last with locks.
async fn save(
    farm: &Farm,
    touched: &[RequestId],
    reports: &[Report],
) -> Result<Vec<Answered>, SaveError> {
    for time in 0..TRIES {
        let mut unit = farm.store.resume(touched).await?;
        let answers = apply(farm, &mut unit, reports);
        // That a report comes too late or is wrong must be read, not remembered.
        let doubted: Vec<RequestId> = reports
            .iter()
            .zip(&answers)
            .filter(|(_, answered)| answered.answer != Some(ReportAnswer::Committed))
            .map(|(report, _)| report.request)
            .filter(|request| !unit.is_fresh(*request))
            .collect();
        if !doubted.is_empty() {
            farm.store.forget(doubted);
            continue;
        }
        // Another coordinator may be faster with the same request, or get a report before it can know its job.
        let publish = match time {
            0 if !farm.store.others() => Publish::Ahead,
            _ => Publish::After,
        };
        match commit(farm, touched, unit, publish).await {
            Ok(()) => return Ok(answers),
            Err(error) if error.is_overtaken() => {}
            Err(error) if error.is_violation() => farm.store.forget(touched.iter().copied()),
            Err(error) => return Err(error),
        }
    }
    let mut unit = farm.store.begin(touched).await?;
    let answers = apply(farm, &mut unit, reports);
    commit(farm, touched, unit, Publish::After).await?;
    Ok(answers)
}

fn apply<'a>(
    farm: &Farm,
    unit: &mut Unit,
    reports: impl IntoIterator<Item = &'a Report>,
) -> Vec<Answered> {
    reports
        .into_iter()
        .map(|report| {
            let request = unit.request(report.request);
            let kind = request
                .and_then(|request| request.job(report.job))
                .map(|job| job.kind);
            let (answer, evidence) = take(farm, unit, report);
            Answered {
                kind,
                answer,
                evidence,
            }
        })
        .collect()
}

/// Saves; publishes what may go out at once, and does whatever else follows.
async fn commit(
    farm: &Farm,
    touched: &[RequestId],
    mut unit: Unit,
    publish: Publish,
) -> Result<(), SaveError> {
    direct_plan::store(farm, &unit).await?;
    let epoch = farm.epoch();
    let mut passes = farm.pass.passes();
    if epoch.is_some() {
        unit.dispatch_ready(&farm.policy, |job| passes.take(job.kind));
    }
    let mut checked = unit.check()?;
    let dispatched = checked.kinds_dispatched();
    let epoch = epoch.filter(|_| !dispatched.is_empty());
    let ahead = epoch.filter(|_| publish == Publish::Ahead);
    let pledge = ahead
        .map(|epoch| Publishing::new(farm, checked.take_dispatched(), epoch).begin_ahead(farm));
    let mut committed = checked.commit().await?;
    dispatched.into_iter().for_each(|kind| passes.used(kind));
    drop(passes);
    match (pledge, epoch) {
        (Some(pledge), _) => pledge.keep(),
        (None, Some(epoch)) => {
            let dispatched = std::mem::take(&mut committed.dispatched);
            Publishing::new(farm, dispatched, epoch).begin(farm);
        }
        (None, None) => {}
    }
    // There is room in the queue now.
    farm.claim_if_worth_it();
    settle(farm, touched, committed).await;
    Ok(())
}

fn take(farm: &Farm, unit: &mut Unit, report: &Report) -> (Option<ReportAnswer>, Option<Evidence>) {
    let (request, job, attempt) = (report.request, report.job, report.attempt);
    let worker = report.worker;
    let known = unit.request(request);
    if let Some((known, of)) = known.and_then(|known| Some((known, known.job(job)?))) {
        if is_early(known, of, report) {
            return (None, None);
        }
        if is_of_another(known, of, report) {
            return (Some(ReportAnswer::Superseded), None);
        }
    }
    let (outcome, finding) = match findings::read(report) {
        Ok(read) => read,
        Err(error) => {
            tracing::warn!(%request, %job, attempt, %error, "refused a report");
            return (Some(ReportAnswer::Refused), None);
        }
    };
    if let Outcome::Failed { reason, retry } = &outcome {
        tracing::info!(%request, %job, attempt, reason, retry, "an attempt failed");
    }
    let says = evidence_of(unit, request, job, worker, &outcome);
    let event = Event::Reported {
        job,
        attempt,
        worker,
        device_ms: finding.device_ms,
        outcome,
    };
    match unit.apply(request, event, &farm.policy) {
        Ok(()) => {
            unit.note(job, finding);
            (Some(ReportAnswer::Committed), says)
        }
        Err(NotApplied::Superseded) => (Some(ReportAnswer::Superseded), None),
        Err(error) => {
            tracing::warn!(%request, %job, attempt, %error, "refused a report");
            (Some(ReportAnswer::Refused), None)
        }
    }
}

/// Whether a report is about an attempt that was published ahead of a commit which has not come. It may come yet, when what was to be saved then is
/// reported again; so its worker keeps the report and sends it again, until the attempt is known or the job not wanted any more.
fn is_early(request: &Request, job: &Job, report: &Report) -> bool {
    let waits = matches!(job.state, JobState::Waiting | JobState::Ready { .. });
    request.state == State::Active && waits && report.attempt > job.attempt
}

/// Whether an attempt was published ahead of a commit which did not come, and another one of the same number since, that reads something else.
fn is_of_another(request: &Request, job: &Job, report: &Report) -> bool {
    let Some(sources) = report.sources else {
        return false;
    };
    let plan = request.plan.map(|plan| plan.artifact);
    plan.is_none_or(|plan| job::sources(plan, &request.pictures_read_by(job)) != sources)
}

/// What a report says of the worker that it is from, and of those that the job failed on before; none when it says nothing.
fn evidence_of(
    unit: &Unit,
    request: RequestId,
    job: JobId,
    worker: WorkerId,
    outcome: &Outcome,
) -> Option<Evidence> {
    let done = match outcome {
        Outcome::Planned { .. } | Outcome::Rendered { .. } | Outcome::Reviewed { .. } => true,
        Outcome::Failed { retry: true, .. } => false,
        // What can never be done, what was away and what was given back say nothing against anybody.
        Outcome::Failed { .. } | Outcome::Outage { .. } | Outcome::Returned => return None,
    };
    let known = unit.request(request)?.job(job)?;
    Some(Evidence {
        worker,
        kind: known.kind,
        job,
        before: known.failed_on.clone(),
        done,
    })
}

fn count(farm: &Farm, kind: Option<JobKind>, device_ms: u64, answer: Option<ReportAnswer>) {
    let word = match answer {
        Some(ReportAnswer::Committed) => "committed",
        Some(ReportAnswer::Superseded) => "superseded",
        Some(ReportAnswer::Refused) => "refused",
        None => "early",
    };
    let kind_word = kind.map_or("unknown", JobKind::as_str);
    farm.metrics
        .reports
        .with_label_values(&[kind_word, word])
        .inc();
    if let (Some(kind), Some(ReportAnswer::Committed)) = (kind, answer) {
        farm.workers.took(kind, device_ms);
        farm.pass.give_back(kind);
        farm.metrics
            .device_seconds
            .with_label_values(&[kind_word])
            .observe(device_ms as f64 / 1_000.0);
    }
}
