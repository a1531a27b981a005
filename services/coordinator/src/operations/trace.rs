//! Writing the traces of requests that ended: rows and artifacts become one JSON document each beside the picture.

use atelier_platform::{ArtifactError, artifacts::MAX_ARTIFACT_BYTES};
use atelier_proto::{
    ArtifactRef, MediaType, RequestId, WorkerId, job::JobKind, report::Thought, trace::Trace,
};
use bytes::Bytes;
use futures::future::try_join_all;
use serde::de::DeserializeOwned;

use super::findings::Detail;
use crate::{
    farm::Farm,
    store::{StoreError, TraceRows},
};

/// Largest plan or review that is read back, in bytes.
const MAX_JSON_BYTES: u64 = 1 << 20;

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
    let rows = farm.store.trace_rows(ids).await?;
    let ended = rows
        .into_iter()
        .filter(|rows| rows.trace.state.is_terminal());
    let stored = try_join_all(ended.map(|rows| async {
        let id = rows.trace.request;
        let bytes = json(&compose(farm, rows).await?);
        // Rows and other artifacts tell all that is in it.
        let artifact = farm.artifacts.put_derived(bytes, MediaType::Json).await?;
        Ok::<_, TraceError>((id, artifact))
    }))
    .await?;
    let first = farm.store.record_traces(&stored).await?;
    farm.metrics.traces_stored.inc_by(first.len() as u64);
    Ok(())
}

/// Where the trace of an ended request is: `stored`, or a new one where there is none or it is lost; none when there is no such request.
pub async fn find_or_make(
    farm: &Farm,
    id: RequestId,
    stored: Option<ArtifactRef>,
) -> Result<Option<ArtifactRef>, TraceError> {
    if let Some(stored) = stored {
        match farm.artifacts.get(&stored, MAX_ARTIFACT_BYTES).await {
            Err(error @ (ArtifactError::Missing(_) | ArtifactError::Damaged { .. })) => {
                tracing::warn!(request = %id, %error, "made a trace again");
            }
            Err(error) => return Err(error.into()),
            Ok(_) => return Ok(Some(stored)),
        }
    }
    let Some(rows) = farm.store.trace_rows(&[id]).await?.pop() else {
        return Ok(None);
    };
    let bytes = json(&compose(farm, rows).await?);
    let artifact = farm.artifacts.put_derived(bytes, MediaType::Json).await?;
    let first = farm.store.record_traces(&[(id, artifact)]).await?;
    farm.metrics.traces_stored.inc_by(first.len() as u64);
    Ok(Some(artifact))
}

fn json(trace: &Trace) -> Bytes {
    serde_json::to_vec(trace)
        .expect("a trace holds nothing that JSON cannot")
        .into()
}

async fn compose(farm: &Farm, rows: TraceRows) -> Result<Trace, TraceError> {
    let mut trace = rows.trace;
    if let Some(plan) = rows.plan {
        trace.plan = read(farm, &plan).await?;
    }
    for (job, detail) in trace.jobs.iter_mut().zip(rows.details) {
        let worker = job.worker.as_deref().and_then(|id| id.parse().ok());
        if let Some(name) = worker.and_then(|worker: WorkerId| farm.workers.name(worker)) {
            job.worker = Some(name);
        }
        match detail.map(serde_json::from_value) {
            Some(Ok(Detail::Thought(thought))) => trace.thought = Some(thought),
            Some(Ok(Detail::Drawn {
                steps,
                references,
                batch,
                ..
            })) => {
                job.steps = Some(steps);
                job.batch = (batch > 1).then_some(batch);
                job.references = references;
            }
            Some(Err(error)) => {
                tracing::warn!(request = %trace.request, %error, "a job's detail cannot be read");
            }
            None => {}
        }
        if let (JobKind::Critique, Some(review)) = (job.kind, &job.artifact) {
            job.review = read(farm, review).await?;
        }
    }
    if !rows.notes.is_empty() {
        let thought = trace.thought.get_or_insert_with(Thought::default);
        thought.notes.extend(rows.notes);
    }
    Ok(trace)
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
