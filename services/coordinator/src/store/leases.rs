//! Leases: what extends them, and which ran out; requests whose own time did.

use atelier_proto::{JobId, RequestId, WorkerId, job::JobKind};
use sqlx::FromRow;
use uuid::Uuid;

use super::{Store, StoreError};

/// How far a worker is with a job in its hands. Later ones do not go back to earlier ones within an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// It waits for the device.
    Held,
    /// It is on the device.
    Begun,
    /// It has left the device.
    Computed,
}

/// A worker's sign of life about a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Extension {
    /// The job.
    pub job: JobId,
    /// Of which request, where the sign tells: the job may be one that was never saved.
    pub request: Option<RequestId>,
    /// Which attempt.
    pub attempt: u32,
    /// Who has it in its hands.
    pub worker: WorkerId,
    /// How far it is.
    pub phase: Phase,
}

/// What came of signs of life.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extended {
    /// Jobs that were written.
    pub written: usize,
    /// Jobs whose rows somebody held although there is news of how far they are; nobody may ever say it again.
    pub missed: Vec<JobId>,
}

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The stream that it is in, by the time it was made.
    pub epoch: u64,
    /// Its number there.
    pub sequence: u64,
}

/// A message that is in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Posted {
    /// The job.
    pub job: JobId,
    /// Which attempt.
    pub attempt: u32,
    /// Where.
    pub place: Place,
}

/// `$1`..`$3` and `$5` jobs, attempts, workers, phases (0 held, 1 begun, 2 computed); `$4` lease in milliseconds.
const EXTEND: &str = "
    WITH said AS (
        SELECT * FROM unnest($1::uuid[], $2::integer[], $3::uuid[], $5::smallint[]) AS n(id, attempt, worker, phase)
    ),
    alive AS (
        SELECT known.id, n.worker, n.phase
        FROM said n
        -- One look into the index for each: joined in another order, all that was said would be read for every row.
        CROSS JOIN LATERAL (
            SELECT j.id
            FROM jobs j
            -- Exactly what is dispatched has a lease. Of the state it is not asked: an index has all that are dispatched, and while they are few
            -- it would be read through for each.
            WHERE j.id = n.id AND j.attempt = n.attempt AND j.lease_until IS NOT NULL
              -- What one worker has begun is not taken over by another that got the same message.
              AND NOT (j.worker_id <> n.worker AND j.begun_attempt = j.attempt AND j.computed_attempt < j.attempt)
              AND (j.worker_id IS DISTINCT FROM n.worker
                   OR j.lease_until < clock_timestamp() + $4 * interval '0.667 milliseconds'
                   OR (n.phase >= 1 AND j.begun_attempt < j.attempt)
                   OR (n.phase = 2 AND j.computed_attempt < j.attempt))
            FOR UPDATE SKIP LOCKED
        ) known
    ),
    written AS (
        UPDATE jobs j
        SET worker_id = alive.worker, lease_until = clock_timestamp() + $4 * interval '1 millisecond',
            begun_attempt = CASE WHEN alive.phase >= 1 THEN j.attempt ELSE j.begun_attempt END,
            computed_attempt = CASE WHEN alive.phase = 2 THEN j.attempt ELSE j.computed_attempt END
        FROM alive
        -- Few against what was said, and looked up one by one: the ids again would be looked up for each of them.
        WHERE j.id = alive.id
        RETURNING j.id
    )
    SELECT id, true FROM written
    UNION ALL
    -- As they were before: news that could not be written.
    SELECT n.id, false
    FROM said n
    CROSS JOIN LATERAL (
        SELECT FROM jobs j
        WHERE j.id = n.id AND j.attempt = n.attempt AND j.lease_until IS NOT NULL
          AND (j.begun_attempt < j.attempt OR (n.phase = 2 AND j.computed_attempt < j.attempt))
        -- Keeps it one look for each.
        OFFSET 0
    ) known
    WHERE n.phase >= 1 AND n.id NOT IN (SELECT id FROM written)";

#[derive(FromRow)]
struct LostRow {
    id: Uuid,
    request_id: Uuid,
    attempt: i32,
}

impl Store {
    /// Extends the leases of jobs that workers have in their hands, for `lease_ms` from now. Writes only what is new: the worker, how far
    /// it is, or a lease of which a third is over. A row that somebody holds is left out.
    pub async fn extend(&self, alive: &[Extension], lease_ms: u64) -> Result<Extended, StoreError> {
        let ids: Vec<Uuid> = alive.iter().map(|one| one.job.as_uuid()).collect();
        let attempts: Vec<i32> = alive.iter().map(|one| one.attempt.cast_signed()).collect();
        let workers: Vec<Uuid> = alive.iter().map(|one| one.worker.as_uuid()).collect();
        let phases: Vec<i16> = alive.iter().map(|one| one.phase as i16).collect();
        let rows: Vec<(Uuid, bool)> = sqlx::query_as(EXTEND)
            .bind(&ids)
            .bind(&attempts)
            .bind(&workers)
            .bind(lease_ms.cast_signed())
            .bind(&phases)
            .fetch_all(&self.pool)
            .await?;
        let mut extended = Extended::default();
        for (job, written) in rows {
            match written {
                true => extended.written += 1,
                false => extended.missed.push(JobId::from_uuid(job)),
            }
        }
        Ok(extended)
    }

    /// Of jobs that workers have in their hands, the requests that were canceled; of those that were published ahead of a commit that never came, too.
    pub async fn canceled_among(&self, alive: &[Extension]) -> Result<Vec<RequestId>, StoreError> {
        let ids: Vec<Uuid> = alive.iter().map(|one| one.job.as_uuid()).collect();
        let told = alive.iter().filter_map(|one| one.request);
        let told: Vec<Uuid> = told.map(|request| request.as_uuid()).collect();
        let requests: Vec<Uuid> = sqlx::query_scalar(
            "SELECT id FROM requests
             WHERE id = ANY (ARRAY(SELECT request_id FROM jobs WHERE id = ANY($1) AND state = 'canceled') || $2::uuid[]) AND state = 'canceled'",
        )
        .bind(&ids)
        .bind(&told)
        .fetch_all(&self.pool)
        .await?;
        Ok(requests.into_iter().map(RequestId::from_uuid).collect())
    }

    /// Jobs of a request that were canceled.
    pub async fn canceled_jobs(&self, id: RequestId) -> Result<Vec<JobId>, StoreError> {
        let jobs: Vec<Uuid> =
            sqlx::query_scalar("SELECT id FROM jobs WHERE request_id = $1 AND state = 'canceled'")
                .bind(id.as_uuid())
                .fetch_all(&self.pool)
                .await?;
        Ok(jobs.into_iter().map(JobId::from_uuid).collect())
    }

    /// Writes down where the messages of dispatched jobs are; returns those that were canceled meanwhile. The others are over.
    pub async fn record_posted(&self, posted: &[Posted]) -> Result<Vec<JobId>, StoreError> {
        let ids: Vec<Uuid> = posted.iter().map(|one| one.job.as_uuid()).collect();
        let attempts: Vec<i32> = posted.iter().map(|one| one.attempt.cast_signed()).collect();
        let epochs: Vec<i64> = posted
            .iter()
            .map(|one| one.place.epoch.cast_signed())
            .collect();
        let sequences: Vec<i64> = posted
            .iter()
            .map(|one| one.place.sequence.cast_signed())
            .collect();
        let canceled: Vec<Uuid> = sqlx::query_scalar(
            "WITH posted AS (
                SELECT j.id, n.epoch, n.sequence
                FROM jobs j JOIN unnest($1::uuid[], $2::integer[], $3::bigint[], $4::bigint[]) AS n(id, attempt, epoch, sequence)
                  ON j.id = n.id AND j.attempt = n.attempt
                WHERE j.id = ANY($1) AND j.state = 'dispatched'
                FOR UPDATE OF j SKIP LOCKED
            ),
            noted AS (
                UPDATE jobs j
                SET stream_epoch = posted.epoch, stream_sequence = posted.sequence
                FROM posted
                WHERE j.id = ANY($1) AND j.id = posted.id
            )
            SELECT j.id FROM jobs j WHERE j.id = ANY($1) AND j.state = 'canceled'",
        )
        .bind(&ids)
        .bind(&attempts)
        .bind(&epochs)
        .bind(&sequences)
        .fetch_all(&self.pool)
        .await?;
        Ok(canceled.into_iter().map(JobId::from_uuid).collect())
    }

    /// Extends the leases of jobs of `kind` whose messages still wait in the stream `epoch`, behind `delivered`.
    pub async fn extend_queued(
        &self,
        kind: JobKind,
        epoch: u64,
        delivered: u64,
        lease_ms: u64,
    ) -> Result<u64, StoreError> {
        let done = sqlx::query(
            "WITH queued AS (
                SELECT id FROM jobs
                WHERE state = 'dispatched' AND worker_id IS NULL AND kind = $1
                  AND stream_epoch = $2 AND stream_sequence > $3
                FOR UPDATE SKIP LOCKED
            )
            UPDATE jobs j SET lease_until = clock_timestamp() + $4 * interval '1 millisecond'
            WHERE j.id = ANY (ARRAY(SELECT id FROM queued))",
        )
        .bind(kind.as_str())
        .bind(epoch.cast_signed())
        .bind(delivered.cast_signed())
        .bind(lease_ms.cast_signed())
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }

    /// Requests with a job whose lease ran out.
    pub async fn expired(&self, limit: u32) -> Result<Vec<RequestId>, StoreError> {
        let ids: Vec<Uuid> = sqlx::query_scalar(
            "SELECT DISTINCT request_id FROM (
                SELECT request_id FROM jobs
                WHERE state = 'dispatched' AND lease_until <= clock_timestamp()
                ORDER BY lease_until
                LIMIT $1) AS first",
        )
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        Ok(ids.into_iter().map(RequestId::from_uuid).collect())
    }

    /// Active requests whose time is over, of which a picture was looked at, and nothing more was begun: no worker has a job of theirs, and
    /// nothing is drawn of the pictures that are left.
    pub async fn overdue(&self, limit: u32) -> Result<Vec<RequestId>, StoreError> {
        let ids: Vec<Uuid> = sqlx::query_scalar(
            "SELECT r.id FROM requests r
             WHERE r.state = 'active' AND r.max_time_ms IS NOT NULL AND r.score_pass IS NOT NULL
               AND r.created_at + r.max_time_ms * interval '1 millisecond' <= clock_timestamp()
               AND NOT EXISTS (
                   SELECT 1 FROM jobs j
                   WHERE j.request_id = r.id AND j.state IN ('waiting', 'ready', 'dispatched')
                     AND (j.state = 'dispatched' AND j.worker_id IS NOT NULL
                          OR EXISTS (
                              SELECT 1 FROM jobs d
                              WHERE d.request_id = r.id AND d.kind = 'render' AND d.state = 'done'
                                AND d.round = j.round AND d.candidate = j.candidate)))
             ORDER BY r.created_at
             LIMIT $1",
        )
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        Ok(ids.into_iter().map(RequestId::from_uuid).collect())
    }

    /// Queueing jobs whose messages were in another stream than `epoch`, and so are gone.
    pub async fn orphaned(
        &self,
        epoch: u64,
        limit: u32,
    ) -> Result<Vec<(RequestId, JobId, u32)>, StoreError> {
        let rows: Vec<LostRow> = sqlx::query_as(
            "SELECT id, request_id, attempt FROM jobs
             WHERE state = 'dispatched' AND worker_id IS NULL AND stream_epoch <> $1
             LIMIT $2",
        )
        .bind(epoch.cast_signed())
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                (
                    RequestId::from_uuid(row.request_id),
                    JobId::from_uuid(row.id),
                    row.attempt.unsigned_abs(),
                )
            })
            .collect())
    }
}
