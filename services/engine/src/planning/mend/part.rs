//! What a plan says of the part of its picture that a box lies in: each side of a blend has words, a ground and a light of its own.

use std::ops::ControlFlow;

use atelier_proto::plan::{BBox, Mask, Plan, StageOp, sent_picture};

use super::super::{
    caption,
    stages::{self, Kind},
    words,
};

/// Words, ground and light of a part of a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub caption: String,
    pub background: String,
    pub lighting: String,
}

/// The part that a box lies in; none where it reaches across the middle of a seam, since no single light would be right on both sides.
pub fn part_under(plan: &Plan, bbox: &BBox) -> Option<Part> {
    let mut part = Part {
        caption: plan.caption.clone(),
        background: plan.background.clone(),
        lighting: plan.lighting.clone(),
    };
    // What the changes that lie over a drawing say stands over what the drawing says.
    let mut changed = Said::default();
    let mut at = plan.sink();
    // A valid plan has no circles; one that is not ends here all the same.
    for _ in 0..=plan.stages.len() {
        let Some(stage) = at else { break };
        let next = match &stage.op {
            StageOp::Generate { caption } => {
                if !caption.is_empty() {
                    part.caption.clone_from(caption);
                }
                changed.or(Said::by(caption));
                break;
            }
            StageOp::Edit {
                input, instruction, ..
            } => {
                changed.or(Said::by(instruction));
                input
            }
            StageOp::Repair { input, .. } => input,
            StageOp::Blend { inputs, mask } => match side(mask, bbox) {
                ControlFlow::Continue(side) => inputs.get(side)?,
                ControlFlow::Break(()) => return None,
            },
        };
        // What the user sent has no words.
        if sent_picture(next).is_some() {
            break;
        }
        at = plan.stage(next);
    }
    let changes = changed != Said::default();
    part.background = changed.background.unwrap_or(part.background);
    part.lighting = changed.lighting.unwrap_or(part.lighting);
    if changes {
        part.caption = caption::elsewhere(&part.caption, &part.background, &part.lighting);
    }
    Some(part)
}

/// Which of the two pictures the whole box shows more of.
fn side(mask: &Mask, bbox: &BBox) -> ControlFlow<(), usize> {
    let [x0, y0, x1, y1] = bbox.0;
    // A mask is a ramp, so that its least and greatest are in corners.
    let shares = [(x0, y0), (x1, y0), (x0, y1), (x1, y1)].map(|(x, y)| mask.shares()(x, y));
    if shares.iter().all(|share| *share <= 0.5) {
        ControlFlow::Continue(0)
    } else if shares.iter().all(|share| *share >= 0.5) {
        ControlFlow::Continue(1)
    } else {
        ControlFlow::Break(())
    }
}

/// What a stage's words say of ground and light.
#[derive(Default, PartialEq, Eq)]
struct Said {
    background: Option<String>,
    lighting: Option<String>,
}

impl Said {
    /// In the form that planning writes, else by a time of day that is named.
    fn by(words: &str) -> Self {
        if let Some((background, lighting)) = caption::ground_and_light(words) {
            return Self {
                background: Some(background.to_owned()),
                lighting: Some(lighting.to_owned()),
            };
        }
        let moments = words::read(words);
        let mut lights = moments
            .iter()
            .filter_map(|word| stages::moment(&word.text))
            .filter(|moment| moment.kind == Kind::Light);
        Self {
            background: None,
            lighting: lights.next().map(|moment| moment.name.to_owned()),
        }
    }

    fn or(&mut self, other: Self) {
        self.background = self.background.take().or(other.background);
        self.lighting = self.lighting.take().or(other.lighting);
    }
}
