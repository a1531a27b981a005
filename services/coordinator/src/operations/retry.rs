//! Asking again for what failed or was canceled: a new request with the same body, whose files are stored already.

use atelier_domain::NewRequest;
use atelier_proto::{RequestId, TenantId, TraceContext, http::RequestState, job::Think};

use super::{
    direct_plan::{self, LostPlan},
    submit::{self, SubmitError, Submitted},
};
use crate::{farm::Farm, store::Submission};

/// Why there is no new request.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// The tenant has no such request.
    #[error("there is no such request")]
    Unknown,
    /// It is still worked on, or has its picture.
    #[error("the request is {}", .0.as_str())]
    NotOver(RequestState),
    /// The plan that was given is gone.
    #[error(transparent)]
    Lost(#[from] LostPlan),
    /// The new one was not accepted.
    #[error(transparent)]
    Submit(#[from] SubmitError),
}

/// Asks again for `id`; returns the new request once it is durable. With the same idempotency key a second call finds the first one's request.
pub async fn retry(
    farm: &Farm,
    tenant: TenantId,
    id: RequestId,
    idempotency_key: Option<String>,
    brought: Option<TraceContext>,
) -> Result<Submitted, RetryError> {
    let asked = farm.store.asked(tenant, id).await;
    let asked = asked
        .map_err(SubmitError::from)?
        .ok_or(RetryError::Unknown)?;
    if !matches!(asked.state, RequestState::Failed | RequestState::Canceled) {
        return Err(RetryError::NotOver(asked.state));
    }
    let given = match asked.think {
        Think::Off => direct_plan::given(farm, &asked.prompt, &asked.direct_plan).await?,
        Think::Fast | Think::Full => None,
    };
    let submission = Submission {
        tenant,
        start: NewRequest {
            id: farm.ids.request(),
            seed: asked.seed,
            think: asked.think,
            max_rounds: asked.max_rounds,
            candidates: asked.candidates,
            limits: asked.limits,
            direct_plan: asked.direct_plan,
            given,
            plan_only: asked.plan_only,
        },
        idempotency_key,
        // A key that was used for a submit, or for a retry of another request, is no repetition of this call.
        body_sha256: submit::body_sha256(format!("retry {id}").as_bytes()),
        brought,
        model: farm.model.to_string(),
        prompt: asked.prompt,
        priority: asked.priority,
        steps: asked.steps,
        size: asked.size,
        think_tokens: asked.think_tokens,
        use_cache: asked.use_cache,
        pictures: asked.pictures,
        webhook: asked.webhook,
    };
    Ok(submit::enqueue(farm, submission).await?)
}
