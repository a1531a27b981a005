//! Which artifacts a request names: what may be shown to whoever may see the request.

use atelier_proto::{ArtifactRef, MediaType, RequestId, Sha256, TenantId};
use sqlx::FromRow;

use super::{Store, StoreError};

#[derive(FromRow)]
struct NamedRow {
    is_picture: bool,
    bytes: i64,
}

impl Store {
    /// The artifact with this digest, when a request of the tenant names it: as its picture, plan or trace, as what one of its jobs made, or as
    /// what the user brought. None of what others name, whether it is stored or not.
    pub async fn named_artifact(
        &self,
        tenant: TenantId,
        id: RequestId,
        sha256: Sha256,
    ) -> Result<Option<ArtifactRef>, StoreError> {
        let row: Option<NamedRow> = sqlx::query_as(
            "WITH r AS (SELECT * FROM requests WHERE id = $1 AND tenant_id = $2)
             SELECT n.is_picture, n.bytes FROM (
                SELECT true AS is_picture, image_sha256 AS sha256, image_bytes AS bytes FROM r
                UNION ALL SELECT false, plan_sha256, plan_bytes FROM r
                UNION ALL SELECT false, trace_sha256, trace_bytes FROM r
                UNION ALL SELECT j.kind = 'render', j.artifact_sha256, j.artifact_bytes FROM r JOIN jobs j ON j.request_id = r.id
                UNION ALL SELECT true, decode(p->'picture'->>'sha256', 'hex'), (p->'picture'->>'bytes')::bigint
                    FROM r CROSS JOIN jsonb_array_elements(r.pictures) AS p
             ) AS n
             WHERE n.sha256 = $3
             LIMIT 1",
        )
        .bind(id.as_uuid())
        .bind(tenant.as_uuid())
        .bind(sha256.0.as_slice())
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| ArtifactRef {
            sha256,
            bytes: row.bytes.unsigned_abs(),
            media_type: if row.is_picture {
                MediaType::Png
            } else {
                MediaType::Json
            },
        }))
    }
}
