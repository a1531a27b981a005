//! A stage of a plan: generate, edit, blend or repair.

use atelier_engine::{Control, EngineError, RenderInput, RenderOutput};
use atelier_proto::plan::StageOp;
use image::RgbImage;

use super::words::Words;
use crate::renderer::{RenderError, Renderer, blend};

/// Draws one stage.
pub fn render(
    renderer: &mut Renderer,
    words: &Words<'_>,
    input: &RenderInput,
    control: &mut dyn Control,
) -> Result<RenderOutput, EngineError> {
    let stage = input.plan.stage(&input.stage).ok_or_else(|| {
        EngineError::Impossible(format!("the plan has no stage {:?}", input.stage))
    })?;
    if let StageOp::Blend { mask, .. } = &stage.op {
        let image = blend::blend(picture(input, 0)?, picture(input, 1)?, mask)
            .map_err(|error| EngineError::Impossible(error.to_string()))?;
        return Ok(RenderOutput {
            image,
            steps: 0,
            references: Vec::new(),
        });
    }
    let light = match &stage.op {
        StageOp::Generate { caption } => caption.split("light:").last().unwrap_or_default(),
        StageOp::Edit { instruction, .. } | StageOp::Repair { instruction, .. } => instruction,
        StageOp::Blend { .. } => "",
    };
    let (scene, references) = words.scene(&input.plan, light, &input.references)?;
    let mut done = 0;
    let mut on_step = |step: u32, total: u32, preview: Option<RgbImage>| {
        done = step;
        control.progress(step, total, preview);
        !control.canceled()
    };
    let (seed, steps) = (input.seed, input.steps);
    let drawn = match &stage.op {
        StageOp::Edit { strength, .. } => renderer.edit(
            picture(input, 0)?,
            &scene,
            *strength,
            seed,
            steps,
            &mut on_step,
        ),
        StageOp::Repair { bbox, .. } => renderer.repair(
            picture(input, 0)?,
            bbox.0,
            &scene,
            seed,
            steps,
            &mut on_step,
        ),
        _ => {
            let size = input.size.map(|size| (size.width, size.height));
            renderer.render(&scene, seed, steps, size, &mut on_step)
        }
    };
    let image = drawn.map_err(|error| match error {
        RenderError::Canceled => EngineError::Canceled,
        other => EngineError::Impossible(other.to_string()),
    })?;
    Ok(RenderOutput {
        image,
        steps: done,
        references,
    })
}

fn picture(input: &RenderInput, index: usize) -> Result<&RgbImage, EngineError> {
    input.inputs.get(index).ok_or_else(|| {
        EngineError::Impossible(format!(
            "stage {:?} reads more pictures than it was given",
            input.stage
        ))
    })
}
