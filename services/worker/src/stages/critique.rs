//! Critique jobs: a plan and a picture in, an answer to every check out.

use std::sync::Arc;

use atelier_engine::CritiqueInput;
use atelier_platform::Artifacts;
use atelier_proto::{MediaType, job::CritiqueWork, report::Outcome, review::Review};

use super::{StageError, store};
use crate::{
    device::Task,
    inputs::{self, Plans},
};

pub(super) async fn prepare(
    artifacts: &Artifacts,
    plans: &Plans,
    work: &CritiqueWork,
) -> Result<Task, StageError> {
    let (plan, image) = tokio::try_join!(
        inputs::plan(artifacts, plans, &work.plan),
        inputs::picture(artifacts, &work.image),
    )?;
    Ok(Task::Critique(Box::new(CritiqueInput { plan, image })))
}

pub(super) async fn finish(artifacts: &Artifacts, review: Review) -> Result<Outcome, StageError> {
    let json =
        serde_json::to_vec(&review).map_err(|error| StageError::Output(error.to_string()))?;
    let artifact = store(artifacts, json.into(), MediaType::Json).await?;
    let score = review.score();
    Ok(Outcome::Reviewed {
        review: Arc::new(review),
        artifact,
        score,
    })
}
