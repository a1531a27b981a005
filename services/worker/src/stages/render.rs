//! Render jobs: a plan and the pictures that its stage reads in, a picture out.

use std::sync::Arc;

use atelier_engine::{Reference, RenderInput, RenderOutput, planning::mend};
use atelier_pictures::{Format, Text};
use atelier_platform::Artifacts;
use atelier_proto::{
    MediaType,
    job::{RenderWork, Size},
    plan::{StageOp, sent_picture},
    report::Outcome,
};
use image::{DynamicImage, RgbImage};

use super::{Label, Promise, StageError, store};
use crate::{
    device::Task,
    inputs::{self, InputError, Plans},
};

/// Pictures of so few bytes are encoded here and now: another thread would take longer to wake up.
const SMALL: usize = 1 << 16;

pub(super) async fn prepare(
    artifacts: &Artifacts,
    plans: &Plans,
    work: &RenderWork,
) -> Result<Task, StageError> {
    let (plan, pictures, references) = tokio::try_join!(
        inputs::plan(artifacts, plans, &work.plan),
        inputs::pictures(artifacts, &work.inputs),
        inputs::references(artifacts, &work.references),
    )?;
    let wrong = |reason: String| StageError::Input(InputError::Invalid(reason));
    let plan = match &work.fix {
        Some(fix) if plan.stage(&work.stage).is_none() => {
            Arc::new(mend::with_fix(&plan, &work.stage, fix))
        }
        Some(_) => {
            let reason = format!(
                "{:?} is a stage of the plan, not a repair of its picture",
                work.stage
            );
            return Err(wrong(reason));
        }
        None => plan,
    };
    let stage = plan
        .stage(&work.stage)
        .ok_or_else(|| wrong(format!("the plan has no stage {:?}", work.stage)))?;
    let reads = stage.op.inputs().len();
    if reads != pictures.len() {
        return Err(wrong(format!(
            "stage {:?} reads {reads} pictures of stages, the job names {}",
            work.stage,
            pictures.len()
        )));
    }
    let pictures = all_read(&stage.op, pictures, &references).map_err(wrong)?;
    Ok(Task::Render(Box::new(RenderInput {
        plan,
        stage: work.stage.clone(),
        seed: work.seed,
        steps: work.steps,
        size: work.size,
        inputs: pictures,
        references,
        reuse: work.keep_for.is_some(),
    })))
}

/// The pictures that a stage reads, in its order: `drawn` by other stages, or among those that the user sent.
fn all_read(
    op: &StageOp,
    drawn: Vec<RgbImage>,
    sent: &[Reference],
) -> Result<Vec<RgbImage>, String> {
    let mut drawn = drawn.into_iter();
    let read = |name: &str| {
        let Some(name) = sent_picture(name) else {
            return drawn
                .next()
                .ok_or_else(|| format!("stage {name:?} has no picture"));
        };
        let found = sent.iter().find(|reference| reference.name == name);
        let picture = &found
            .ok_or_else(|| format!("no picture {name:?} was sent"))?
            .picture;
        Ok(match op {
            // What is transparent is painted anew, around what is under it.
            StageOp::Repair { .. } => DynamicImage::from(picture.clone()).into_rgb8(),
            _ => atelier_pictures::on_white(&picture.clone().into()),
        })
    };
    op.reads().into_iter().map(read).collect()
}

/// Stores the picture with what it says of itself.
pub(super) async fn finish(
    artifacts: &Artifacts,
    made: RenderOutput,
    label: Option<Label>,
    promise: Option<Promise>,
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
    let is_small = image.as_raw().len() <= SMALL;
    let check_and_write = move || {
        let held = promise.map(|promise| promise.held(&image)).transpose()?;
        Ok::<_, StageError>((held, png(image, &texts)?))
    };
    let (held, png) = if is_small {
        check_and_write()?
    } else {
        tokio::task::spawn_blocking(check_and_write)
            .await
            .map_err(|error| StageError::Output(error.to_string()))??
    };
    let image = store(artifacts, png.into(), MediaType::Png).await?;
    Ok(Outcome::Rendered {
        image,
        size,
        steps: made.steps,
        references: made.references,
        kept: held.map(|held| held.kept(image.sha256)),
    })
}

fn png(image: RgbImage, texts: &[Text]) -> Result<Vec<u8>, StageError> {
    atelier_pictures::write(&image.into(), Format::Png, texts)
        .map_err(|error| StageError::Output(error.to_string()))
}
