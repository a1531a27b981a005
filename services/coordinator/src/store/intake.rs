//! Making requests durable, many in one commit.

use atelier_domain::{NewRequest, Policy, Request};
use atelier_proto::{
    RequestId, Sha256,
    job::{NamedReference, Priority, Size, Think},
};
use serde::Serialize;
use sqlx::{FromRow, types::Json};
use uuid::Uuid;

use super::{
    Store, StoreError, hit,
    job_row::{self, JobWrite},
    notices::notify,
    request_row::sha256,
};

/// A request that passed every check, its pictures and direct plan stored.
#[derive(Clone, Debug)]
pub struct Submission {
    /// What the state machine starts from.
    pub start: NewRequest,
    /// The caller's own name for this submit.
    pub idempotency_key: Option<String>,
    /// Digest of the submitted body.
    pub body_sha256: Sha256,
    /// Model that will work on it.
    pub model: String,
    /// What to draw.
    pub prompt: String,
    /// How urgent.
    pub priority: Priority,
    /// Denoise steps.
    pub steps: Option<u32>,
    /// Size in pixels.
    pub size: Option<Size>,
    /// The user's own pictures.
    pub pictures: Vec<NamedReference>,
}

/// What became of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is durable under this id.
    New(RequestId),
    /// It was submitted before, under this id.
    Known(RequestId),
    /// Its idempotency key stands for another body.
    KeyTaken,
}

#[derive(Serialize)]
struct RequestInsert<'a> {
    id: Uuid,
    idempotency_key: Option<&'a str>,
    body_sha256: Sha256,
    model: &'a str,
    prompt: &'a str,
    seed: i64,
    think: &'static str,
    priority: &'static str,
    steps: Option<u32>,
    width: Option<u32>,
    height: Option<u32>,
    max_rounds: u32,
    pictures: &'a [NamedReference],
    direct_plan_sha256: Sha256,
    direct_plan_bytes: u64,
    plan_checks: Option<u32>,
}

/// Writes new requests, except those whose idempotency key is taken.
const INSERT: &str = "
    INSERT INTO requests (id, idempotency_key, body_sha256, model, prompt, seed, think, priority, steps, width, height,
                          max_rounds, pictures, direct_plan_sha256, direct_plan_bytes, plan_sha256, plan_bytes, plan_checks)
    SELECT id, idempotency_key, decode(body_sha256, 'hex'), model, prompt, seed, think, priority, steps, width, height,
           max_rounds, pictures, decode(direct_plan_sha256, 'hex'), direct_plan_bytes,
           -- Without thinking the direct plan is carried out from the start.
           CASE WHEN plan_checks IS NOT NULL THEN decode(direct_plan_sha256, 'hex') END,
           CASE WHEN plan_checks IS NOT NULL THEN direct_plan_bytes END,
           plan_checks
    FROM jsonb_to_recordset($1) AS n(
        id uuid, idempotency_key text, body_sha256 text, model text, prompt text, seed bigint, think text, priority text,
        steps integer, width integer, height integer, max_rounds smallint, pictures jsonb,
        direct_plan_sha256 text, direct_plan_bytes bigint, plan_checks integer)
    ON CONFLICT (idempotency_key) DO NOTHING
    RETURNING id, (extract(epoch FROM created_at) * 1000)::bigint AS created_ms";

#[derive(FromRow)]
struct Made {
    id: Uuid,
    created_ms: i64,
}

#[derive(FromRow)]
struct Earlier {
    id: Uuid,
    idempotency_key: String,
    body_sha256: Vec<u8>,
}

impl Store {
    /// Writes `submissions` with their first jobs in one commit; says in the same order what became of each.
    pub async fn accept(&self, submissions: &[Submission]) -> Result<Vec<Accepted>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let now: i64 = sqlx::query_scalar("SELECT (extract(epoch FROM now()) * 1000)::bigint")
            .fetch_one(&mut *transaction)
            .await?;
        let requests: Vec<Request> = submissions
            .iter()
            .map(|submission| Request::start(submission.start, now.unsigned_abs()))
            .collect();
        let rows: Vec<_> = submissions
            .iter()
            .zip(&requests)
            .map(|(submission, request)| RequestInsert::new(submission, request))
            .collect();
        let made: Vec<Made> = sqlx::query_as(INSERT)
            .bind(Json(&rows))
            .fetch_all(&mut *transaction)
            .await?;
        let rank = |id: Uuid, priority| {
            let row = made.iter().find(|made| made.id == id)?;
            Some(row.created_ms + Policy::handicap_ms(priority).cast_signed())
        };
        let mut jobs = Vec::new();
        for (submission, request) in submissions.iter().zip(&requests) {
            if let Some(rank) = rank(request.id.as_uuid(), submission.priority) {
                jobs.extend(
                    request
                        .jobs
                        .iter()
                        .map(|job| JobWrite::new(request, job, rank)),
                );
            }
        }
        let done = sqlx::query(job_row::INSERT)
            .bind(Json(&jobs))
            .execute(&mut *transaction)
            .await?;
        hit("making first jobs", done.rows_affected(), jobs.len())?;
        notify(&mut transaction, &[], !jobs.is_empty()).await?;
        transaction.commit().await?;
        let is_new = |id: Uuid| made.iter().any(|row| row.id == id);
        let earlier = self.earlier(submissions, is_new).await?;
        submissions
            .iter()
            .map(|submission| {
                let id = submission.start.id;
                if is_new(id.as_uuid()) {
                    return Ok(Accepted::New(id));
                }
                let key = submission.idempotency_key.as_deref();
                match earlier
                    .iter()
                    .find(|row| Some(row.idempotency_key.as_str()) == key)
                {
                    Some(row) => row.compare(submission.body_sha256),
                    // Deleted in between, which nothing does to young requests.
                    None => Ok(Accepted::KeyTaken),
                }
            })
            .collect()
    }

    async fn earlier(
        &self,
        submissions: &[Submission],
        is_new: impl Fn(Uuid) -> bool,
    ) -> Result<Vec<Earlier>, StoreError> {
        let keys: Vec<&str> = submissions
            .iter()
            .filter(|submission| !is_new(submission.start.id.as_uuid()))
            .filter_map(|submission| submission.idempotency_key.as_deref())
            .collect();
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        Ok(sqlx::query_as(
            "SELECT id, idempotency_key, body_sha256 FROM requests WHERE idempotency_key = ANY($1)",
        )
        .bind(&keys)
        .fetch_all(&self.pool)
        .await?)
    }
}

impl Earlier {
    fn compare(&self, body_sha256: Sha256) -> Result<Accepted, StoreError> {
        let digest = sha256(&self.body_sha256, "requests", "body_sha256", self.id)?;
        Ok(if digest == body_sha256 {
            Accepted::Known(RequestId::from_uuid(self.id))
        } else {
            Accepted::KeyTaken
        })
    }
}

impl<'a> RequestInsert<'a> {
    fn new(submission: &'a Submission, request: &Request) -> Self {
        let direct_plan = submission.start.direct_plan;
        Self {
            id: request.id.as_uuid(),
            idempotency_key: submission.idempotency_key.as_deref(),
            body_sha256: submission.body_sha256,
            model: &submission.model,
            prompt: &submission.prompt,
            seed: request.seed.cast_signed(),
            think: match submission.start.think {
                Think::Off => "off",
                Think::Fast => "fast",
            },
            priority: submission.priority.as_str(),
            steps: submission.steps,
            width: submission.size.map(|size| size.width),
            height: submission.size.map(|size| size.height),
            max_rounds: request.max_rounds,
            pictures: &submission.pictures,
            direct_plan_sha256: direct_plan.sha256,
            direct_plan_bytes: direct_plan.bytes,
            plan_checks: request.plan.map(|plan| plan.checks),
        }
    }
}
