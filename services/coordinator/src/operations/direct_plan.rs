//! The prompt as a plan of one stage. It follows from the prompt, so that it is stored only when it is carried out.

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
