//! Work that one coordinator does for all of them.

use sqlx::{Connection, Postgres, pool::PoolConnection};

use super::{Store, StoreError};

/// Held by the coordinator that does something for all. Another one may begin as soon as this is dropped, or its process is gone or hangs.
#[derive(Debug)]
pub struct Lead(PoolConnection<Postgres>);

/// PostgreSQL ends the session, and with it the lead, of a coordinator that is silent for this long.
const SILENCE: &str = "SET idle_session_timeout = '30s'";

impl Store {
    /// Begins to lead `what`; none while another coordinator does. It takes one connection of the pool for as long as it lasts.
    pub async fn lead(&self, what: &str) -> Result<Option<Lead>, StoreError> {
        let mut connection = self.pool.acquire().await?;
        // One number for all coordinators of this database, held by the session.
        let leads: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock(hashtext($1))")
            .bind(what)
            .fetch_one(&mut *connection)
            .await?;
        if !leads {
            return Ok(None);
        }
        // The lock must never come back into the pool.
        connection.close_on_drop();
        sqlx::query(SILENCE).execute(&mut *connection).await?;
        Ok(Some(Lead(connection)))
    }
}

impl Lead {
    /// Says that this coordinator still leads: the lock lives as long as its session. After an error it leads no more.
    pub async fn keep(&mut self) -> Result<(), StoreError> {
        Ok(self.0.ping().await?)
    }
}
