//! Secrets that all coordinators of a farm share.

use super::{Store, StoreError};

impl Store {
    /// The secret called `name`; `fresh` becomes it when there is none yet. Whoever comes first makes it, and all others get that one.
    pub async fn secret(&self, name: &str, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        let value = match self.known_secret(name).await? {
            Some(value) => value,
            None => {
                sqlx::query(
                    "INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                )
                .bind(name)
                .bind(fresh.as_slice())
                .execute(&self.pool)
                .await?;
                self.known_secret(name).await?.unwrap_or_default()
            }
        };
        value.try_into().map_err(|value: Vec<u8>| StoreError::Row {
            table: "secrets",
            column: "value",
            row: uuid::Uuid::nil(),
            reason: format!("{name} has {} bytes instead of 32", value.len()),
        })
    }
    async fn known_secret(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(
            sqlx::query_scalar("SELECT value FROM secrets WHERE name = $1")
                .bind(name)
                .fetch_optional(&self.pool)
                .await?,
        )
    }
}
