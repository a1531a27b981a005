//! What waits, by kind: whether a job that becomes ready may be published at once without passing another.

use atelier_proto::job::JobKind;
use sqlx::FromRow;

use super::{Store, StoreError, view::kind};

/// What waits of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// The kind.
    pub kind: JobKind,
    /// Some job could be dispatched.
    pub ready: bool,
    /// Jobs that are dispatched and in no worker's hands.
    pub queued: u32,
}

#[derive(FromRow)]
struct BacklogRow {
    kind: String,
    ready: bool,
    queued: i64,
}

impl Store {
    /// Looks at every kind; costs what is queued, not what waits.
    pub async fn backlog(&self) -> Result<Vec<Backlog>, StoreError> {
        let rows: Vec<BacklogRow> = sqlx::query_as(
            "SELECT k.kind,
                    EXISTS (SELECT 1 FROM jobs j
                            WHERE j.kind = k.kind AND j.state = 'ready' AND j.not_before <= clock_timestamp()) AS ready,
                    (SELECT count(*) FROM jobs j
                     WHERE j.kind = k.kind AND j.state = 'dispatched' AND j.worker_id IS NULL) AS queued
             FROM (VALUES ('plan'), ('render'), ('critique')) AS k(kind)",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(Backlog {
                    kind: kind(&row.kind, uuid::Uuid::nil())?,
                    ready: row.ready,
                    queued: u32::try_from(row.queued).unwrap_or(u32::MAX),
                })
            })
            .collect()
    }
}
