//! Webhooks: tells the ends of requests to whoever asked for it. Several coordinators share the work: each takes what nobody else has taken.

use std::{collections::HashMap, time::Duration};

use atelier_proto::TenantId;
use tokio::{
    task::{Id, JoinError, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{AFTER_ERROR, LONGEST_TURN, pause};
use crate::{
    farm::Farm,
    operations::webhooks::{AT_ONCE, take, tell},
};

/// Ends that other coordinators saw, and tries whose time has come, are found by looking this often.
const LOOK: Duration = Duration::from_secs(2);
/// The least time between two looks, however many requests end.
const BREATH: Duration = Duration::from_millis(50);

/// Runs until `stop`; what was begun then is tried again by whoever looks next.
pub async fn run(farm: Farm, stop: CancellationToken) {
    let pulse = farm.pulses.watch("webhooks", LONGEST_TURN);
    let mut telling = JoinSet::new();
    // Whose each of them is.
    let mut tenants: HashMap<Id, TenantId> = HashMap::new();
    let mut looked = Instant::now();
    loop {
        let woken = async {
            tokio::select! {
                () = stop.cancelled() => return false,
                () = farm.webhooks.changed() => {}
                // There is room for another one, of that tenant perhaps.
                Some(told) = telling.join_next_with_id() => forget(&mut tenants, told),
                () = tokio::time::sleep(LOOK) => {}
            }
            tokio::select! {
                () = stop.cancelled() => false,
                () = tokio::time::sleep_until(looked + BREATH) => true,
            }
        };
        if !pulse.idle(woken).await {
            return;
        }
        while let Some(told) = telling.try_join_next_with_id() {
            forget(&mut tenants, told);
        }
        let room = AT_ONCE.saturating_sub(tenants.len());
        if room == 0 {
            continue;
        }
        looked = Instant::now();
        let mut busy: HashMap<TenantId, u32> = HashMap::new();
        for tenant in tenants.values() {
            *busy.entry(*tenant).or_default() += 1;
        }
        match take(&farm, room, &busy).await {
            Ok(due) => {
                for one in due {
                    let (farm, tenant) = (farm.clone(), one.tenant);
                    let task = telling.spawn(async move { tell(&farm, &one).await });
                    tenants.insert(task.id(), tenant);
                }
            }
            Err(error) => {
                tracing::warn!(%error, "webhooks");
                pause(&stop, AFTER_ERROR).await;
            }
        }
    }
}

/// One is told, or could not be.
fn forget(tenants: &mut HashMap<Id, TenantId>, told: Result<(Id, ()), JoinError>) {
    let id = match told {
        Ok((id, ())) => id,
        Err(error) => {
            tracing::error!(%error, "webhooks");
            error.id()
        }
    };
    tenants.remove(&id);
}
