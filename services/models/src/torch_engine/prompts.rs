//! From a plan's words to what a published renderer reads: prompts in its own template, things tied to their boxes, the user's pictures.

use atelier_engine::{EngineError, Looked, Reference, RenderInput, planning::of_element};
use atelier_proto::{
    Sha256,
    plan::{Plan, StageOp},
    report::UsedReference,
};
use image::RgbaImage;
use tch::Tensor;

use super::{
    phrases::{failed, of_library, sent},
    render::{Told, Words},
};
use crate::{
    language::TextEncoder,
    props::PropLibrary,
    renderer::{RenderScene, RenderThing, regions::Arm},
};

/// Most states of one thing: a short phrase and its template. Families that pad are shown as much padding.
const THING_STATES: i64 = 64;

/// What prompts are encoded with, and what of a scene the renderer can read.
pub struct Prompts<'a> {
    /// The renderer's own text encoder.
    pub encoder: &'a TextEncoder,
    /// What things are drawn from that the user sent no picture of; empty unless the farm is given one.
    pub props: &'a PropLibrary,
    /// It draws away from an empty prompt.
    pub guided: bool,
    /// It reads the picture that it changes, and the user's.
    pub reads_pictures: bool,
    /// How places reach the renderer.
    pub arm: Arm,
}

/// A thing as it is asked for.
struct Thing {
    phrase: String,
    bbox: Option<[f32; 4]>,
    picture: Option<RgbaImage>,
}

impl Words for Prompts<'_> {
    fn told(&self, input: &RenderInput, op: &StageOp) -> Result<Told, EngineError> {
        let (plan, references) = (&input.plan, &input.references);
        let mut used = Vec::new();
        let mut things = Vec::new();
        // A picture that is read shows where its things are; what changes is in the instruction.
        let changes_what_it_sees = self.reads_pictures && matches!(op, StageOp::Edit { .. });
        for element in &plan.elements {
            // Another picture that the user sent, without a place, is not in the one that is read.
            let sent_too = element.bbox.is_none() && element.reference.is_some();
            if changes_what_it_sees && !sent_too {
                continue;
            }
            let picture = element.reference.as_deref();
            let picture = picture.map(|name| self.picture(name, references));
            let (picture, sha256) = picture.transpose()?.flatten().unzip();
            if let (Some(sha256), Some(reference)) = (sha256, &element.reference) {
                used.push(UsedReference {
                    element: element.id.clone(),
                    reference: reference.clone(),
                    sha256,
                });
            }
            // What has no place and no picture is in the caption.
            let tied = element.bbox.is_some() && self.arm == Arm::Boxes;
            if tied || picture.is_some() {
                things.push(Thing {
                    phrase: of_element(element),
                    bbox: element.bbox.filter(|_| tied).map(|bbox| bbox.0),
                    picture,
                });
            }
        }
        if let StageOp::Repair {
            bbox, instruction, ..
        } = op
        {
            things.push(Thing {
                phrase: instruction.clone(),
                bbox: Some(bbox.0),
                picture: None,
            });
        }
        if let Some(sent) = used.first()
            && !self.reads_pictures
        {
            return Err(EngineError::Impossible(format!(
                "this renderer reads no pictures: leave {:?} out, or describe it in the prompt",
                sent.reference
            )));
        }

        let mut prompts = vec![self.caption(plan, op)];
        prompts.extend(things.iter().map(|thing| thing.phrase.clone()));
        if self.guided {
            prompts.push(String::new());
        }
        let mut states = self.encoder.states(&prompts).map_err(failed)?;
        let negative = if self.guided { states.pop() } else { None };
        let mut states = states.into_iter();
        let base = states.next().ok_or_else(|| failed("no text states"))?;
        let short = |states: Tensor| states.narrow(0, 0, states.size()[0].min(THING_STATES));
        let things = things
            .into_iter()
            .zip(states)
            .map(|(thing, states)| RenderThing {
                states: short(states),
                bbox: thing.bbox,
                reference: thing.picture,
            })
            .collect();
        let scene = RenderScene {
            base,
            things,
            negative,
        };
        Ok(Told {
            scene,
            references: used,
            texts: Looked::default(),
        })
    }
}

impl Prompts<'_> {
    /// The picture of a thing, with the digest of its file. Without a library, things of one are drawn from their words.
    fn picture(
        &self,
        reference: &str,
        references: &[Reference],
    ) -> Result<Option<(RgbaImage, Sha256)>, EngineError> {
        if let Some(name) = reference.strip_prefix("refs/") {
            let sent = sent(name, references)?;
            return Ok(Some((sent.picture.clone(), sent.sha256)));
        }
        if self.props.props().is_empty() {
            return Ok(None);
        }
        let name = reference.strip_prefix("props/").unwrap_or(reference);
        let (_, picture, sha256) = of_library(name, self.props)?;
        Ok(Some((picture, sha256)))
    }

    /// What the whole picture shows, or how it changes.
    fn caption(&self, plan: &Plan, op: &StageOp) -> String {
        match op {
            StageOp::Generate { caption } if self.arm == Arm::Caption => {
                structured(plan, caption).unwrap_or_else(|| plain(plan, caption))
            }
            StageOp::Generate { caption } if !caption.is_empty() => caption.clone(),
            StageOp::Edit { instruction, .. } if self.reads_pictures => instruction.clone(),
            StageOp::Edit { instruction, .. } if *instruction == plan.caption => {
                instruction.clone()
            }
            // What is not seen must be said.
            StageOp::Edit { instruction, .. } => format!("{} {instruction}", plan.caption),
            _ => plan.caption.clone(),
        }
    }
}

/// The stage's words, else the plan's.
fn plain(plan: &Plan, caption: &str) -> String {
    let words = if caption.is_empty() {
        &plan.caption
    } else {
        caption
    };
    words.to_owned()
}

/// The plan as FLUX.2 reads structured prompts: what is where, in words; none when nothing has a place.
fn structured(plan: &Plan, caption: &str) -> Option<String> {
    let subjects: Vec<serde_json::Value> = plan
        .elements
        .iter()
        .filter_map(|element| {
            let position = position(element.bbox?.center());
            Some(serde_json::json!({"description": of_element(element), "position": position}))
        })
        .collect();
    (!subjects.is_empty()).then(|| {
        let prompt = serde_json::json!({
            "scene": plain(plan, caption),
            "subjects": subjects,
            "style": plan.style,
            "lighting": plan.lighting,
            "background": plan.background,
        });
        prompt.to_string()
    })
}

/// A point of the picture in words, by thirds.
fn position((x, y): (f32, f32)) -> String {
    let third = |at: f32, names: [&'static str; 3]| match at {
        at if at < 1.0 / 3.0 => names[0],
        at if at > 2.0 / 3.0 => names[2],
        _ => names[1],
    };
    let row = third(y, ["top", "middle", "bottom"]);
    let column = third(x, ["left", "center", "right"]);
    format!("{row} {column}")
}

#[cfg(test)]
mod tests {
    use atelier_proto::plan::{BBox, Element};

    use super::*;

    #[test]
    fn a_structured_caption_says_where_things_are_and_needs_places() {
        let mut plan = Plan::direct("a cat");
        assert_eq!(structured(&plan, ""), None);
        plan.background = "beach".into();
        plan.elements.push(Element {
            id: "cat".into(),
            noun: "cat".into(),
            count: 1,
            attributes: vec!["with a \"hat\"".into()],
            colors: vec!["red".into()],
            bbox: Some(BBox([0.0, 0.7, 0.3, 1.0])),
            reference: None,
        });
        let prompt: serde_json::Value =
            serde_json::from_str(&structured(&plan, "by night").unwrap()).unwrap();
        assert_eq!(prompt["scene"], "by night");
        assert_eq!(prompt["background"], "beach");
        let subject = &prompt["subjects"][0];
        assert_eq!(subject["position"], "bottom left");
        assert_eq!(subject["description"], "a red cat, with a \"hat\"");
    }
}
