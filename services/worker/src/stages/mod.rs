//! The three kinds of jobs: each builds the engine's input from an offer, and a report's outcome from the engine's output.

pub mod critique;
mod label;
pub mod plan;
mod promise;
pub mod render;

use std::time::Duration;

use atelier_engine::EngineError;
use atelier_platform::{ArtifactError, Artifacts};
use atelier_proto::{
    ArtifactRef, MediaType,
    job::Work,
    report::{Outcome, Thought},
};
use bytes::Bytes;

pub use label::Label;
pub use promise::Promise;

use crate::{
    device::{DeviceError, Made, Task},
    inputs::{InputError, Plans},
};

/// How long storing an output is tried while the store is away.
const STORE_PATIENCE: Duration = Duration::from_secs(120);

/// Why an attempt made nothing.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// An input cannot be used.
    #[error("input: {0}")]
    Input(#[from] InputError),
    /// The engine made nothing.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The output cannot be stored.
    #[error("storing the output: {0}")]
    Store(#[from] ArtifactError),
    /// The engine made what it must not make.
    #[error("the engine's output is wrong: {0}")]
    Output(String),
    /// Told to stop.
    #[error("stopped")]
    Stopped,
}

impl StageError {
    /// Whether the object store was away, which says nothing against the job or this worker.
    pub fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Store(ArtifactError::Store(_))
                | Self::Input(InputError::Store(ArtifactError::Store(_)))
        )
    }

    /// What is reported.
    pub fn outcome(&self) -> Outcome {
        let retry = match self {
            Self::Stopped | Self::Device(DeviceError::Engine(EngineError::Canceled)) => {
                return Outcome::Returned;
            }
            // It never began, another worker will do it.
            Self::Device(DeviceError::Gone) => return Outcome::Returned,
            Self::Input(InputError::Invalid(_))
            | Self::Device(DeviceError::Engine(EngineError::Impossible(_))) => false,
            Self::Input(InputError::Store(_))
            | Self::Device(
                DeviceError::Engine(EngineError::Failed(_) | EngineError::OutOfMemory(_))
                | DeviceError::Panicked(_)
                | DeviceError::Hung(_),
            )
            | Self::Store(_)
            | Self::Output(_) => true,
        };
        Outcome::Failed {
            reason: truncated(self.to_string(), 1_000),
            retry,
        }
    }
}

/// Builds the engine's input.
pub async fn prepare(
    artifacts: &Artifacts,
    plans: &Plans,
    work: &Work,
) -> Result<Task, StageError> {
    match work {
        Work::Plan(work) => Ok(plan::prepare(work)),
        Work::Render(work) => render::prepare(artifacts, plans, work).await,
        Work::Critique(work) => critique::prepare(artifacts, plans, work).await,
    }
}

/// Stores what was made, a picture with its label when it kept its promise, and says what to report.
pub async fn finish(
    artifacts: &Artifacts,
    plans: &Plans,
    made: Made,
    label: Option<Label>,
    promise: Option<Promise>,
) -> Result<Outcome, StageError> {
    match made {
        Made::Plan(made) => plan::finish(artifacts, plans, *made).await,
        Made::Picture(made) => render::finish(artifacts, made, label, promise).await,
        Made::Review(review) => critique::finish(artifacts, review).await,
    }
}

/// Stores an output; tries again while the store is away.
async fn store(
    artifacts: &Artifacts,
    bytes: Bytes,
    media_type: MediaType,
) -> Result<ArtifactRef, StageError> {
    let mut pause = Duration::from_millis(200);
    let give_up = tokio::time::Instant::now() + STORE_PATIENCE;
    loop {
        match artifacts.put(bytes.clone(), media_type).await {
            Ok(artifact) => return Ok(artifact),
            Err(ArtifactError::Store(error)) if tokio::time::Instant::now() < give_up => {
                tracing::warn!(%error, "storing an output: trying again");
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

/// Keeps free text within what a report may carry.
fn bounded(mut thought: Thought) -> Thought {
    thought.text = truncated(thought.text, 16_000);
    thought.notes.truncate(64);
    thought.notes = thought
        .notes
        .into_iter()
        .map(|note| truncated(note, 400))
        .collect();
    thought.reasoning = truncated(thought.reasoning, 16_000);
    thought.evidence.truncate(128);
    thought
}

fn truncated(mut text: String, bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes));
    text
}

#[cfg(test)]
mod tests;
