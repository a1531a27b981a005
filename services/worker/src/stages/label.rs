//! What a picture says of itself. Only what follows from the job: the same job makes the same file.

use atelier_engine::{RenderInput, RenderOutput};
use atelier_pictures::{PROVENANCE_VERSION, Provenance, Text};
use atelier_proto::{
    Sha256,
    job::{RenderWork, Work},
    plan::StageOp,
};

use super::StageError;
use crate::device::Task;

/// What is known of a picture before it is drawn.
#[derive(Clone, Debug)]
pub struct Label {
    model: String,
    plan: Sha256,
    stage: String,
    op: &'static str,
    prompt: String,
    seed: u64,
    inputs: Vec<Sha256>,
}

impl Label {
    /// The label of what a task will draw; none where it draws nothing.
    pub fn of(model: &str, work: &Work, task: &Task) -> Option<Self> {
        match (work, task) {
            (Work::Render(work), Task::Render(input)) => Self::of_drawing(model, work, input),
            _ => None,
        }
    }

    fn of_drawing(model: &str, work: &RenderWork, input: &RenderInput) -> Option<Self> {
        let plan = &input.plan;
        let op = &plan.stage(&input.stage)?.op;
        let prompt = match op {
            StageOp::Generate { caption } if !caption.is_empty() => caption,
            StageOp::Edit { instruction, .. } | StageOp::Repair { instruction, .. } => instruction,
            StageOp::Generate { .. } | StageOp::Blend { .. } => &plan.caption,
        };
        Some(Self {
            model: model.to_owned(),
            plan: work.plan.sha256,
            stage: work.stage.clone(),
            op: op.name(),
            prompt: prompt.clone(),
            seed: work.seed,
            inputs: work.inputs.iter().map(|input| input.sha256).collect(),
        })
    }

    /// The texts of what was drawn.
    pub(super) fn texts(self, made: &RenderOutput) -> Result<Vec<Text>, StageError> {
        let provenance = Provenance {
            version: PROVENANCE_VERSION,
            made_by: concat!("atelier ", env!("CARGO_PKG_VERSION")).to_owned(),
            model: self.model,
            plan: self.plan,
            stage: self.stage,
            op: self.op.to_owned(),
            prompt: self.prompt,
            seed: self.seed,
            steps: made.steps,
            size: [made.image.width(), made.image.height()],
            inputs: self.inputs,
            references: made.references.clone(),
        };
        provenance
            .texts()
            .map_err(|error| StageError::Output(error.to_string()))
    }
}
