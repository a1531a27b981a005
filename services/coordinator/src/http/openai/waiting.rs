//! Waiting for pictures: until each request ended, the time is over, the coordinator stops, or the caller is gone.

use std::time::Duration;

use atelier_proto::{
    ArtifactRef, RequestId, TenantId,
    http::{RequestState, RequestView},
};
use futures::future::try_join_all;

use super::Refusal;
use crate::{
    farm::{Farm, Watch},
    http::Api,
    operations::{
        images::{drop_all, new_ids},
        look::look,
        submit::Submitted,
    },
};

/// A request is looked at this often although nobody said that it changed.
const SWEEP: Duration = Duration::from_secs(2);

/// Requests that a caller waits for. Dropped before their end, it cancels them: whoever waited is gone. Those of a caller that named an
/// idempotency key go on, since it can come again for them.
pub struct Held {
    farm: Farm,
    tenant: TenantId,
    ids: Vec<RequestId>,
    /// The request of the first picture.
    first: Option<RequestId>,
    /// Whether the caller can come again for them.
    goes_on: bool,
}

/// A picture that was drawn.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// Its request.
    pub request: RequestId,
    /// Its seed.
    pub seed: u64,
    /// The file.
    pub image: ArtifactRef,
}

impl Held {
    /// Holds what was submitted just now.
    pub fn new(farm: &Farm, tenant: TenantId, submitted: &[Submitted], has_key: bool) -> Self {
        Self {
            farm: farm.clone(),
            tenant,
            first: submitted.first().map(|one| one.view.id),
            goes_on: has_key,
            ids: match has_key {
                true => Vec::new(),
                false => new_ids(submitted),
            },
        }
    }

    /// They ended well: there is nothing to cancel.
    pub fn release(mut self) {
        self.ids.clear();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let ids = std::mem::take(&mut self.ids);
        if ids.is_empty() {
            return;
        }
        let (farm, tenant) = (self.farm.clone(), self.tenant);
        self.farm.life.track(async move {
            drop_all(&farm, tenant, ids, "canceled: its caller waits no longer").await;
        });
    }
}

/// Waits for all; the first that ends without a picture ends the wait.
pub async fn all(
    api: &Api,
    tenant: TenantId,
    submitted: &[Submitted],
    held: &Held,
) -> Result<Vec<Drawn>, Refusal> {
    let waits = submitted
        .iter()
        .map(|one| one_of(&api.farm, tenant, one.view.id));
    bounded(api, held, try_join_all(waits)).await
}

/// Waits for `pictures` as long as a call may, or until the coordinator stops.
pub async fn bounded<T>(
    api: &Api,
    held: &Held,
    pictures: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    let longest = api.settings.longest_wait;
    let refusal = tokio::select! {
        done = pictures => return done,
        () = tokio::time::sleep(longest) => Refusal::too_slow(longest.as_secs(), held.goes_on),
        () = api.stop.cancelled() => Refusal::stopping(),
    };
    Err(match held.first {
        Some(id) => refusal.about(id),
        None => refusal,
    })
}

async fn one_of(farm: &Farm, tenant: TenantId, id: RequestId) -> Result<Drawn, Refusal> {
    // Before the first look, so that no change falls between.
    let mut watch = farm.changes.watch(id);
    loop {
        if let Some(drawn) = ended(farm, tenant, id).await? {
            return Ok(drawn);
        }
        next(&mut watch).await;
    }
}

/// Waits until it may have changed.
pub async fn next(watch: &mut Watch) {
    tokio::select! {
        () = watch.changed() => {}
        () = tokio::time::sleep(SWEEP) => {}
    }
}

/// The picture of a request that ended; none while it is worked on.
pub async fn ended(farm: &Farm, tenant: TenantId, id: RequestId) -> Result<Option<Drawn>, Refusal> {
    match look(farm, tenant, id).await {
        Ok(Some(view)) => outcome(&view),
        Ok(None) => Err(Refusal::failed("it was deleted").about(id)),
        Err(error) if error.is_away() => {
            tracing::warn!(request = %id, %error, "a request was not looked at");
            Ok(None)
        }
        Err(error) => Err(Refusal::from(error).about(id)),
    }
}

fn outcome(view: &RequestView) -> Result<Option<Drawn>, Refusal> {
    let reason = view.reason.as_deref().unwrap_or("nobody knows why");
    match (view.state, view.image) {
        (RequestState::Active, _) => Ok(None),
        (RequestState::Succeeded, Some(image)) => Ok(Some(Drawn {
            request: view.id,
            seed: view.seed,
            image,
        })),
        (RequestState::Canceled, _) => Err(Refusal::canceled(reason).about(view.id)),
        (RequestState::Succeeded | RequestState::Failed, _) => {
            Err(Refusal::failed(reason).about(view.id))
        }
    }
}
