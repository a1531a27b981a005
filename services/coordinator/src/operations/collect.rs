//! Taking reports in: many in one commit, each answered only after it.

use std::time::Instant;

use atelier_domain::{Event, NotApplied, Outcome};
use atelier_proto::{
    JobId, RequestId, WorkerId,
    job::JobKind,
    report::{Report, ReportAnswer},
};

use super::{advise::weigh, findings, settle::settle};
use crate::{
    farm::{Evidence, Farm},
    store::{StoreError, Unit},
};

/// Saves `reports` in one commit; says in the same order how each is to be answered. After an error nothing was changed.
pub async fn collect(farm: &Farm, reports: Vec<Report>) -> Result<Vec<ReportAnswer>, StoreError> {
    let started = Instant::now();
    let mut touched: Vec<RequestId> = reports.iter().map(|report| report.request).collect();
    touched.sort_unstable();
    touched.dedup();
    let mut unit = farm.store.begin(&touched).await?;
    let size = reports.len();
    let mut over: Vec<JobId> = Vec::with_capacity(size);
    let mut evidence = Vec::new();
    let mut answers = Vec::with_capacity(size);
    for report in reports {
        let job = report.job;
        let kind = unit
            .request(report.request)
            .and_then(|request| request.job(job))
            .map(|job| job.kind);
        let (device_ms, answer) = (
            report.device_ms,
            take(farm, &mut unit, report, &mut evidence),
        );
        if answer == ReportAnswer::Committed {
            over.push(job);
        }
        answers.push((kind, device_ms, answer));
    }
    let committed = unit.commit().await?;
    farm.metrics.committed("collect", size, started);
    for job in over {
        farm.posted.take(job);
    }
    // Also without a ready job: there is room in the queue now.
    farm.ready.notify_one();
    settle(farm, &touched, committed).await;
    weigh(farm, &evidence).await;
    Ok(answers
        .into_iter()
        .map(|(kind, device_ms, answer)| count(farm, kind, device_ms, answer))
        .collect())
}

fn take(
    farm: &Farm,
    unit: &mut Unit,
    report: Report,
    evidence: &mut Vec<Evidence>,
) -> ReportAnswer {
    let (request, job, attempt) = (report.request, report.job, report.attempt);
    let worker = report.worker;
    let (outcome, finding) = match findings::read(report) {
        Ok(read) => read,
        Err(error) => {
            tracing::warn!(%request, %job, attempt, %error, "refused a report");
            return ReportAnswer::Refused;
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
        outcome,
    };
    match unit.apply(request, event, &farm.policy) {
        Ok(()) => {
            unit.note(job, finding);
            evidence.extend(says);
            ReportAnswer::Committed
        }
        Err(NotApplied::Superseded) => ReportAnswer::Superseded,
        Err(error) => {
            tracing::warn!(%request, %job, attempt, %error, "refused a report");
            ReportAnswer::Refused
        }
    }
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

fn count(farm: &Farm, kind: Option<JobKind>, device_ms: u64, answer: ReportAnswer) -> ReportAnswer {
    let word = match answer {
        ReportAnswer::Committed => "committed",
        ReportAnswer::Superseded => "superseded",
        ReportAnswer::Refused => "refused",
    };
    let kind_word = kind.map_or("unknown", JobKind::as_str);
    farm.metrics
        .reports
        .with_label_values(&[kind_word, word])
        .inc();
    if let (Some(kind), ReportAnswer::Committed) = (kind, answer) {
        farm.workers.took(kind, device_ms);
        farm.metrics
            .device_seconds
            .with_label_values(&[kind_word])
            .observe(device_ms as f64 / 1_000.0);
    }
    answer
}
