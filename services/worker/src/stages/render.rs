//! Render jobs: a plan and the pictures that its stage reads in, a picture out.

use atelier_engine::{RenderInput, RenderOutput};
use atelier_pictures::{Format, Text};
use atelier_platform::Artifacts;
use atelier_proto::{
    MediaType,
    job::{RenderWork, Size},
    report::Outcome,
};
use image::RgbImage;

use super::{Label, StageError, store};
use crate::{
    device::Task,
    inputs::{self, InputError},
};

/// Pictures of so few bytes are encoded here and now: another thread would take longer to wake up.
const SMALL: usize = 1 << 16;

pub(super) async fn prepare(artifacts: &Artifacts, work: &RenderWork) -> Result<Task, StageError> {
    let (plan, pictures, references) = tokio::try_join!(
        inputs::plan(artifacts, &work.plan),
        inputs::pictures(artifacts, &work.inputs),
        inputs::references(artifacts, &work.references),
    )?;
    let wrong = |reason: String| StageError::Input(InputError::Invalid(reason));
    let stage = plan
        .stage(&work.stage)
        .ok_or_else(|| wrong(format!("the plan has no stage {:?}", work.stage)))?;
    let reads = stage.op.inputs().len();
    if reads != pictures.len() {
        return Err(wrong(format!(
            "stage {:?} reads {reads} pictures, the job names {}",
            work.stage,
            pictures.len()
        )));
    }
    Ok(Task::Render(Box::new(RenderInput {
        plan,
        stage: work.stage.clone(),
        seed: work.seed,
        steps: work.steps,
        size: work.size,
        inputs: pictures,
        references,
    })))
}

/// Stores the picture with what it says of itself.
pub(super) async fn finish(
    artifacts: &Artifacts,
    made: RenderOutput,
    label: Option<Label>,
) -> Result<Outcome, StageError> {
    let size = Size {
        width: made.image.width(),
        height: made.image.height(),
    };
    let texts = match label {
        Some(label) => label.texts(&made)?,
        None => Vec::new(),
    };
    let image = made.image;
    let png = if image.as_raw().len() <= SMALL {
        png(image, &texts)?
    } else {
        tokio::task::spawn_blocking(move || png(image, &texts))
            .await
            .map_err(|error| StageError::Output(error.to_string()))??
    };
    let image = store(artifacts, png.into(), MediaType::Png).await?;
    Ok(Outcome::Rendered {
        image,
        size,
        steps: made.steps,
        references: made.references,
        kept: None,
    })
}

fn png(image: RgbImage, texts: &[Text]) -> Result<Vec<u8>, StageError> {
    atelier_pictures::write(&image.into(), Format::Png, texts)
        .map_err(|error| StageError::Output(error.to_string()))
}
