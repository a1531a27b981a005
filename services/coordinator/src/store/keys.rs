//! API keys and the tenants that they stand for.

use atelier_proto::{Sha256, TenantId};
use serde::Serialize;
use sqlx::FromRow;
use uuid::Uuid;

use super::{Store, StoreError};

/// A key as people see it; the key itself is kept nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow)]
pub struct KeyRecord {
    /// Names the key without telling it.
    pub id: Uuid,
    /// Name of its tenant.
    pub tenant: String,
    /// What it is for.
    pub note: String,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// Since when it is refused, RFC 3339.
    pub revoked_at: Option<String>,
}

/// A tenant as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, FromRow)]
pub struct TenantRecord {
    /// Its name.
    pub name: String,
    /// Its share.
    pub weight: i32,
    /// Most active requests; none is the coordinator's own limit.
    pub queue_limit: Option<i64>,
    /// Requests that are being worked on or wait.
    pub active: i64,
    /// When it was made, RFC 3339.
    pub created_at: String,
}

/// Text of a time as RFC 3339 has it, to the second.
macro_rules! rfc3339 {
    ($column:literal) => {
        concat!(
            "to_char(",
            $column,
            " AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
        )
    };
}

impl Store {
    /// Id and tenant of the key with this digest; none when there is no such key or it was revoked.
    pub async fn key(&self, key: Sha256) -> Result<Option<(Uuid, TenantId)>, StoreError> {
        let found: Option<(Uuid, Uuid)> = sqlx::query_as(
            "SELECT id, tenant_id FROM api_keys WHERE key_sha256 = $1 AND revoked_at IS NULL",
        )
        .bind(key.0.as_slice())
        .fetch_optional(&self.pool)
        .await?;
        Ok(found.map(|(id, tenant)| (id, TenantId::from_uuid(tenant))))
    }

    /// Whose the key called `id` is; none when there is no such key or it was revoked.
    pub async fn tenant_of_key_id(&self, id: Uuid) -> Result<Option<TenantId>, StoreError> {
        let tenant: Option<Uuid> = sqlx::query_scalar(
            "SELECT tenant_id FROM api_keys WHERE id = $1 AND revoked_at IS NULL",
        )
        .bind(id)
        .fetch_optional(&self.pool)
        .await?;
        Ok(tenant.map(TenantId::from_uuid))
    }

    /// Name of a tenant.
    pub async fn tenant_name(&self, tenant: TenantId) -> Result<String, StoreError> {
        Ok(sqlx::query_scalar("SELECT name FROM tenants WHERE id = $1")
            .bind(tenant.as_uuid())
            .fetch_one(&self.pool)
            .await?)
    }

    /// Adds a key called `id` for the tenant `name`, which is made as `tenant` unless it is there.
    pub async fn create_key(
        &self,
        id: Uuid,
        key: Sha256,
        tenant: TenantId,
        name: &str,
        note: &str,
    ) -> Result<(), StoreError> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("INSERT INTO tenants (id, name) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
            .bind(tenant.as_uuid())
            .bind(name)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "INSERT INTO tenant_queues (tenant_id) SELECT id FROM tenants WHERE name = $1 ON CONFLICT DO NOTHING",
        )
        .bind(name)
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "INSERT INTO api_keys (id, tenant_id, key_sha256, note) SELECT $1, id, $2, $3 FROM tenants WHERE name = $4",
        )
        .bind(id)
        .bind(key.0.as_slice())
        .bind(note)
        .bind(name)
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    /// Every key, oldest first.
    pub async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        const ALL: &str = concat!(
            "SELECT k.id, t.name AS tenant, k.note, ",
            rfc3339!("k.created_at"),
            " AS created_at, ",
            rfc3339!("k.revoked_at"),
            " AS revoked_at FROM api_keys k JOIN tenants t ON t.id = k.tenant_id ORDER BY k.id"
        );
        Ok(sqlx::query_as(ALL).fetch_all(&self.pool).await?)
    }

    /// Refuses a key from now on; false when there is none with this id. A second time changes nothing.
    pub async fn revoke_key(&self, id: Uuid) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1",
        )
        .bind(id)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Every tenant by name.
    pub async fn tenants(&self) -> Result<Vec<TenantRecord>, StoreError> {
        const ALL: &str = concat!(
            "SELECT t.name, t.weight, t.queue_limit, ",
            rfc3339!("t.created_at"),
            " AS created_at, ",
            "(q.accepted - coalesce((SELECT sum(e.ended) FROM tenant_endings e WHERE e.tenant_id = t.id), 0))::bigint AS active
             FROM tenants t JOIN tenant_queues q ON q.tenant_id = t.id
             ORDER BY t.name"
        );
        Ok(sqlx::query_as(ALL).fetch_all(&self.pool).await?)
    }

    /// Changes what is given of a tenant: its weight, and its limit (a limit of none is the coordinator's own). False when there is none of
    /// this name.
    pub async fn set_tenant(
        &self,
        name: &str,
        weight: Option<u32>,
        queue_limit: Option<Option<u64>>,
    ) -> Result<bool, StoreError> {
        let done = sqlx::query(
            "UPDATE tenants
             SET weight = coalesce($2, weight), queue_limit = CASE WHEN $3 THEN $4 ELSE queue_limit END
             WHERE name = $1",
        )
        .bind(name)
        .bind(weight.map(u32::cast_signed))
        .bind(queue_limit.is_some())
        .bind(queue_limit.flatten().map(u64::cast_signed))
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }
}
