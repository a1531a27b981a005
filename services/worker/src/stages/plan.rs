//! Plan jobs: a prompt in, a valid plan out.

use std::sync::Arc;

use atelier_engine::{PlanInput, PlanOutput};
use atelier_platform::Artifacts;
use atelier_proto::{MediaType, job::PlanWork, report::Outcome};

use super::{StageError, bounded, store};
use crate::{device::Task, inputs::Plans};

pub(super) fn prepare(work: &PlanWork) -> Task {
    let names = work.references.iter().map(|one| one.name.clone());
    Task::Plan(PlanInput {
        prompt: work.prompt.clone(),
        seed: work.seed,
        reference_names: names.collect(),
        findings: work.findings.clone(),
        think: work.think,
        think_tokens: work.think_tokens,
        keep_for: work.keep_for,
    })
}

pub(super) async fn finish(
    artifacts: &Artifacts,
    plans: &Plans,
    made: PlanOutput,
) -> Result<Outcome, StageError> {
    made.plan
        .validate()
        .map_err(|error| StageError::Output(error.to_string()))?;
    let json =
        serde_json::to_vec(&made.plan).map_err(|error| StageError::Output(error.to_string()))?;
    let artifact = store(artifacts, json.into(), MediaType::Json).await?;
    // What is made of it is often made here.
    let plan = Arc::new(made.plan);
    plans.keep(artifact.sha256, plan.clone());
    Ok(Outcome::Planned {
        plan,
        artifact,
        thought: bounded(made.thought),
    })
}
