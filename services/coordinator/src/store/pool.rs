//! Connecting, and bringing the schema up to date.

use std::{str::FromStr, time::Duration};

use sqlx::{
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use super::{Store, StoreError};

/// The numbered files of `migrations/`, built in.
static MIGRATIONS: Migrator = sqlx::migrate!("../../migrations");

/// How to connect.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// `postgres://user:password@host/database`.
    pub url: String,
    /// Most connections at once.
    pub connections: u32,
}

impl Store {
    /// Prepares a pool; connects when a connection is first needed.
    pub fn open(options: &StoreOptions) -> Result<Self, StoreError> {
        let connect = PgConnectOptions::from_str(&options.url)?
            .application_name("atelier-coordinator")
            // A coordinator that hangs in a transaction must not keep others out for ever.
            .options([
                ("idle_in_transaction_session_timeout", "10000"),
                ("statement_timeout", "20000"),
                ("lock_timeout", "10000"),
            ]);
        let pool = PgPoolOptions::new()
            .max_connections(options.connections)
            .acquire_timeout(Duration::from_secs(5))
            .connect_lazy_with(connect);
        Ok(Self { pool })
    }

    /// Applies what is missing of the schema, under an advisory lock.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        Ok(MIGRATIONS.run(&self.pool).await?)
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }
}
