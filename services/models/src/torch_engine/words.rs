//! From a plan's words to what the renderer reads: phrases as it was trained on, and the pictures of things.

use atelier_engine::{EngineError, Reference};
use atelier_proto::{
    Sha256,
    plan::{Element, Plan},
    report::UsedReference,
};
use image::RgbaImage;
use sha2::{Digest, Sha256 as Sha256Hash};

use crate::{
    critic::DetectorCritic,
    language::TextStates,
    props::{
        PropLibrary,
        vocabulary::{self, Background, Color, TimeOfDay},
    },
    renderer::{RenderScene, RenderThing},
};

/// What words are turned into pictures with.
pub struct Words<'a> {
    /// The text encoder.
    pub text: &'a TextStates,
    /// The prop library.
    pub props: &'a PropLibrary,
    /// Knows which colours things have of their own.
    pub critic: &'a DetectorCritic,
}

impl Words<'_> {
    /// The scene of a plan in the light that `light` names (the plan's own where it names none), with the pictures it was drawn with.
    pub fn scene(
        &self,
        plan: &Plan,
        light: &str,
        references: &[Reference],
    ) -> Result<(RenderScene, Vec<UsedReference>), EngineError> {
        let mut phrases = vec![base_phrase(plan, light)];
        let mut pictures = Vec::with_capacity(plan.elements.len());
        let mut used = Vec::new();
        for element in &plan.elements {
            phrases.push(self.thing_phrase(element));
            let picture = self.picture(element, references)?;
            if let (Some((_, sha256)), Some(reference)) = (&picture, &element.reference) {
                used.push(UsedReference {
                    element: element.id.clone(),
                    reference: reference.clone(),
                    sha256: *sha256,
                });
            }
            pictures.push(picture.map(|(picture, _)| picture));
        }
        let mut states = self.text.states(&phrases).map_err(failed)?.into_iter();
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
        Ok((RenderScene { base, things }, used))
    }

    /// `a red cat`: the library's name where the thing is drawn from it, the prompt's noun elsewhere.
    fn thing_phrase(&self, element: &Element) -> String {
        let prop = element
            .reference
            .as_deref()
            .and_then(|reference| reference.strip_prefix("props/"));
        let prop = prop.and_then(|name| self.props.get(name));
        let name = prop.map_or(element.noun.as_str(), |prop| prop.name.as_str());
        let article = prop.is_none_or(|prop| prop.article);
        let color = element.colors.iter().find_map(|word| Color::find(word));
        // A tomato that is asked for in red is drawn as it comes.
        let painted = color.filter(|color| !self.critic.is_own_color(name, color.name()));
        vocabulary::thing_phrase(name, painted, article)
    }

    /// The picture of an element, with the digest of its file.
    fn picture(
        &self,
        element: &Element,
        references: &[Reference],
    ) -> Result<Option<(RgbaImage, Sha256)>, EngineError> {
        let Some(reference) = &element.reference else {
            return Ok(None);
        };
        if let Some(name) = reference.strip_prefix("refs/") {
            let sent = references
                .iter()
                .find(|sent| sent.name == name)
                .ok_or_else(|| {
                    EngineError::Impossible(format!(
                        "the plan names the picture {name:?}, which the request did not bring"
                    ))
                })?;
            return Ok(Some((sent.picture.clone(), sent.sha256)));
        }
        let name = reference.strip_prefix("props/").unwrap_or(reference);
        let prop = self
            .props
            .get(name)
            .ok_or_else(|| EngineError::Impossible(format!("the library has no prop {name:?}")))?;
        let bytes = self.props.bytes(prop).map_err(failed)?;
        let picture = self.props.picture(prop).map_err(failed)?;
        Ok(Some((picture, Sha256(Sha256Hash::digest(&bytes).into()))))
    }
}

/// What is behind, as the renderer was trained to read it; the plan's own words where they are none of the small world's.
fn base_phrase(plan: &Plan, light: &str) -> String {
    let time = TimeOfDay::find(light)
        .or_else(|| TimeOfDay::find(&plan.lighting))
        .unwrap_or(TimeOfDay::Day);
    if plan.elements.is_empty() && plan.background.is_empty() {
        return plan.caption.clone();
    }
    match Background::find(&plan.background) {
        Some(background) => vocabulary::base_phrase(background, time),
        None => format!("{} {}", plan.background, time.phrases()[0]),
    }
}

fn failed(error: impl std::fmt::Display) -> EngineError {
    EngineError::Failed(error.to_string())
}
