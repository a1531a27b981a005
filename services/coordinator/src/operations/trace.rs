//! Writing the traces of requests that ended: rows and artifacts become one JSON document each beside the picture.

use std::sync::Arc;

use atelier_platform::ArtifactError;
use atelier_proto::{
    ArtifactRef, JobId, MediaType, RequestId, TenantId, TraceContext, WorkerId,
    job::JobKind,
    made::Made,
    report::Thought,
    trace::{Revision, Trace, TraceJob},
};
use futures::future::try_join_all;
use serde::de::DeserializeOwned;

use super::spans;
use crate::{
    farm::Farm,
    store::{JobOutline, StoreError, TraceOutline, Written},
};

/// Largest plan or review that is read back, in bytes.
const MAX_JSON_BYTES: u64 = 1 << 20;

/// What most traces fit into, in bytes.
const USUAL_BYTES: usize = 16_384;

/// A trace that is stored.
struct Stored {
    trace: Trace,
    artifact: ArtifactRef,
    /// Of its jobs, in their order.
    jobs: Vec<JobId>,
    /// The submitter's trace, if it brought one.
    brought: Option<TraceContext>,
}

/// Why there is no trace yet.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The object store failed.
    #[error(transparent)]
    Artifacts(#[from] ArtifactError),
}

/// Makes and stores the traces of ended requests, those that have none yet. A trace that cannot be stored fails all; they are found again.
pub async fn write(farm: &Farm, ids: &[RequestId]) -> Result<(), TraceError> {
    let outlines = farm.store.outlines_of_ended(ids).await?;
    let stored = outlines.into_iter().map(|outline| store(farm, outline));
    let stored = try_join_all(stored).await?;
    record(farm, &stored).await
}

/// Makes and stores the trace of an ended request, in the place of the one that is `lost`; none when there is no such request.
pub async fn make(
    farm: &Farm,
    id: RequestId,
    lost: Option<ArtifactRef>,
) -> Result<Option<ArtifactRef>, TraceError> {
    let Some(outline) = farm.store.outline(id).await? else {
        return Ok(None);
    };
    let stored = store(farm, outline).await?;
    match lost {
        None => record(farm, std::slice::from_ref(&stored)).await?,
        // Names of workers that are gone by now are not in it, so that it may be called otherwise.
        Some(lost) => {
            farm.store
                .replace_trace(id, &lost, &stored.artifact)
                .await?
        }
    }
    Ok(Some(stored.artifact))
}

/// A request of a tenant as a trace, as far as it has come; none when the tenant has no such request.
pub async fn as_it_stands(
    farm: &Farm,
    tenant: TenantId,
    id: RequestId,
) -> Result<Option<Trace>, TraceError> {
    if !farm.store.has(tenant, id).await? {
        return Ok(None);
    }
    match farm.store.outline(id).await? {
        Some(outline) => compose(farm, outline).await.map(Some),
        None => Ok(None),
    }
}

/// Rows and other artifacts tell all that is in a trace, so that one that gets lost is made again.
async fn store(farm: &Farm, outline: TraceOutline) -> Result<Stored, TraceError> {
    let jobs = outline.jobs.iter().map(|job| job.id).collect();
    let brought = outline.brought;
    let trace = compose(farm, outline).await?;
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    serde_json::to_writer(&mut bytes, &trace).expect("a trace holds nothing that JSON cannot");
    let artifact = farm
        .artifacts
        .put_derived(bytes.into(), MediaType::Json)
        .await?;
    Ok(Stored {
        trace,
        artifact,
        jobs,
        brought,
    })
}

async fn record(farm: &Farm, stored: &[Stored]) -> Result<(), TraceError> {
    let named: Vec<_> = stored
        .iter()
        .map(|stored| (stored.trace.request, stored.artifact))
        .collect();
    let first = farm.store.record_traces(&named).await?;
    farm.metrics.traces_stored.inc_by(first.len() as u64);
    // Whoever records a trace first counts what the request was: once.
    for Stored {
        trace,
        jobs,
        brought,
        ..
    } in stored
    {
        if first.contains(&trace.request) {
            farm.metrics.ended(trace);
            spans::ended(farm, trace, jobs, *brought);
        }
    }
    Ok(())
}

async fn compose(farm: &Farm, outline: TraceOutline) -> Result<Trace, TraceError> {
    let mut trace = outline.trace;
    trace.plan_artifact = outline.plan;
    let mut is_known = false;
    for (
        job,
        JobOutline {
            detail, written, ..
        },
    ) in trace.jobs.iter_mut().zip(outline.jobs)
    {
        let detail = detail.map(Arc::unwrap_or_clone).unwrap_or_default();
        tell_worker(farm, job, detail.made);
        job.batch = detail.batch;
        if let Some(drawn) = detail.drawn {
            job.steps = Some(drawn.steps);
            job.size = Some(drawn.size);
            job.batch = (drawn.batch > 1).then_some(drawn.batch);
            job.references = drawn.references;
            job.kept = drawn.kept;
        }
        match (job.kind, job.artifact) {
            (JobKind::Critique, Some(artifact)) => {
                job.review = match written {
                    Some(Written::Review(review)) => Some(Arc::unwrap_or_clone(review)),
                    _ => read(farm, &artifact).await?,
                };
            }
            (JobKind::Plan, Some(artifact)) => {
                let plan = match written {
                    Some(Written::Plan(plan)) => Some(Arc::unwrap_or_clone(plan)),
                    _ => read(farm, &artifact).await?,
                };
                if trace.plan_artifact == Some(artifact) {
                    (trace.plan, trace.thought, is_known) = (plan, detail.thought, true);
                } else {
                    trace.earlier_plans.push(Revision {
                        round: job.round,
                        artifact,
                        plan,
                        thought: detail.thought,
                    });
                }
            }
            _ => {}
        }
        let repairs = job.fix.is_some();
        trace
            .cost
            .add(job.kind, repairs, job.device_ms.unwrap_or(0));
    }
    // That nobody made here: the direct one, or one that came with the request.
    if let (Some(plan), false) = (&trace.plan_artifact, is_known) {
        trace.plan = read(farm, plan).await?;
    }
    if !outline.notes.is_empty() {
        let thought = trace.thought.get_or_insert_with(Thought::default);
        thought.notes.extend(outline.notes);
    }
    Ok(trace)
}

/// Who did a job and when it began, by its report; by what is remembered of the worker where the report does not tell.
fn tell_worker(farm: &Farm, job: &mut TraceJob, made: Option<Made>) {
    match made {
        Some(made) => {
            job.worker = Some(made.worker.clone());
            let after_begin = u64::from(made.spent.compute_ms) + u64::from(made.spent.store_ms);
            job.started_ms = job.ended_ms.map(|ended| ended.saturating_sub(after_begin));
            job.made = Some(made);
        }
        None => {
            let worker = job.worker.as_deref().and_then(|id| id.parse().ok());
            if let Some(name) = worker.and_then(|worker: WorkerId| farm.workers.name(worker)) {
                job.worker = Some(name);
            }
        }
    }
}

/// Reads a JSON artifact; one that is gone or damaged leaves a gap in the trace, with a log line.
async fn read<T: DeserializeOwned>(
    farm: &Farm,
    artifact: &ArtifactRef,
) -> Result<Option<T>, TraceError> {
    let bytes = match farm.artifacts.get(artifact, MAX_JSON_BYTES).await {
        Ok(bytes) => bytes,
        Err(error @ ArtifactError::Store(_)) => return Err(error.into()),
        Err(error) => {
            tracing::warn!(%error, "a trace has a gap");
            return Ok(None);
        }
    };
    match serde_json::from_slice(&bytes) {
        Ok(value) => Ok(Some(value)),
        Err(error) => {
            tracing::warn!(artifact = %artifact.sha256, %error, "a trace has a gap");
            Ok(None)
        }
    }
}
