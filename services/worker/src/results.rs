//! Drawings that were made before are used again. A pointer in the object store leads from everything that a drawing follows from to the picture;
//! what it says is checked like anything from outside, and whatever is wrong with it is as if it were not there.

use std::{sync::Arc, time::Duration};

use atelier_platform::artifacts::{MAX_ARTIFACT_BYTES, digest};
use atelier_proto::{
    ArtifactRef, MediaType, Sha256, TenantId,
    job::{RenderWork, Work},
    report::Outcome,
};
use serde::Serialize;

use crate::{config::Caching, shared::Shared};

/// Version of what is digested and of what is kept: what other releases kept is not found.
const VERSION: u32 = 1;

/// How long is looked for a result at most. The inputs are fetched meanwhile.
const PATIENCE: Duration = Duration::from_secs(3);

/// Everything that a drawing follows from.
#[derive(Serialize)]
struct Key<'a> {
    version: u32,
    /// Results are not shared between tenants: nobody learns from how fast it is drawn what another one has drawn.
    tenant: TenantId,
    work: &'a RenderWork,
    weights: Sha256,
    /// Kinds of devices differ in low bits; devices of one kind do not.
    device: &'a str,
    program: &'static str,
    labels: bool,
}

/// What a job's result is called; none where nothing may be kept.
pub fn key(shared: &Shared, work: &Work) -> Option<Sha256> {
    let Work::Render(work) = work else {
        return None;
    };
    let wanted = match shared.caching {
        Caching::None => false,
        Caching::Auto => shared.about.dear,
        Caching::All => true,
    };
    let tenant = work.keep_for.filter(|_| wanted)?;
    let device = &shared.about.device;
    let key = Key {
        version: VERSION,
        tenant,
        work,
        weights: shared.about.weights(atelier_proto::job::JobKind::Render)?,
        device: device.split(':').next().unwrap_or(device),
        program: env!("CARGO_PKG_VERSION"),
        labels: shared.labels,
    };
    Some(digest(&serde_json::to_vec(&key).ok()?))
}

/// What was made under `key` before, when it is still there whole. It is stored again, so that a sweep takes it for new.
pub async fn find(shared: &Shared, key: Sha256) -> Option<Outcome> {
    let found = tokio::time::timeout(PATIENCE, look(shared, key)).await;
    let found = found.ok().flatten();
    shared.metrics.cache("results", found.is_some());
    found
}

async fn look(shared: &Shared, key: Sha256) -> Option<Outcome> {
    let artifacts = &shared.artifacts;
    let pointer = artifacts.result(key).await.ok().flatten()?;
    let (outcome, image) = read(&pointer.bytes)?;
    // Compared with its digest; one that was swept is not there.
    let bytes = artifacts.get(&image, MAX_ARTIFACT_BYTES).await.ok()?;
    let stored = artifacts.put(bytes, MediaType::Png).await.ok()?;
    if !pointer.young {
        // As long as it is used it is kept.
        let _ = artifacts.put_result(key, pointer.bytes).await;
    }
    (stored == image).then_some(outcome)
}

/// What a pointer says, when it is a drawing.
pub fn read(pointer: &[u8]) -> Option<(Outcome, ArtifactRef)> {
    let outcome: Outcome = serde_json::from_slice(pointer).ok()?;
    match outcome {
        Outcome::Rendered { image, .. }
            if image.media_type == MediaType::Png
                && (1..=MAX_ARTIFACT_BYTES).contains(&image.bytes) =>
        {
            Some((outcome, image))
        }
        _ => None,
    }
}

/// Keeps what was made, beside the work: nobody waits for it, and losing it costs nothing but a drawing.
pub fn keep(shared: &Arc<Shared>, key: Sha256, outcome: &Outcome) {
    let Ok(json) = serde_json::to_vec(outcome) else {
        return;
    };
    let shared = shared.clone();
    tokio::spawn(async move {
        if let Err(error) = shared.artifacts.put_result(key, json.into()).await {
            tracing::debug!(%error, "a result was not kept");
        }
    });
}
