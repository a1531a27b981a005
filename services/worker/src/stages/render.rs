//! Render jobs: a plan and the pictures that its stage reads in, a picture out.

use std::io::Cursor;

use atelier_engine::{RenderInput, RenderOutput};
use atelier_platform::Artifacts;
use atelier_proto::{
    MediaType,
    job::{RenderWork, Size},
    report::Outcome,
};
use image::{ImageFormat, RgbImage};

use super::{StageError, store};
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

pub(super) async fn finish(
    artifacts: &Artifacts,
    made: RenderOutput,
) -> Result<Outcome, StageError> {
    let size = Size {
        width: made.image.width(),
        height: made.image.height(),
    };
    let png = if made.image.as_raw().len() <= SMALL {
        png(&made.image)?
    } else {
        tokio::task::spawn_blocking(move || png(&made.image))
            .await
            .map_err(|error| StageError::Output(error.to_string()))??
    };
    let image = store(artifacts, png.into(), MediaType::Png).await?;
    Ok(Outcome::Rendered {
        image,
        size,
        steps: made.steps,
        references: made.references,
    })
}

fn png(image: &RgbImage) -> Result<Vec<u8>, StageError> {
    let mut bytes = Cursor::new(Vec::new());
    image
        .write_to(&mut bytes, ImageFormat::Png)
        .map_err(|error| StageError::Output(error.to_string()))?;
    Ok(bytes.into_inner())
}
