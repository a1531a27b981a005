//! What coordinators tell each other with their commits.

use std::sync::atomic::Ordering;

use atelier_proto::RequestId;
use sqlx::{Postgres, Transaction, postgres::PgListener};

use super::{Store, StoreError, pool::APPLICATION};

/// Channel that says that some job became ready. No payload.
const READY: &str = "atelier_ready";
/// Channel that names requests that changed: their ids, separated by commas.
const CHANGED: &str = "atelier_changed";
/// Channel that says that one more coordinator listens. No payload.
const JOINED: &str = "atelier_joined";
/// Ids in one notice: a payload may have 8,000 bytes, an id has 36 and a comma.
const IDS: usize = 200;

/// What was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The connection was lost and stands again; anything may have been told meanwhile.
    Missed,
    /// Another coordinator begins to listen, or this one.
    Joined,
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
        listener.listen_all([READY, CHANGED, JOINED]).await?;
        sqlx::query("SELECT pg_notify($1, '')")
            .bind(JOINED)
            .execute(&self.pool)
            .await?;
        Ok(Notices(listener))
    }

    /// Whether others may listen; unless it is sure that nobody does, everything is told.
    pub fn others(&self) -> bool {
        self.others.load(Ordering::Relaxed)
    }

    /// Looks whether other coordinators are connected to this database.
    pub async fn look_for_others(&self) -> Result<(), StoreError> {
        let coordinators: i64 = sqlx::query_scalar(
            "SELECT count(DISTINCT application_name) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name LIKE $1 || '%'",
        )
        .bind(APPLICATION)
        .fetch_one(&self.pool)
        .await?;
        let alone = coordinators == 1;
        if alone && self.others() {
            // What others changed before they went is not what is in memory, and from now on memory is believed.
            self.recent.clear();
        }
        self.others.store(!alone, Ordering::Relaxed);
        Ok(())
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
            Some(told) if told.channel() == JOINED => Notice::Joined,
            Some(_) => Notice::Ready,
        })
    }
}

/// What is told with a commit.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    channels: Vec<&'static str>,
    payloads: Vec<String>,
}

impl Told {
    /// That these requests changed, and whether some job became ready.
    pub fn new(changed: &[RequestId], ready: bool) -> Self {
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
        Self { channels, payloads }
    }

    /// As two arrays of equal length, for `pg_notify`.
    pub fn columns(&self) -> (&[&'static str], &[String]) {
        (&self.channels, &self.payloads)
    }
}

/// Tells everybody, with the commit of `transaction`.
pub(super) async fn notify(
    transaction: &mut Transaction<'static, Postgres>,
    changed: &[RequestId],
    ready: bool,
) -> Result<(), StoreError> {
    let told = Told::new(changed, ready);
    if told.channels.is_empty() {
        return Ok(());
    }
    sqlx::query("SELECT pg_notify(n.channel, n.payload) FROM unnest($1::text[], $2::text[]) AS n(channel, payload)")
        .bind(&told.channels)
        .bind(&told.payloads)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}
