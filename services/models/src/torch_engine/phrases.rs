//! From a plan's words to what the small renderer reads: phrases as it was trained on, and the pictures of things.

use atelier_engine::{EngineError, Looked, Reference, RenderInput};
use atelier_proto::{
    Sha256,
    plan::{Element, Plan, StageOp, sent_picture},
    report::UsedReference,
};
use image::RgbaImage;
use sha2::{Digest, Sha256 as Sha256Hash};

use super::render::{Told, Words};
use crate::{
    critic::DetectorCritic,
    language::TextStates,
    props::{
        Prop, PropLibrary, picture,
        vocabulary::{self, Background, Color, TimeOfDay},
    },
    renderer::{RenderScene, RenderThing},
};

/// What words are turned into pictures with.
pub struct Phrases<'a> {
    /// The text encoder.
    pub text: &'a TextStates,
    /// The prop library.
    pub props: &'a PropLibrary,
    /// Knows which colours things have of their own.
    pub critic: &'a DetectorCritic,
}

impl Words for Phrases<'_> {
    /// In the light that the stage names, or the plan where it names none.
    fn told(&self, input: &RenderInput, op: &StageOp) -> Result<Told, EngineError> {
        let named = self.named_by(op, &input.plan);
        let plan = named.as_ref().unwrap_or(&input.plan);
        let light = match op {
            StageOp::Generate { caption } => caption.split("light:").last().unwrap_or_default(),
            StageOp::Edit { instruction, .. } => instruction,
            // A box of a picture has the light of the picture around it.
            StageOp::Repair { .. } | StageOp::Blend { .. } => "",
        };
        let mut phrases = vec![base_phrase(plan, ground(op), light)];
        let mut pictures = Vec::with_capacity(plan.elements.len());
        let mut used = Vec::new();
        for element in &plan.elements {
            phrases.push(self.thing_phrase(element));
            let picture = self.picture(element, &input.references)?;
            if let (Some((_, sha256)), Some(reference)) = (&picture, &element.reference) {
                used.push(UsedReference {
                    element: element.id.clone(),
                    reference: reference.clone(),
                    sha256: *sha256,
                });
            }
            pictures.push(picture.map(|(picture, _)| picture));
        }
        let mut texts = Looked::default();
        let states = phrases.iter().map(|phrase| {
            // Each by itself: in company low bits come out differently, and a picture that is drawn again would depend on what is kept from others.
            if !input.reuse {
                return self.text.states(std::slice::from_ref(phrase));
            }
            let (states, hit) = self.text.kept(phrase)?;
            texts.count(hit);
            Ok(vec![states])
        });
        let states: Result<Vec<_>, _> = states.collect();
        let mut states = states.map_err(failed)?.into_iter().flatten();
        let base = states.next().ok_or_else(|| failed("no text states"))?;
        let things = plan
            .elements
            .iter()
            .zip(states)
            .zip(pictures)
            .map(|((element, states), reference)| RenderThing {
                states,
                bbox: element.bbox.map(|bbox| bbox.0),
                reference,
            })
            .collect();
        let scene = RenderScene {
            base,
            things,
            negative: None,
        };
        Ok(Told {
            scene,
            references: used,
            texts,
        })
    }
}

impl Phrases<'_> {
    /// A repair of the user's own picture comes without a plan of its things: what its instruction names is drawn from the library, in the box.
    fn named_by(&self, op: &StageOp, plan: &Plan) -> Option<Plan> {
        let StageOp::Repair {
            input,
            bbox,
            instruction,
        } = op
        else {
            return None;
        };
        if sent_picture(input).is_none() || !plan.elements.is_empty() {
            return None;
        }
        let prop = self.props.find(instruction)?;
        let color = Color::find(instruction);
        let element = Element {
            id: "asked".to_owned(),
            noun: prop.name.clone(),
            count: 1,
            attributes: Vec::new(),
            colors: color
                .map(|color| color.name().to_owned())
                .into_iter()
                .collect(),
            bbox: Some(*bbox),
            reference: Some(format!("props/{}", prop.name)),
        };
        Some(Plan {
            elements: vec![element],
            ..plan.clone()
        })
    }

    /// `a red cat`: the library's name where the thing is drawn from it, the prompt's noun elsewhere.
    fn thing_phrase(&self, element: &Element) -> String {
        let prop = self.prop_of(element);
        let name = prop.map_or(element.noun.as_str(), |prop| prop.name.as_str());
        let article = prop.is_none_or(|prop| prop.article);
        vocabulary::thing_phrase(name, self.color_of(element, name), article)
    }

    /// The library's thing that an element is drawn from.
    fn prop_of(&self, element: &Element) -> Option<&Prop> {
        let name = element.reference.as_deref()?.strip_prefix("props/")?;
        self.props.get(name)
    }

    /// The colour in which something of this name is to be painted: a tomato that is asked for in red is drawn as it comes.
    fn color_of(&self, element: &Element, name: &str) -> Option<Color> {
        let color = element.colors.iter().find_map(|word| Color::find(word));
        color.filter(|color| !self.critic.is_own_color(name, color.name()))
    }

    /// The picture of an element, in the plan's colour where it is the library's, with the digest of its file.
    fn picture(
        &self,
        element: &Element,
        references: &[Reference],
    ) -> Result<Option<(RgbaImage, Sha256)>, EngineError> {
        let Some(reference) = &element.reference else {
            return Ok(None);
        };
        if let Some(name) = reference.strip_prefix("refs/") {
            let sent = sent(name, references)?;
            return Ok(Some((sent.picture.clone(), sent.sha256)));
        }
        let name = reference.strip_prefix("props/").unwrap_or(reference);
        let (prop, picture, sha256) = of_library(name, self.props)?;
        // The renderer copies a picture better than it recolours one. What the user sent stays as it is.
        let picture = match self.color_of(element, &prop.name) {
            Some(color) => picture::painted(&picture, color),
            None => picture,
        };
        Ok(Some((picture, sha256)))
    }
}

/// The library's thing of a name with its picture, and the digest of its file.
pub fn of_library<'a>(
    name: &str,
    props: &'a PropLibrary,
) -> Result<(&'a Prop, RgbaImage, Sha256), EngineError> {
    let prop = props
        .get(name)
        .ok_or_else(|| EngineError::Impossible(format!("the library has no prop {name:?}")))?;
    let bytes = props.bytes(prop).map_err(failed)?;
    let picture = props.picture(prop).map_err(failed)?;
    Ok((prop, picture, Sha256(Sha256Hash::digest(&bytes).into())))
}

/// The picture that the user sent for a noun.
pub fn sent<'a>(name: &str, references: &'a [Reference]) -> Result<&'a Reference, EngineError> {
    let named = |sent: &&Reference| sent.name == name;
    references.iter().find(named).ok_or_else(|| {
        EngineError::Impossible(format!(
            "the plan names the picture {name:?}, which the request did not bring"
        ))
    })
}

/// What is behind, as the renderer was trained to read it; the plan's own words where they are none of the small world's.
fn base_phrase(plan: &Plan, ground: Option<&str>, light: &str) -> String {
    let time = TimeOfDay::find(light)
        .or_else(|| TimeOfDay::find(&plan.lighting))
        .unwrap_or(TimeOfDay::Day);
    if plan.elements.is_empty() && plan.background.is_empty() {
        return plan.caption.clone();
    }
    let named = ground.filter(|ground| Background::find(ground).is_some());
    let background = named.unwrap_or(&plan.background);
    match Background::find(background) {
        Some(background) => vocabulary::base_phrase(background, time),
        None => format!("{background} {}", time.phrases()[0]),
    }
}

/// What a stage says is behind, where it says so otherwise than the plan: `..; background: a beach, light: day.`
fn ground(op: &StageOp) -> Option<&str> {
    let words = match op {
        StageOp::Generate { caption } => caption,
        StageOp::Edit { instruction, .. } => instruction,
        StageOp::Blend { .. } | StageOp::Repair { .. } => return None,
    };
    let (_, behind) = words.rsplit_once("background: ")?;
    Some(
        behind
            .rsplit_once(", light:")
            .map_or(behind, |(ground, _)| ground),
    )
}

/// Something went wrong that was not asked wrongly.
pub fn failed(error: impl std::fmt::Display) -> EngineError {
    EngineError::Failed(error.to_string())
}
