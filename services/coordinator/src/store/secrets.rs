//! Secrets that all coordinators of a farm share.

use super::{Store, StoreError};

impl Store {
    /// The secret called `name`; `fresh` becomes it when there is none yet. Whoever comes first makes it, and all others get that one.
    pub async fn secret(&self, name: &str, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        sqlx::query("INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(name)
            .bind(fresh.as_slice())
            .execute(&self.pool)
            .await?;
        let value: Vec<u8> = sqlx::query_scalar("SELECT value FROM secrets WHERE name = $1")
            .bind(name)
            .fetch_one(&self.pool)
            .await?;
        value.try_into().map_err(|value: Vec<u8>| StoreError::Row {
            table: "secrets",
            column: "value",
            row: uuid::Uuid::nil(),
            reason: format!("{name} has {} bytes instead of 32", value.len()),
        })
    }
}
