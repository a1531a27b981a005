//! A connection that is kept for what is saved without a transaction, which is what one loop does all the time, one statement after the other.
//!
//! The pool tests each connection that comes back to it: two more messages, and two processes woken up, for every statement.

use std::{sync::Arc, time::Instant};

use sqlx::{PgPool, Postgres, pool::PoolConnection};
use tokio::sync::Mutex;

use super::{
    StoreError,
    pool::UNTESTED,
    save::{Save, Saved},
};

/// Of fewer connections none is kept from the others.
const ENOUGH: u32 = 4;

/// The connection. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Writer(Option<Arc<Mutex<Option<Kept>>>>);

#[derive(Debug)]
struct Kept {
    connection: PoolConnection<Postgres>,
    used: Instant,
}

impl Writer {
    /// None yet; `connections` is how many there may be in all.
    pub fn new(connections: u32) -> Self {
        Self((connections >= ENOUGH).then(Arc::default))
    }

    /// Writes through the kept connection, or another one while that is in use.
    pub async fn write(&self, pool: &PgPool, save: Save<'_>) -> Result<Saved, StoreError> {
        let Some(mut kept) = self.0.as_ref().and_then(|kept| kept.try_lock().ok()) else {
            return save.write(pool).await;
        };
        let mut connection = match kept.take() {
            Some(kept) if kept.used.elapsed() < UNTESTED => kept.connection,
            // Goes back to the pool first, which tests what was idle for long.
            idle => {
                drop(idle);
                pool.acquire().await?
            }
        };
        let saved = save.write(&mut *connection).await?;
        // After an error it is the pool that says whether it is still good.
        *kept = Some(Kept {
            connection,
            used: Instant::now(),
        });
        Ok(saved)
    }
}
