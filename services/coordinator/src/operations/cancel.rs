//! Stopping a request.

use atelier_domain::Event;
use atelier_proto::RequestId;

use super::settle::settle;
use crate::{farm::Farm, store::StoreError};

/// Cancels a request. One that ended already stays as it is; false when there is no such request.
pub async fn cancel(farm: &Farm, id: RequestId) -> Result<bool, StoreError> {
    let mut unit = farm.store.begin(&[id]).await?;
    if unit.request(id).is_none() {
        return Ok(false);
    }
    let reason = "canceled by the user".to_owned();
    if unit
        .apply(id, Event::Canceled { reason }, &farm.policy)
        .is_ok()
    {
        let committed = unit.commit().await?;
        settle(farm, &[id], committed).await;
    }
    Ok(true)
}
