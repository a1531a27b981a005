//! Finished requests in bulk: what a farm has behind it after months, written by SQL in seconds.

use anyhow::Result;
use sqlx::{Executor, PgConnection};

/// Writes `count` finished requests of the graph plan -> {one, two} -> out -> critique, older than any that the farm makes, of its newest
/// tenant, each with the first `jobs` of its five jobs. May be called again for more. The role must be a superuser: foreign keys are not checked,
/// they hold by construction.
pub async fn insert(database: &mut PgConnection, count: u64, jobs: u32) -> Result<()> {
    let before: i64 = sqlx::query_scalar("SELECT count(*) FROM requests")
        .fetch_one(&mut *database)
        .await?;
    database
        .execute("SET session_replication_role = replica; SET synchronous_commit = off")
        .await?;
    let (first, last) = (before, before + count.cast_signed() - 1);
    sqlx::query(REQUESTS)
        .bind(first)
        .bind(last)
        .execute(&mut *database)
        .await?;
    sqlx::query(JOBS)
        .bind(first)
        .bind(last)
        .bind(jobs.cast_signed())
        .execute(&mut *database)
        .await?;
    database
        .execute("RESET session_replication_role; RESET synchronous_commit")
        .await?;
    // As autovacuum does sooner or later: the planner knows the tables, and index-only scans need no heap.
    database.execute("VACUUM ANALYZE requests").await?;
    database.execute("VACUUM ANALYZE jobs").await?;
    Ok(())
}

/// `$1`..`$2` number the requests; their ids sort by that number, and as those of November 2023.
const REQUESTS: &str = "
    INSERT INTO requests (id, tenant_id, body_sha256, model, prompt, seed, think, priority, max_rounds, direct_plan_sha256, direct_plan_bytes,
                          created_at, state, round, plan_sha256, plan_bytes, plan_checks, image_sha256, image_bytes, image_round,
                          score_pass, score_fail, score_unknown, finished_at, trace_sha256, trace_bytes)
    SELECT (lpad(to_hex(1700000000000 + n), 12, '0') || '70008000' || substr(md5(n::text), 1, 12))::uuid,
           -- Of the tenant that is measured, where there is one.
           (SELECT id FROM tenants ORDER BY name = 'local', id LIMIT 1),
           digest, 'atelier-mini', 'a finished picture, number ' || n, n, 'fast', 'normal', 2, digest, 300,
           at, 'succeeded', 1, digest, 900, 1, digest, 20000, 1, 1, 0, 0, at + interval '5 seconds', digest, 3000
    FROM generate_series($1::bigint, $2::bigint) AS n,
         LATERAL (SELECT sha256(n::text::bytea) AS digest, to_timestamp(1700000000 + n / 1000.0) AS at) AS made";

/// The jobs of the same requests.
const JOBS: &str = "
    INSERT INTO jobs (id, request_id, position, kind, round, stage, op, inputs, seed, priority, made_at, state, attempt,
                      ready_at, artifact_sha256, artifact_bytes, score_pass, score_fail, score_unknown, device_ms, finished_at)
    SELECT (lpad(to_hex(1700000000000 + n), 12, '0') || '7' || lpad(to_hex(position), 3, '0') || '8000' || substr(md5(n::text), 1, 12))::uuid,
           (lpad(to_hex(1700000000000 + n), 12, '0') || '70008000' || substr(md5(n::text), 1, 12))::uuid,
           position, kind, 1, stage, op, inputs, n, 'normal', at, 'done', 1, at, digest, 900,
           CASE WHEN kind = 'critique' THEN 1 END, CASE WHEN kind = 'critique' THEN 0 END, CASE WHEN kind = 'critique' THEN 0 END,
           5, at + interval '5 seconds'
    FROM generate_series($1::bigint, $2::bigint) AS n,
         LATERAL (SELECT sha256(n::text::bytea) AS digest, to_timestamp(1700000000 + n / 1000.0) AS at) AS made,
         (VALUES (0, 'plan', NULL, NULL, '{}'::text[]), (1, 'render', 'one', 'generate', '{}'), (2, 'render', 'two', 'generate', '{}'),
                 (3, 'render', 'out', 'blend', '{one,two}'), (4, 'critique', NULL, NULL, '{}')) AS job(position, kind, stage, op, inputs)
    WHERE position < $3";
