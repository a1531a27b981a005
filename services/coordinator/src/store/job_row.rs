//! A row of `jobs` as the state machine sees it.

use atelier_domain::{ChangedJob, Job, JobState, Output, Repair, Request, StageNode, fair::Tag};
use atelier_proto::{
    ArtifactRef, JobId, MediaType, Sha256, WorkerId,
    job::{JobKind, Priority},
    review::Fix,
};
use serde::{Deserialize, Serialize};
use sqlx::{FromRow, types::Json};
use uuid::Uuid;

use super::{
    Place, StoreError,
    columns::json,
    request_row::{artifact, score},
};

/// What is read of a job to work on it.
#[derive(Debug, FromRow)]
pub(super) struct JobRow {
    id: Uuid,
    pub request_id: Uuid,
    kind: String,
    round: i16,
    candidate: i16,
    repair: Option<Json<RepairColumn>>,
    device_ms: Option<i64>,
    stage: Option<String>,
    op: Option<String>,
    inputs: Vec<String>,
    seed: i64,
    state: String,
    attempt: i32,
    failures: i32,
    dead_workers: Vec<Uuid>,
    losses: i32,
    begun_attempt: i32,
    computed_attempt: i32,
    not_before: Option<i64>,
    lease_until: Option<i64>,
    worker_id: Option<Uuid>,
    stream_epoch: Option<i64>,
    stream_sequence: Option<i64>,
    reason: Option<String>,
    artifact_sha256: Option<Vec<u8>>,
    artifact_bytes: Option<i64>,
    score_pass: Option<i32>,
    score_fail: Option<i32>,
    score_unknown: Option<i32>,
}

/// `$more` columns beside those of the row, and the statement's end.
macro_rules! select {
    ($more:literal, $end:literal) => {
        concat!(
            "SELECT id, request_id, kind, round, candidate, repair, device_ms, stage, op, inputs, seed, state, attempt, failures, dead_workers,
                    losses, begun_attempt, computed_attempt,
                    (extract(epoch FROM not_before) * 1000)::bigint AS not_before,
                    (extract(epoch FROM lease_until) * 1000)::bigint AS lease_until,
                    worker_id, stream_epoch, stream_sequence, reason, artifact_sha256, artifact_bytes,
                    score_pass, score_fail, score_unknown",
            $more,
            "
             FROM jobs
             WHERE request_id = ANY($1)
             ORDER BY request_id, position",
            $end
        )
    };
}
pub(super) use select;

/// Reads the jobs of the requests named in `$1`.
pub(super) const SELECT: &str = select!("", "");
/// Locks the jobs of the requests named in `$1`, whose rows are locked already.
pub(super) const SELECT_LOCKED: &str = select!("", " FOR UPDATE");

impl JobRow {
    /// The job.
    pub fn id(&self) -> JobId {
        JobId::from_uuid(self.id)
    }

    /// Who has it in hands, or had it at last.
    pub fn worker(&self) -> Option<WorkerId> {
        self.worker_id.map(WorkerId::from_uuid)
    }

    /// Milliseconds on devices, once something was reported.
    pub fn device_ms(&self) -> Option<u64> {
        self.device_ms.map(i64::unsigned_abs)
    }

    /// Where its message is, as far as that was written down.
    pub fn place(&self) -> Option<Place> {
        Some(Place {
            epoch: self.stream_epoch?.unsigned_abs(),
            sequence: self.stream_sequence?.unsigned_abs(),
        })
    }

    fn wrong(&self, column: &'static str, reason: impl Into<String>) -> StoreError {
        StoreError::Row {
            table: "jobs",
            column,
            row: self.id,
            reason: reason.into(),
        }
    }

    fn state(&self, kind: JobKind) -> Result<JobState, StoreError> {
        let millis = |time: Option<i64>, column| {
            time.map(i64::unsigned_abs)
                .ok_or_else(|| self.wrong(column, "is null"))
        };
        Ok(match self.state.as_str() {
            "waiting" => JobState::Waiting,
            "ready" => JobState::Ready {
                not_before: millis(self.not_before, "not_before")?,
            },
            "dispatched" => JobState::Dispatched {
                lease_until: millis(self.lease_until, "lease_until")?,
                worker: self.worker_id.map(WorkerId::from_uuid),
                begun: self.begun_attempt == self.attempt && self.computed_attempt < self.attempt,
            },
            "done" => JobState::Done(self.output(kind)?),
            "failed" => JobState::Failed {
                reason: self.reason.clone().unwrap_or_default(),
            },
            "canceled" => JobState::Canceled,
            other => return Err(self.wrong("state", format!("{other:?} is not a state"))),
        })
    }

    fn output(&self, kind: JobKind) -> Result<Output, StoreError> {
        let media_type = match kind {
            JobKind::Render => MediaType::Png,
            JobKind::Plan | JobKind::Critique => MediaType::Json,
        };
        let made = artifact(
            self.artifact_sha256.as_deref(),
            self.artifact_bytes,
            media_type,
            "jobs",
            "artifact_sha256",
            self.id,
        )?
        .ok_or_else(|| self.wrong("artifact_sha256", "is null"))?;
        Ok(match kind {
            JobKind::Plan => Output::Plan(made),
            JobKind::Render => Output::Picture(made),
            JobKind::Critique => {
                let score = score(self.score_pass, self.score_fail, self.score_unknown)
                    .ok_or_else(|| self.wrong("score_pass", "is null"))?;
                Output::Review(made, score)
            }
        })
    }
}

impl TryFrom<JobRow> for Job {
    type Error = StoreError;

    fn try_from(row: JobRow) -> Result<Self, StoreError> {
        let kind: JobKind = row
            .kind
            .parse()
            .map_err(|reason: String| row.wrong("kind", reason))?;
        let state = row.state(kind)?;
        let stage = row.stage.map(|id| StageNode {
            id,
            op: row.op.unwrap_or_default(),
            inputs: row.inputs,
        });
        Ok(Self {
            id: JobId::from_uuid(row.id),
            kind,
            round: u32::from(row.round.unsigned_abs()),
            candidate: u32::from(row.candidate.unsigned_abs()),
            stage,
            repair: row.repair.map(|column| column.0.into()),
            seed: row.seed.cast_unsigned(),
            attempt: row.attempt.unsigned_abs(),
            failures: row.failures.unsigned_abs(),
            failed_on: row
                .dead_workers
                .into_iter()
                .map(WorkerId::from_uuid)
                .collect(),
            losses: row.losses.unsigned_abs(),
            device_ms: row.device_ms.unwrap_or(0).unsigned_abs(),
            state,
        })
    }
}

/// What a job mends, as its column has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct RepairColumn {
    pub fix: Fix,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base: Option<ArtifactRef>,
}

impl From<RepairColumn> for Repair {
    fn from(RepairColumn { fix, base }: RepairColumn) -> Self {
        Self { fix, base }
    }
}

impl From<Repair> for RepairColumn {
    fn from(Repair { fix, base }: Repair) -> Self {
        Self { fix, base }
    }
}

/// Whose turn it is among ready jobs; all jobs of a request have the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rank {
    /// Priority of the request.
    pub priority: Priority,
    /// Start tag of the request.
    pub fair_tag: Tag,
}

/// What is written of a job. `from_*` are the fence, none for new ones.
#[derive(Debug)]
pub(super) struct JobWrite {
    pub id: Uuid,
    pub request_id: Uuid,
    pub position: usize,
    pub kind: &'static str,
    pub round: u32,
    pub candidate: u32,
    pub repair: Option<RepairColumn>,
    pub stage: Option<String>,
    pub op: Option<String>,
    pub inputs: Vec<String>,
    pub seed: i64,
    pub priority: &'static str,
    pub fair_tag: Tag,
    pub state: &'static str,
    pub attempt: u32,
    pub failures: u32,
    pub dead_workers: Vec<Uuid>,
    pub losses: u32,
    pub begun: bool,
    /// None of a job that is done: they were written when it became ready.
    pub input_pictures: Option<Vec<ArtifactRef>>,
    pub not_before: Option<u64>,
    pub lease_until: Option<u64>,
    pub worker_id: Option<Uuid>,
    pub reason: Option<String>,
    pub artifact_sha256: Option<Sha256>,
    pub artifact_bytes: Option<u64>,
    pub score_pass: Option<u32>,
    pub score_fail: Option<u32>,
    pub score_unknown: Option<u32>,
    pub detail: Option<String>,
    pub device_ms: Option<u64>,
    pub from_attempt: Option<u32>,
    pub from_state: Option<&'static str>,
}

impl JobWrite {
    /// A job as it is in `request`.
    pub fn new(request: &Request, job: &Job, rank: Rank) -> Self {
        let made = match &job.state {
            JobState::Done(output) => Some(output.artifact()),
            _ => None,
        };
        let score = match job.state {
            JobState::Done(Output::Review(_, score)) => Some(score),
            _ => None,
        };
        let (not_before, lease_until, worker, reason) = match &job.state {
            JobState::Ready { not_before } => (Some(*not_before), None, None, None),
            JobState::Dispatched {
                lease_until,
                worker,
                ..
            } => (None, Some(*lease_until), *worker, None),
            JobState::Failed { reason } => (None, None, None, Some(reason.clone())),
            _ => (None, None, None, None),
        };
        Self {
            id: job.id.as_uuid(),
            request_id: request.id.as_uuid(),
            position: request
                .jobs
                .iter()
                .position(|other| other.id == job.id)
                .unwrap_or(0),
            kind: job.kind.as_str(),
            round: job.round,
            candidate: job.candidate,
            repair: job.repair.clone().map(RepairColumn::from),
            stage: job.stage.as_ref().map(|stage| stage.id.clone()),
            op: job.stage.as_ref().map(|stage| stage.op.clone()),
            inputs: job
                .stage
                .as_ref()
                .map_or_else(Vec::new, |stage| stage.inputs.clone()),
            seed: job.seed.cast_signed(),
            priority: rank.priority.as_str(),
            fair_tag: rank.fair_tag,
            state: job.state.as_str(),
            attempt: job.attempt,
            failures: job.failures,
            dead_workers: job.failed_on.iter().map(WorkerId::as_uuid).collect(),
            losses: job.losses,
            begun: matches!(job.state, JobState::Dispatched { begun: true, .. }),
            input_pictures: made.is_none().then(|| request.pictures_read_by(job)),
            not_before,
            lease_until,
            worker_id: worker.map(|worker| worker.as_uuid()),
            reason,
            artifact_sha256: made.map(|made| made.sha256),
            artifact_bytes: made.map(|made| made.bytes),
            score_pass: score.map(|score| score.pass),
            score_fail: score.map(|score| score.fail),
            score_unknown: score.map(|score| score.unknown),
            detail: None,
            device_ms: None,
            from_attempt: None,
            from_state: None,
        }
    }

    /// A job that changed, with its fence and what a report says beside its outcome.
    pub fn changed(
        request: &Request,
        changed: &ChangedJob,
        rank: Rank,
        finding: Option<&super::Finding>,
    ) -> Self {
        let mut write = Self::new(request, &changed.job, rank);
        write.from_attempt = Some(changed.from_attempt);
        write.from_state = Some(changed.from_state.as_str());
        if let Some(finding) = finding {
            write.detail = finding.detail.as_deref().map(json);
            write.device_ms = Some(changed.job.device_ms.min(i64::MAX.cast_unsigned()));
            if changed.job.state.is_terminal() {
                write.worker_id = Some(finding.worker.as_uuid());
            }
        }
        write
    }
}
