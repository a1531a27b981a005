//! Connections that are kept for what one loop does all the time, one statement after the other.
//!
//! The pool tests each connection that comes back to it: two more messages, and two processes woken up, for every statement.

use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use sqlx::{PgConnection, PgPool, Postgres, pool::PoolConnection};

use super::{StoreError, pool::UNTESTED};

/// Of fewer connections none is kept from the others.
const ENOUGH: u32 = 4;

/// One connection. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Kept(Option<Arc<Mutex<Option<Idle>>>>);

#[derive(Debug)]
struct Idle {
    connection: PoolConnection<Postgres>,
    since: Instant,
}

/// A connection in use. Dropped, it goes back to the pool, which finds out whether it is still good.
#[derive(Debug)]
pub(super) struct Lent {
    connection: PoolConnection<Postgres>,
    home: Kept,
}

impl Kept {
    /// None yet; `connections` is how many there may be in all.
    pub fn new(connections: u32) -> Self {
        Self((connections >= ENOUGH).then(Arc::default))
    }

    /// The kept connection; another one of the pool while that is in use, or was not for so long that it has to be tested.
    pub async fn lend(&self, pool: &PgPool) -> Result<Lent, StoreError> {
        let idle = self.lock().and_then(|mut idle| idle.take());
        let connection = match idle {
            Some(idle) if idle.since.elapsed() < UNTESTED => idle.connection,
            _ => pool.acquire().await?,
        };
        Ok(Lent {
            connection,
            home: self.clone(),
        })
    }

    fn lock(&self) -> Option<MutexGuard<'_, Option<Idle>>> {
        // Nothing under the lock can panic halfway through a change.
        let home = self.0.as_ref()?;
        Some(home.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Lent {
    /// All went well: it is kept for the next time, unless another one is.
    pub fn keep(self) {
        let Self { connection, home } = self;
        if let Some(mut kept) = home.lock() {
            kept.get_or_insert(Idle {
                connection,
                since: Instant::now(),
            });
        }
    }
}

impl Deref for Lent {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}
