//! Several pictures of one wish: as many requests, which are accepted together or not at all.

use atelier_domain::NewRequest;
use atelier_platform::artifacts;
use atelier_proto::{
    RequestId, Sha256, TenantId, TraceContext,
    http::SubmitRequest,
    job::{NamedReference, Think},
};
use futures::future::join_all;

use super::{
    cancel::cancel_because,
    direct_plan,
    submit::{self, SubmitError, Submitted},
};
use crate::{farm::Farm, store::Submission};

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

/// Accepts all of `wanted`, in the order of their seeds; when one is not accepted, those that were are canceled.
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
    let first = wanted.request.seed.unwrap_or_else(|| farm.ids.seed());
    let submissions = (0..wanted.n).map(|index| Submission {
        tenant,
        start: NewRequest {
            id: farm.ids.request(),
            seed: first.wrapping_add(u64::from(index)),
            think: wanted.request.think,
            max_rounds: wanted.request.max_rounds.unwrap_or(1),
            candidates: wanted.request.candidates.unwrap_or(1),
            limits: submit::limits(&wanted.request),
            direct_plan,
            given: given.clone(),
            plan_only: false,
        },
        idempotency_key: wanted
            .idempotency_key
            .as_deref()
            .map(|key| own_key(key, index)),
        body_sha256: wanted.body_sha256,
        brought: wanted.brought,
        model: farm.model.to_string(),
        prompt: prompt.clone(),
        priority: wanted.request.priority,
        steps: wanted.request.steps,
        size: wanted.request.size,
        use_cache: wanted.request.cache.unwrap_or(true),
        pictures: wanted.pictures.clone(),
        webhook: None,
    });
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
            let new = new_ids(&all);
            drop_all(
                farm,
                tenant,
                new,
                "canceled: not all of its call were accepted",
            )
            .await;
            Err(error)
        }
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
fn own_key(key: &str, index: u32) -> String {
    let digest = artifacts::digest(format!("picture {index} of {key}").as_bytes());
    format!("images-{digest}")
}
