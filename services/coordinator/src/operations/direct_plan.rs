//! The prompt as a plan of one stage. It follows from the prompt, so that it is stored only when it is carried out. A plan that the user gives
//! takes its place.

use atelier_domain::{Graph, GraphError};
use atelier_platform::{ArtifactError, artifacts};
use atelier_proto::{ArtifactRef, MediaType, plan::Plan};
use bytes::Bytes;

use crate::{farm::Farm, store::Unit};

/// What the direct plan of `prompt` will be called.
pub fn describe(prompt: &str) -> ArtifactRef {
    artifacts::describe(&json(prompt), MediaType::Json)
}

/// Stores the direct plan of `prompt`.
pub async fn put(farm: &Farm, prompt: &str) -> Result<ArtifactRef, ArtifactError> {
    farm.artifacts.put(json(prompt), MediaType::Json).await
}

/// Longest plan that a user may give, in bytes of its JSON.
pub const MAX_GIVEN_BYTES: usize = 256 << 10;

/// Stores a plan that the user gave.
pub async fn put_given(farm: &Farm, json: Vec<u8>) -> Result<ArtifactRef, ArtifactError> {
    farm.artifacts.put(json.into(), MediaType::Json).await
}

/// Why the stages of a stored plan are not known.
#[derive(Debug, thiserror::Error)]
pub enum LostPlan {
    /// The store does not give it.
    #[error(transparent)]
    Artifacts(#[from] ArtifactError),
    /// It is no plan.
    #[error("the stored plan is not readable: {0}")]
    Json(#[from] serde_json::Error),
    /// It is none that can be carried out.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// The stages of a plan that the user gave for `prompt`; none when `plan` is only the prompt.
pub async fn given(
    farm: &Farm,
    prompt: &str,
    plan: &ArtifactRef,
) -> Result<Option<Graph>, LostPlan> {
    if describe(prompt) == *plan {
        return Ok(None);
    }
    let bytes = farm.artifacts.get(plan, MAX_GIVEN_BYTES as u64).await?;
    let plan: Plan = serde_json::from_slice(&bytes)?;
    Ok(Some(Graph::of(&plan)?))
}

/// Stores the direct plans that `unit` is about to name.
pub async fn store(farm: &Farm, unit: &Unit) -> Result<(), ArtifactError> {
    for prompt in unit.newly_direct() {
        put(farm, prompt).await?;
    }
    Ok(())
}

fn json(prompt: &str) -> Bytes {
    serde_json::to_vec(&Plan::direct(prompt))
        .expect("a plan holds nothing that JSON cannot")
        .into()
}
