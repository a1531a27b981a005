//! Connecting, and bringing the schema up to date.

use std::{
    str::FromStr,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use sqlx::{
    Connection,
    migrate::{MigrateError, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{Store, StoreError, clock::DatabaseClock, kept::Kept, recent::Recent};

/// How long a connection is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection that was idle for longer is tested before it is used.
pub(super) const UNTESTED: Duration = Duration::from_secs(1);

/// The numbered files of `migrations/`, built in.
static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// What the connections of every coordinator are called, before a number of its own.
pub(super) const APPLICATION: &str = "atelier-coordinator";

/// How to connect.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// `postgres://user:password@host/database`.
    pub url: String,
    /// Most connections at once.
    pub connections: u32,
}

/// A tenth of the usual sample: plans go by the indexes whatever is in them, and only have to know how large the tables are.
const COUNTED: &str = "SET LOCAL default_statistics_target = 10";

/// What statements look for. To look into the JSON of some thousand rows would take many times as long.
const COUNT: &str = "ANALYZE
    requests (id, tenant_id, idempotency_key, state, version, created_at, finished_at, max_time_ms, score_pass, trace_sha256),
    jobs (id, request_id, kind, state, attempt, fair_tag, not_before, lease_until, worker_id, stream_epoch, stream_sequence)";

impl Store {
    /// Prepares a pool; connects when a connection is first needed.
    pub fn open(options: &StoreOptions) -> Result<Self, StoreError> {
        let connect = PgConnectOptions::from_str(&options.url)?
            // Tells the coordinators of one database apart, for operators and for each other.
            .application_name(&format!("{APPLICATION} {:016x}", rand::random::<u64>()))
            // A coordinator that hangs in a transaction must not keep others out for ever.
            .options([
                ("idle_in_transaction_session_timeout", "10000"),
                ("statement_timeout", "20000"),
                ("lock_timeout", "10000"),
                // One plan for all times: it must go by the indexes although the tables were small when it was made, and is not worth compiling.
                ("plan_cache_mode", "force_generic_plan"),
                ("enable_seqscan", "off"),
                ("jit", "off"),
            ]);
        let pool = PgPoolOptions::new()
            .max_connections(options.connections)
            .acquire_timeout(PATIENCE)
            // One that was used just now needs no test, which would take as long as many a statement.
            .test_before_acquire(false)
            .before_acquire(|connection, used| {
                Box::pin(async move {
                    if used.idle_for > UNTESTED {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .connect_lazy_with(connect);
        Ok(Self {
            pool,
            recent: Recent::default(),
            clock: DatabaseClock::default(),
            saving: Kept::new(options.connections),
            accepting: Kept::new(options.connections),
            others: Arc::new(AtomicBool::new(true)),
        })
    }

    /// Applies what is missing of the schema, under an advisory lock; refuses a schema that is newer than this program.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        // Waiting for another one who migrates, and migrating itself, may take as long as they take.
        let patient = ["statement_timeout", "lock_timeout"].map(|limit| (limit, "0"));
        let options = (*self.pool.connect_options()).clone().options(patient);
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(PATIENCE)
            .connect_lazy_with(options);
        let migrated = MIGRATIONS.run(&pool).await;
        // Lets go of the lock, whatever happened.
        pool.close().await;
        migrated.map_err(|error| match error {
            MigrateError::VersionMissing(found) => StoreError::Newer {
                found,
                known: latest(),
            },
            error => error.into(),
        })
    }

    /// Counts the rows anew when the tables have grown much since that was done last: autovacuum looks once a minute, a new farm doubles within
    /// seconds, and plans from before would go on to use whatever index was good enough for a few rows.
    pub async fn count_rows_anew(&self) -> Result<(), StoreError> {
        let grown: bool = sqlx::query_scalar(
            "SELECT bool_or(pg_relation_size(c.oid) / 8192 > 2 * greatest(c.relpages, 8)) FROM pg_class c
             WHERE c.oid IN ('requests'::regclass, 'jobs'::regclass)",
        )
        .fetch_one(&self.pool)
        .await?;
        if grown {
            let mut transaction = self.pool.begin().await?;
            sqlx::query(COUNTED).execute(&mut *transaction).await?;
            sqlx::query(COUNT).execute(&mut *transaction).await?;
            transaction.commit().await?;
        }
        Ok(())
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }
}

/// Version of the last migration that is built in.
fn latest() -> i64 {
    MIGRATIONS.iter().map(|one| one.version).max().unwrap_or(0)
}
