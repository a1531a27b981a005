//! Several pictures of one wish: as many requests, which are accepted together or not at all.

use atelier_domain::{Graph, NewRequest};
use atelier_platform::artifacts;
use atelier_proto::{
    ArtifactRef, RequestId, Sha256, TenantId, TraceContext,
    http::{SubmitRequest, UploadedReference},
    job::{NamedReference, Think},
};
use futures::future::join_all;
use tokio::sync::oneshot;
use tracing::Instrument;

use super::{
    cancel::cancel_because,
    direct_plan,
    submit::{self, DEFAULT_ROUNDS, SubmitError, Submitted},
};
use crate::{
    farm::{Arrival, Farm},
    store::Submission,
};

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The request of each picture; of pictures of its own only their names count. Its seed is that of the first; the others follow.
    pub request: SubmitRequest,
    /// How many.
    pub n: u32,
    /// The user's pictures, stored.
    pub pictures: Vec<NamedReference>,
    /// Digest of what was asked for.
    pub body_sha256: Sha256,
    /// The caller's own name for this call.
    pub idempotency_key: Option<String>,
    /// The caller's trace.
    pub brought: Option<TraceContext>,
}

/// Why requests of a call are canceled that was not accepted as a whole.
const NOT_ALL: &str = "canceled: not all of its call were accepted";
/// Most times that one key begins anew after it was not accepted as a whole.
const MOST_TURNS: u32 = 32;

/// What all requests of a call have in common, stored.
struct Common {
    direct_plan: ArtifactRef,
    given: Option<Graph>,
    /// Seed of the first.
    seed: u64,
}

/// Accepts all of `wanted`, in the order of their seeds; when one is not accepted, those that were are canceled. A call that comes again with its
/// key after that begins anew.
pub async fn submit_all(
    farm: &Farm,
    tenant: TenantId,
    wanted: Wanted,
) -> Result<Vec<Submitted>, SubmitError> {
    submit::check(&wanted.request)?;
    let prompt = &wanted.request.prompt;
    let given = wanted.request.plan.as_deref().map(submit::given);
    let (given, direct_plan) = match (given.transpose()?, wanted.request.think) {
        (Some((graph, json)), _) => (Some(graph), direct_plan::put_given(farm, json).await?),
        (None, Think::Off) => (None, direct_plan::put(farm, prompt).await?),
        (None, Think::Fast | Think::Full) => (None, direct_plan::describe(prompt)),
    };
    let common = Common {
        direct_plan,
        given,
        seed: wanted.request.seed.unwrap_or_else(|| farm.ids.seed()),
    };
    for turn in 0..MOST_TURNS {
        let all = submit_turn(farm, tenant, &wanted, &common, turn).await?;
        if !all.iter().any(is_left_over) {
            return Ok(all);
        }
        drop_all(farm, tenant, new_ids(&all), NOT_ALL).await;
    }
    Err(SubmitError::KeyTaken)
}

/// The same for pictures of the user that still have to be decoded and stored: once, however many requests there are.
pub async fn submit_all_with_pictures(
    farm: &Farm,
    tenant: TenantId,
    mut wanted: Wanted,
) -> Result<Vec<Submitted>, SubmitError> {
    submit::check(&wanted.request)?;
    let uploaded = std::mem::take(&mut wanted.request.references);
    wanted.pictures = submit::store_pictures(farm, uploaded).await?;
    let named = |picture: &NamedReference| UploadedReference {
        name: picture.name.clone(),
        data: String::new(),
    };
    wanted.request.references = wanted.pictures.iter().map(named).collect();
    let own = farm.clone();
    to_the_end(farm, async move { submit_all(&own, tenant, wanted).await }).await?
}

/// Does work to its end, whoever still waits for it, and the end of the process waits for it, too: a caller that goes away in the middle of a
/// commit leaves nothing half done. What comes of it when nobody waits any more is dropped at its end.
pub async fn to_the_end<T: Send + 'static>(
    farm: &Farm,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, SubmitError> {
    let (answer, answered) = oneshot::channel();
    let work = Arrival::carry(work).in_current_span();
    farm.life.track(async move {
        let _ = answer.send(work.await);
    });
    // It panicked.
    answered.await.map_err(|_| SubmitError::NotConfirmed)
}

/// Whether it is of an earlier turn.
fn is_left_over(one: &Submitted) -> bool {
    one.view.reason.as_deref() == Some(NOT_ALL)
}

async fn submit_turn(
    farm: &Farm,
    tenant: TenantId,
    wanted: &Wanted,
    common: &Common,
    turn: u32,
) -> Result<Vec<Submitted>, SubmitError> {
    let submissions =
        (0..wanted.n).map(|index| submission(farm, tenant, wanted, common, (index, turn)));
    let accepted = join_all(submissions.map(|one| submit::enqueue(farm, one))).await;
    let mut all = Vec::with_capacity(accepted.len());
    let mut refused = None;
    for one in accepted {
        match one {
            Ok(one) => all.push(one),
            Err(error) => refused = Some(error),
        }
    }
    match refused {
        None => Ok(all),
        Some(error) => {
            drop_all(farm, tenant, new_ids(&all), NOT_ALL).await;
            Err(error)
        }
    }
}

fn submission(
    farm: &Farm,
    tenant: TenantId,
    wanted: &Wanted,
    common: &Common,
    (index, turn): (u32, u32),
) -> Submission {
    let Wanted { request, .. } = wanted;
    let key = wanted.idempotency_key.as_deref();
    Submission {
        tenant,
        start: NewRequest {
            id: farm.ids.request(),
            seed: common.seed.wrapping_add(u64::from(index)),
            think: request.think,
            max_rounds: request.max_rounds.unwrap_or(DEFAULT_ROUNDS),
            candidates: request.candidates.unwrap_or(1),
            limits: submit::limits(request),
            direct_plan: common.direct_plan,
            given: common.given.clone(),
            plan_only: false,
        },
        idempotency_key: key.map(|key| own_key(key, index, turn)),
        body_sha256: wanted.body_sha256,
        brought: wanted.brought,
        model: farm.model.to_string(),
        prompt: request.prompt.clone(),
        priority: request.priority,
        steps: request.steps,
        size: request.size,
        think_tokens: request.think_tokens,
        use_cache: request.cache.unwrap_or(true),
        pictures: wanted.pictures.clone(),
        webhook: None,
    }
}

/// Cancels requests; what cannot be canceled now is only logged.
pub async fn drop_all(farm: &Farm, tenant: TenantId, ids: Vec<RequestId>, reason: &str) {
    for id in ids {
        if let Err(error) = cancel_because(farm, tenant, id, reason).await {
            tracing::warn!(request = %id, %error, "a request that nobody waits for goes on");
        }
    }
}

/// The requests that did not exist before.
pub fn new_ids(all: &[Submitted]) -> Vec<RequestId> {
    let new = all.iter().filter(|one| one.new);
    new.map(|one| one.view.id).collect()
}

/// The idempotency key of one picture of a call. No caller of the other endpoints uses it by accident.
fn own_key(key: &str, index: u32, turn: u32) -> String {
    let digest = artifacts::digest(format!("picture {index} of {key}, turn {turn}").as_bytes());
    format!("images-{digest}")
}
