//! Stopping a request.

use atelier_domain::Event;
use atelier_proto::{RequestId, TenantId};

use super::settle::settle;
use crate::{farm::Farm, store::StoreError};

/// Cancels a request of a tenant. One that ended already stays as it is; false when the tenant has no such request.
pub async fn cancel(farm: &Farm, tenant: TenantId, id: RequestId) -> Result<bool, StoreError> {
    cancel_because(farm, tenant, id, "canceled by the user").await
}

/// The same for another reason.
pub async fn cancel_because(
    farm: &Farm,
    tenant: TenantId,
    id: RequestId,
    reason: &str,
) -> Result<bool, StoreError> {
    // Nothing of another tenant is even locked. Whose a request is never changes, so that no lock is needed to know.
    if !farm.store.has(tenant, id).await? {
        return Ok(false);
    }
    let mut unit = farm.store.begin(&[id]).await?;
    if unit.request(id).is_none() {
        return Ok(false);
    }
    let reason = reason.to_owned();
    if unit
        .apply(id, Event::Canceled { reason }, &farm.policy)
        .is_ok()
    {
        let committed = unit.commit().await?;
        settle(farm, &[id], committed).await;
    }
    Ok(true)
}

/// Takes out of the stream what this coordinator put there for a request that was canceled, so that nobody begins it.
pub async fn withdraw(farm: &Farm, id: RequestId) -> Result<(), StoreError> {
    if farm.posted.is_empty() {
        return Ok(());
    }
    for job in farm.store.canceled_jobs(id).await? {
        if let Some(place) = farm.posted.take(job) {
            farm.withdraw(place).await;
        }
    }
    Ok(())
}
