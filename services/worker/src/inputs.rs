//! Inputs of jobs: fetched from the store, compared with their names, decoded within bounds.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use atelier_engine::Reference;
use atelier_pictures::Bounds;
use atelier_platform::{ArtifactError, Artifacts};
use atelier_proto::{ArtifactRef, Sha256, job::NamedReference, plan::Plan};
use bytes::Bytes;
use image::{DynamicImage, RgbImage};

use crate::recent::Recent;

/// Most plans that are kept: those of all requests of which quick jobs are in hands, and of a slow device those of a day.
const MOST_PLANS: usize = 1_024;
/// Longest plan in bytes.
const MAX_PLAN_BYTES: u64 = 1 << 20;
/// Largest picture file in bytes.
const MAX_PICTURE_BYTES: u64 = 32 << 20;
/// Pictures of so few pixels are decoded here and now: another thread would take longer to wake up.
const SMALL: u64 = 1 << 15;
/// The same in pixels and memory.
const BOUNDS: Bounds = Bounds {
    side: 8_192,
    file: MAX_PICTURE_BYTES as usize,
    memory: 256 << 20,
};
/// How long fetching is tried while the store is away. The device works on others meanwhile.
const FETCH_PATIENCE: Duration = Duration::from_secs(120);

/// Why an input cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The store did not give it.
    #[error(transparent)]
    Store(#[from] ArtifactError),
    /// It is not what it should be, and never will be.
    #[error("{0}")]
    Invalid(String),
}

/// Plans that were made or read last: all jobs of a request but the first read the same one.
#[derive(Debug)]
pub struct Plans(Mutex<Recent<Sha256, Arc<Plan>>>);

impl Default for Plans {
    fn default() -> Self {
        Self(Mutex::new(Recent::new(MOST_PLANS)))
    }
}

impl Plans {
    fn find(&self, sha256: Sha256) -> Option<Arc<Plan>> {
        self.lock().get(&sha256).cloned()
    }

    /// Keeps a valid plan under the name of its artifact.
    pub fn keep(&self, sha256: Sha256, plan: Arc<Plan>) {
        self.lock().set(sha256, plan);
    }

    fn lock(&self) -> MutexGuard<'_, Recent<Sha256, Arc<Plan>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fetches a plan; it is valid.
pub async fn plan(
    artifacts: &Artifacts,
    plans: &Plans,
    artifact: &ArtifactRef,
) -> Result<Arc<Plan>, InputError> {
    if let Some(plan) = plans.find(artifact.sha256) {
        return Ok(plan);
    }
    let plan = Arc::new(read_plan(
        &fetch(artifacts, artifact, MAX_PLAN_BYTES).await?,
    )?);
    plans.keep(artifact.sha256, plan.clone());
    Ok(plan)
}

/// Fetches a picture, without its transparency.
pub async fn picture(
    artifacts: &Artifacts,
    artifact: &ArtifactRef,
) -> Result<RgbImage, InputError> {
    let bytes = fetch(artifacts, artifact, MAX_PICTURE_BYTES).await?;
    if is_small(&bytes) {
        return read_picture(&bytes).map(DynamicImage::into_rgb8);
    }
    off_thread(move || read_picture(&bytes).map(DynamicImage::into_rgb8)).await
}

/// Fetches pictures, in their order.
pub async fn pictures(
    artifacts: &Artifacts,
    wanted: &[ArtifactRef],
) -> Result<Vec<RgbImage>, InputError> {
    futures::future::try_join_all(wanted.iter().map(|one| picture(artifacts, one))).await
}

/// Fetches the pictures that the user sent, with their transparency.
pub async fn references(
    artifacts: &Artifacts,
    wanted: &[NamedReference],
) -> Result<Vec<Reference>, InputError> {
    let fetched = wanted.iter().map(async |one| {
        let bytes = fetch(artifacts, &one.picture, MAX_PICTURE_BYTES).await?;
        let picture =
            off_thread(move || read_picture(&bytes).map(DynamicImage::into_rgba8)).await?;
        Ok(Reference {
            name: one.name.clone(),
            picture,
            sha256: one.picture.sha256,
        })
    });
    futures::future::try_join_all(fetched).await
}

/// Reads the JSON of a plan.
pub fn read_plan(bytes: &[u8]) -> Result<Plan, InputError> {
    let plan: Plan = serde_json::from_slice(bytes)
        .map_err(|error| InputError::Invalid(format!("the plan is no plan: {error}")))?;
    plan.validate()
        .map_err(|error| InputError::Invalid(format!("the plan is not valid: {error}")))?;
    Ok(plan)
}

/// Whether the first bytes of a PNG say that it has few pixels.
fn is_small(png: &[u8]) -> bool {
    let side = |at: usize| {
        let bytes = png.get(at..at + 4)?;
        Some(u64::from(u32::from_be_bytes(bytes.try_into().ok()?)))
    };
    // Signature, length and name of the first chunk take 16 bytes; then come width and height.
    let pixels = side(16)
        .zip(side(20))
        .and_then(|(width, height)| width.checked_mul(height));
    pixels.is_some_and(|pixels| pixels <= SMALL)
}

/// Reads a picture within bounds.
pub fn read_picture(bytes: &[u8]) -> Result<DynamicImage, InputError> {
    atelier_pictures::read(bytes, &BOUNDS)
        .map_err(|error| InputError::Invalid(format!("the picture {error}")))
}

/// Tries again while the store is away; what was stored once will be there again.
async fn fetch(
    artifacts: &Artifacts,
    artifact: &ArtifactRef,
    limit: u64,
) -> Result<Bytes, InputError> {
    let mut pause = Duration::from_millis(200);
    let give_up = tokio::time::Instant::now() + FETCH_PATIENCE;
    loop {
        match artifacts.get(artifact, limit).await {
            Err(ArtifactError::Store(error)) if tokio::time::Instant::now() < give_up => {
                tracing::warn!(%error, artifact = %artifact.sha256, "fetching an input: trying again");
            }
            Err(ArtifactError::TooLarge { bytes, limit }) => {
                let reason = format!("an input of {bytes} bytes is over the limit of {limit}");
                return Err(InputError::Invalid(reason));
            }
            fetched => return Ok(fetched?),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

async fn off_thread<T: Send + 'static>(
    decode: impl FnOnce() -> Result<T, InputError> + Send + 'static,
) -> Result<T, InputError> {
    let decoded = tokio::task::spawn_blocking(decode).await;
    decoded.unwrap_or_else(|error| Err(InputError::Invalid(format!("decoding a picture: {error}"))))
}

#[cfg(test)]
mod tests;
