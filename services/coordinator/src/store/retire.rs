//! What may go: requests that are older than is kept, and objects that no row names.

use atelier_proto::{RequestId, Sha256};
use uuid::Uuid;

use super::{Store, StoreError, clock::NOW, request_row::sha256};

/// Digests of `$1` that no row names. One pass over both tables: an index on every digest would cost each job more than this costs once in a while.
const UNNAMED: &str = "
    SELECT candidate FROM unnest($1::bytea[]) AS candidate
    EXCEPT SELECT artifact_sha256 FROM jobs
    EXCEPT SELECT plan_sha256 FROM requests
    EXCEPT SELECT image_sha256 FROM requests
    EXCEPT SELECT trace_sha256 FROM requests
    EXCEPT SELECT direct_plan_sha256 FROM requests
    EXCEPT SELECT decode(picture->'picture'->>'sha256', 'hex') FROM requests, jsonb_array_elements(pictures) AS picture
           WHERE pictures <> '[]'";

impl Store {
    /// Those of `digests` that no row names; none while another coordinator is asking the same.
    pub async fn unnamed(&self, digests: &[Sha256]) -> Result<Vec<Sha256>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        // One number for all coordinators of this database.
        let alone: bool =
            sqlx::query_scalar("SELECT pg_try_advisory_xact_lock(hashtext('atelier sweep'))")
                .fetch_one(&mut *transaction)
                .await?;
        if !alone {
            return Ok(Vec::new());
        }
        for setting in [
            "SET LOCAL statement_timeout = '10min'",
            "SET LOCAL enable_seqscan = on",
        ] {
            sqlx::query(setting).execute(&mut *transaction).await?;
        }
        let candidates: Vec<&[u8]> = digests.iter().map(|digest| digest.0.as_slice()).collect();
        let unnamed: Vec<Vec<u8>> = sqlx::query_scalar(UNNAMED)
            .bind(&candidates)
            .fetch_all(&mut *transaction)
            .await?;
        transaction.commit().await?;
        let digest = |bytes: &Vec<u8>| sha256(bytes, "jobs", "artifact_sha256", Uuid::nil());
        unnamed.iter().map(digest).collect()
    }

    /// Deletes up to `limit` requests that ended more than `days` ago, oldest first, with their jobs; returns how many.
    pub async fn retire(&self, days: u32, limit: u32) -> Result<u64, StoreError> {
        let now: i64 = sqlx::query_scalar(NOW).fetch_one(&self.pool).await?;
        let before = now
            .unsigned_abs()
            .saturating_sub(u64::from(days) * 86_400_000);
        let done = sqlx::query(
            // Ids sort by the time they were made, so that the oldest are found without an index of their own.
            "DELETE FROM requests WHERE id IN (
                SELECT id FROM requests
                WHERE id < $1 AND state <> 'active' AND finished_at < to_timestamp($2::bigint / 1000.0)
                ORDER BY id
                LIMIT $3
                FOR UPDATE SKIP LOCKED)",
        )
        .bind(RequestId::at(before, [0; 10]).as_uuid())
        .bind(before.cast_signed())
        .bind(i64::from(limit))
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }
}
