//! All SQL of the farm. A [`Store`] is a pool; a [`Unit`] is one transaction on requests that are locked while it lives.
//!
//! Every write after a claim is fenced by the state (and, for jobs, the attempt) that was read, and must hit exactly the rows that it names.

mod claim;
mod clock;
mod columns;
mod detail;
mod history;
mod intake;
mod job_row;
mod kept;
mod keys;
mod lead;
mod leases;
mod named;
mod notices;
mod offer;
mod pool;
mod recent;
mod request_row;
mod retire;
mod retry;
mod save;
mod secrets;
mod trace;
mod unit;
mod view;
mod webhooks;

use std::sync::{Arc, atomic::AtomicBool};

use sqlx::PgPool;

pub use claim::{Backlog, Claimed, Room};
pub use detail::{Detail, Drawn};
pub use intake::{Accepted, Intake, Submission};
pub use keys::{KeyRecord, TenantRecord};
pub use lead::Lead;
pub use leases::{Extension, Phase, Place, Posted};
pub use notices::Notice;
pub use pool::StoreOptions;
pub use trace::{JobOutline, TraceOutline};
pub use unit::{Committed, Finding, Unit, Written};
pub use view::{Filter, JobCount, job_view, rfc3339};
pub use webhooks::{DueWebhook, Tried, WebhookOrder};

/// The database.
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
    recent: recent::Recent,
    clock: clock::DatabaseClock,
    /// For what reports and submits save.
    saving: kept::Kept,
    accepting: kept::Kept,
    /// Whether other coordinators may listen.
    others: Arc<AtomicBool>,
}

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// PostgreSQL failed or cannot be reached; another try may do better.
    #[error("PostgreSQL: {0}")]
    Database(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("migrations: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// The schema is of a later release than this program, which must not write to it.
    #[error(
        "the database holds migration {found}, and this release knows them up to {known}: a newer release was here, run that one"
    )]
    Newer {
        /// Version of the schema.
        found: i64,
        /// Latest version that is built in.
        known: i64,
    },
    /// A row holds what the farm never writes.
    #[error("table {table}, column {column}, row {row}: {reason}")]
    Row {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// Id of the row.
        row: uuid::Uuid,
        /// What is wrong.
        reason: String,
    },
    /// Somebody else changed a request between the look and the write. Nothing was changed; looking again does better.
    #[error("somebody else was faster")]
    Overtaken,
    /// What was to be written breaks a rule of the state machine. Nothing was changed.
    #[error("request {request}: {violation}")]
    Violation {
        /// The request.
        request: atelier_proto::RequestId,
        /// The rule.
        violation: atelier_domain::invariants::Violation,
    },
}

impl StoreError {
    /// Whether PostgreSQL is out of reach at the moment, as opposed to objecting to what was asked of it.
    pub fn is_away(&self) -> bool {
        let error = match self {
            Self::Database(error) => error,
            Self::Migrate(sqlx::migrate::MigrateError::Execute(error)) => error,
            _ => return false,
        };
        match error {
            // Class 57 is an operator's intervention, for example a shutdown or a start; 53 is a lack of resources, 08 of a connection.
            sqlx::Error::Database(refusal) => refusal.code().is_some_and(|code| {
                ["57", "53", "08"]
                    .iter()
                    .any(|class| code.starts_with(class))
            }),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => true,
            _ => false,
        }
    }

    /// Whether a table is not there: the schema was not brought up to date.
    pub fn is_missing_table(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::Database(refusal)) if refusal.code().as_deref() == Some("42P01"))
    }

    /// Whether somebody else was faster, so that doing it again on what is there now does better.
    pub fn is_overtaken(&self) -> bool {
        match self {
            Self::Overtaken => true,
            // Deadlock; serialization failure.
            Self::Database(sqlx::Error::Database(refusal)) => refusal
                .code()
                .is_some_and(|code| matches!(&*code, "40P01" | "40001")),
            _ => false,
        }
    }

    /// Whether what was to be written can never be, so that trying again is of no use.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Row { .. } | Self::Violation { .. } => true,
            // Class 22 is data that does not fit its type, 23 a row that breaks a constraint.
            Self::Database(sqlx::Error::Database(refusal)) => refusal
                .code()
                .is_some_and(|code| code.starts_with("22") || code.starts_with("23")),
            _ => false,
        }
    }
}
