//! What coordinators tell each other with their commits.

use atelier_proto::RequestId;
use sqlx::{Postgres, Transaction, postgres::PgListener};

use super::{Store, StoreError};

/// Channel that says that some job became ready. No payload.
const READY: &str = "atelier_ready";
/// Channel that names requests that changed: their ids, separated by commas.
const CHANGED: &str = "atelier_changed";
/// Ids in one notice: a payload may have 8,000 bytes, an id has 36 and a comma.
const IDS: usize = 200;

/// What was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The connection was lost and stands again; anything may have been told meanwhile.
    Missed,
    /// Some job became ready.
    Ready,
    /// These requests changed.
    Changed(Vec<RequestId>),
}

/// Hears the notices of all coordinators, its own too.
#[derive(Debug)]
pub struct Notices(PgListener);

impl Store {
    /// Begins to listen.
    pub async fn listen(&self) -> Result<Notices, StoreError> {
        let mut listener = PgListener::connect_with(&self.pool).await?;
        listener.listen_all([READY, CHANGED]).await?;
        Ok(Notices(listener))
    }
}

impl Notices {
    /// Waits for the next notice.
    pub async fn next(&mut self) -> Result<Notice, StoreError> {
        Ok(match self.0.try_recv().await? {
            None => Notice::Missed,
            Some(told) if told.channel() == CHANGED => {
                let ids = told.payload().split(',');
                Notice::Changed(ids.filter_map(|id| id.parse().ok()).collect())
            }
            Some(_) => Notice::Ready,
        })
    }
}

/// Tells everybody, with the commit of `transaction`.
pub(super) async fn notify(
    transaction: &mut Transaction<'static, Postgres>,
    changed: &[RequestId],
    ready: bool,
) -> Result<(), StoreError> {
    let mut payloads: Vec<String> = changed
        .chunks(IDS)
        .map(|ids| {
            let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
            ids.join(",")
        })
        .collect();
    let mut channels = vec![CHANGED; payloads.len()];
    if ready {
        channels.push(READY);
        payloads.push(String::new());
    }
    if channels.is_empty() {
        return Ok(());
    }
    sqlx::query("SELECT pg_notify(n.channel, n.payload) FROM unnest($1::text[], $2::text[]) AS n(channel, payload)")
        .bind(&channels)
        .bind(&payloads)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}
