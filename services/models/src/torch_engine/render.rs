//! Stages of plans: generate, edit, blend or repair; one or more of equal shape at once.

use std::cell::RefCell;

use atelier_engine::{Control, EngineError, Looked, RenderInput, RenderOutput};
use atelier_proto::{plan::StageOp, report::UsedReference};
use image::{GrayImage, RgbImage};

use crate::renderer::{
    Area, Canvas, Drawing, Noise, Preview, RenderError, RenderScene, Renderer, blend,
};

/// Turns a stage's words into what a renderer reads.
pub trait Words {
    /// What a renderer reads of the stage that does `op`.
    fn told(&self, input: &RenderInput, op: &StageOp) -> Result<Told, EngineError>;
}

/// A stage as a renderer reads it.
pub struct Told {
    /// What is drawn.
    pub scene: RenderScene,
    /// The pictures that it is drawn with.
    pub references: Vec<UsedReference>,
    /// Texts that were looked for before they were read.
    pub texts: Looked,
}

/// A stage and who is told about it.
pub type Asked<'a, 'b> = (&'a RenderInput, &'b mut dyn Control);

/// What is left to do for a stage.
enum Ready<'a> {
    Done(RenderOutput),
    Draw { told: Told, canvas: Canvas<'a> },
}

/// Draws stages at once; says of each what came of it, in their order.
pub fn render(
    renderer: &Renderer,
    words: &dyn Words,
    asked: &mut [Asked<'_, '_>],
) -> Vec<Result<RenderOutput, EngineError>> {
    let shape = asked.first().and_then(|(input, _)| input.shape());
    if asked.iter().any(|(input, _)| input.shape() != shape) {
        // Not a batch after all.
        return asked
            .iter_mut()
            .flat_map(|one| render(renderer, words, std::slice::from_mut(one)))
            .collect();
    }
    let steps = asked.first().and_then(|(input, _)| input.steps);
    let inputs: Vec<&RenderInput> = asked.iter().map(|(input, _)| *input).collect();
    let masks: Vec<Option<GrayImage>> = inputs.iter().map(|input| input.mask()).collect();
    let ready: Vec<Result<Ready<'_>, EngineError>> = inputs
        .iter()
        .zip(&masks)
        .zip(asked.iter())
        .map(|((input, mask), (_, control))| match control.canceled() {
            true => Err(EngineError::Canceled),
            false => prepared(words, input, mask.as_ref()),
        })
        .collect();
    // Places in `asked` of what is drawn.
    let mut places = Vec::with_capacity(ready.len());
    let mut drawings = Vec::with_capacity(ready.len());
    for (place, one) in ready.iter().enumerate() {
        if let Ok(Ready::Draw { told, canvas }) = one {
            places.push(place);
            drawings.push(Drawing {
                scene: &told.scene,
                noise: Noise::Seed(inputs[place].seed),
                canvas: *canvas,
            });
        }
    }
    let mut done = vec![0; asked.len()];
    // Steps are told of and asked for in turns.
    let asked = RefCell::new(asked);
    let goes_on = |index: usize| !asked.borrow()[places[index]].1.canceled();
    let mut on_step = |index: usize, step: u32, total: u32, preview: Option<Preview<'_>>| {
        let place = places[index];
        let control = &mut asked.borrow_mut()[place].1;
        done[place] = step;
        let small = preview.filter(|_| control.looks()).map(|small| small());
        control.progress(step, total, small);
        !control.canceled()
    };
    let drawn = renderer.draw_while(&drawings, steps, &goes_on, &mut on_step);
    drop(drawings);
    let mut drawn = drawn.into_iter();
    ready
        .into_iter()
        .zip(done)
        .map(|(one, steps)| match one? {
            Ready::Done(output) => Ok(output),
            Ready::Draw { told, .. } => {
                let image = drawn.next().unwrap_or(Err(RenderError::Canceled));
                Ok(RenderOutput {
                    image: image.map_err(|error| match error {
                        RenderError::Canceled => EngineError::Canceled,
                        other => EngineError::Impossible(other.to_string()),
                    })?,
                    steps,
                    references: told.references,
                    texts: told.texts,
                })
            }
        })
        .collect()
}

/// What a stage is drawn from; a blend needs no drawing.
fn prepared<'a>(
    words: &dyn Words,
    input: &'a RenderInput,
    mask: Option<&'a GrayImage>,
) -> Result<Ready<'a>, EngineError> {
    let stage = input.plan.stage(&input.stage).ok_or_else(|| {
        EngineError::Impossible(format!("the plan has no stage {:?}", input.stage))
    })?;
    let canvas = match &stage.op {
        StageOp::Blend { mask, .. } => {
            let image = blend::blend(picture(input, 0)?, picture(input, 1)?, mask)
                .map_err(|error| EngineError::Impossible(error.to_string()))?;
            return Ok(Ready::Done(RenderOutput {
                image,
                steps: 0,
                references: Vec::new(),
                texts: Looked::default(),
            }));
        }
        StageOp::Generate { .. } => Canvas::Blank(input.size.map(|size| (size.width, size.height))),
        StageOp::Edit { strength, .. } => Canvas::Edit {
            picture: picture(input, 0)?,
            strength: *strength,
        },
        StageOp::Repair { bbox, .. } => Canvas::Repaint {
            picture: picture(input, 0)?,
            area: mask.map_or(Area::Box(bbox.0), Area::Mask),
            strength: 1.0,
        },
    };
    let told = words.told(input, &stage.op)?;
    Ok(Ready::Draw { told, canvas })
}

fn picture(input: &RenderInput, index: usize) -> Result<&RgbImage, EngineError> {
    input.inputs.get(index).ok_or_else(|| {
        EngineError::Impossible(format!(
            "stage {:?} reads more pictures than it was given",
            input.stage
        ))
    })
}
