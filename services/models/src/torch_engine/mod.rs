//! The engine on libtorch: glue between the seam and the networks, no arithmetic of its own.

mod digest;
mod drafts;
mod guard;
mod load;
mod manifest;
mod phrases;
mod pipeline;
mod planning;
mod plans;
mod prompts;
mod reader;
mod render;

use std::sync::Arc;

use atelier_engine::{
    Control, CritiqueInput, Engine, EngineError, PlanInput, PlanOutput, RenderInput, RenderOutput,
    planning::Studio,
};
use atelier_proto::{Sha256, job::JobKind, review::Review};
use tch::Device;

use digest::Digests;
use drafts::{Drafts, Key};
use guard::{guarded, halving};
pub use load::{LoadError, Sources};
pub use manifest::{Manifest, ManifestError};
use reader::Reader;

use crate::{
    critic::{DetectorCritic, ReadingCritic, qwen3_vl::Qwen3VlError},
    device,
    planner::{Planner, color_of, ground, means},
    props::{PropLibrary, StandIns, vocabulary::Background},
    renderer::Renderer,
};

/// Drawings that a GPU makes at once.
const BATCH_ON_GPU: usize = 4;

/// Plans that are drafted at once: what a pass takes longer for more of them is more than they save from here on.
const PLANS_AT_ONCE: usize = 4;

/// Everything that was loaded for a worker's roles. One thread owns it.
pub struct TorchEngine {
    /// In subjects and traces.
    name: String,
    device: Device,
    roles: Vec<JobKind>,
    digests: Digests,
    props: Arc<PropLibrary>,
    reader: Option<Reader>,
    /// Finds the thing that may stand for another, for planning.
    stand_ins: Option<StandIns>,
    planner: Option<Planner>,
    drafts: Drafts,
    renderer: Option<Renderer>,
    critic: Option<DetectorCritic>,
    /// Reads questions, where one is loaded beside the detector.
    reading_critic: Option<ReadingCritic>,
    /// The last field: dropped when all networks are gone.
    _returned: Returned,
}

/// Gives memory back to the system when it goes.
struct Returned;

impl Drop for Returned {
    fn drop(&mut self) {
        device::give_back();
    }
}

impl TorchEngine {
    fn lacks(&self, role: JobKind) -> EngineError {
        EngineError::Impossible(format!(
            "this worker has not loaded what {} jobs need",
            role.as_str()
        ))
    }
}

/// What planning knows of the world that is drawn.
struct World<'a> {
    props: &'a PropLibrary,
    stand_ins: Option<&'a StandIns>,
}

impl World<'_> {
    /// Does some work in the studio of a request.
    fn studio<T>(&self, input: &PlanInput, work: impl FnOnce(&Studio<'_>) -> T) -> T {
        let prop_of = |noun: &str| self.props.find(noun).map(|prop| prop.name.clone());
        let stand_in = |noun: &str| {
            // A noun that cannot be read has no stand-in.
            let (thing, _) = self.stand_ins?.find(noun).ok()??;
            Some(self.props.props().get(thing)?.name.clone())
        };
        // A table is a thing where there is one, before it means a room.
        let means = |word: &str| means(word).filter(|_| self.props.find(word).is_none());
        // Only the default model, which stand-ins belong to, draws this ground in this tone.
        let ground = |colors: &[&str]| match self.stand_ins {
            None => Background::Plain.name(),
            Some(_) => ground(colors),
        };
        work(&Studio {
            reference_names: &input.reference_names,
            prop_of: &prop_of,
            stand_in: &stand_in,
            means: &means,
            color_of: &color_of,
            ground: &ground,
        })
    }
}

impl Engine for TorchEngine {
    fn model(&self) -> &str {
        &self.name
    }

    fn device(&self) -> String {
        device::name(self.device)
    }

    fn roles(&self) -> Vec<JobKind> {
        self.roles.clone()
    }

    fn weights(&self, role: JobKind) -> Option<Sha256> {
        let mut told = self.digests.iter();
        told.find(|(kind, _)| *kind == role)
            .map(|(_, digest)| *digest)
    }

    fn plan(
        &mut self,
        input: &PlanInput,
        control: &mut dyn Control,
    ) -> Result<PlanOutput, EngineError> {
        let lacking = self.lacks(JobKind::Plan);
        let Some(planner) = &mut self.planner else {
            return Err(lacking);
        };
        let world = World {
            props: &self.props,
            stand_ins: self.stand_ins.as_ref(),
        };
        let key = Key::of(input, planner.thinks());
        let kept = self.drafts.get(key.as_ref());
        let looked = key.as_ref().map(|_| kept.is_some());
        let drafted = match kept {
            Some(drafted) => drafted,
            None => guarded(|| {
                world.studio(input, |studio| {
                    planning::draft(planner, studio, input, None, control)
                })
            })?,
        };
        self.drafts.keep(key, &drafted);
        Ok(world.studio(input, |studio| {
            planning::planned(studio, input, drafted, looked)
        }))
    }

    fn best_plan_batch(&self) -> usize {
        PLANS_AT_ONCE
    }

    /// Drafts are written side by side: a pass through the language model takes hardly longer for several.
    fn plan_batch(
        &mut self,
        inputs: &[&PlanInput],
        controls: &mut [&mut dyn Control],
    ) -> Vec<Result<PlanOutput, EngineError>> {
        if let ([input], [control]) = (inputs, &mut *controls) {
            return vec![self.plan(input, *control)];
        }
        let lacking = self.lacks(JobKind::Plan).to_string();
        let Some(planner) = &mut self.planner else {
            let lacks = |_| Err(EngineError::Impossible(lacking.clone()));
            return inputs.iter().map(lacks).collect();
        };
        let keys: Vec<Option<Key>> = inputs
            .iter()
            .map(|input| Key::of(input, planner.thinks()))
            .collect();
        let kept: Vec<_> = keys
            .iter()
            .map(|key| self.drafts.get(key.as_ref()))
            .collect();
        // One that thinks first thinks by itself.
        let alone: Vec<bool> = inputs
            .iter()
            .map(|input| planning::thinks(planner, input))
            .collect();
        let mut asked: Vec<plans::Asked<'_, '_>> = Vec::with_capacity(inputs.len());
        let all = inputs.iter().zip(controls.iter_mut()).zip(&kept);
        for (((input, control), kept), alone) in all.zip(&alone) {
            if kept.is_none() && !alone {
                let control: &mut dyn Control = &mut **control;
                asked.push((*input, control));
            }
        }
        let drafted = halving(&mut asked, &mut |asked| plans::draft(planner, asked));
        drop(asked);
        let world = World {
            props: &self.props,
            stand_ins: self.stand_ins.as_ref(),
        };
        let mut drafted = drafted.into_iter();
        let mut made = Vec::with_capacity(inputs.len());
        let all = inputs.iter().zip(controls).zip(keys).zip(kept);
        for ((((input, control), key), kept), alone) in all.zip(alone) {
            let looked = key.as_ref().map(|_| kept.is_some());
            let draft = match kept {
                Some(draft) => Ok(draft),
                None => {
                    let first = match alone {
                        true => Ok(None),
                        false => drafted
                            .next()
                            .unwrap_or(Err(EngineError::Canceled))
                            .map(Some),
                    };
                    // What is missed or asks for more thought is drafted again, each by itself.
                    let control: &mut dyn Control = &mut **control;
                    first.and_then(|first| {
                        guarded(|| {
                            world.studio(input, |studio| {
                                planning::draft(planner, studio, input, first, control)
                            })
                        })
                    })
                }
            };
            if let Ok(draft) = &draft {
                self.drafts.keep(key, draft);
            }
            made.push(draft.map(|draft| {
                world.studio(input, |studio| {
                    planning::planned(studio, input, draft, looked)
                })
            }));
        }
        made
    }

    fn render(
        &mut self,
        input: &RenderInput,
        control: &mut dyn Control,
    ) -> Result<RenderOutput, EngineError> {
        self.render_batch(&[input], &mut [control])
            .pop()
            .unwrap_or(Err(EngineError::Canceled))
    }

    fn is_dear(&self) -> bool {
        true
    }

    /// Several at once keep a GPU busier; the CPU's cores are busy with one.
    fn best_batch(&self) -> usize {
        match self.device {
            Device::Cpu => 1,
            _ => BATCH_ON_GPU,
        }
    }

    /// Half as many at a time where all at once do not fit into the device's memory.
    fn render_batch(
        &mut self,
        inputs: &[&RenderInput],
        controls: &mut [&mut dyn Control],
    ) -> Vec<Result<RenderOutput, EngineError>> {
        let words = self.reader.as_ref().zip(self.renderer.as_ref());
        let words = words.and_then(|(reader, renderer)| {
            reader.words(renderer, &self.props, self.critic.as_ref())
        });
        let (Some(renderer), Some(words)) = (&self.renderer, words) else {
            return inputs
                .iter()
                .map(|_| Err(self.lacks(JobKind::Render)))
                .collect();
        };
        let mut asked: Vec<render::Asked<'_, '_>> = Vec::with_capacity(inputs.len());
        for (input, control) in inputs.iter().zip(controls) {
            let control: &mut dyn Control = &mut **control;
            asked.push((*input, control));
        }
        halving(&mut asked, &mut |asked| {
            render::render(renderer, &*words, asked)
        })
    }

    fn critique(
        &mut self,
        input: &CritiqueInput,
        control: &mut dyn Control,
    ) -> Result<Review, EngineError> {
        if self.critic.is_none() && self.reading_critic.is_none() {
            return Err(self.lacks(JobKind::Critique));
        }
        if control.canceled() {
            return Err(EngineError::Canceled);
        }
        guarded(|| {
            let seen = self
                .critic
                .as_ref()
                .map(|critic| critic.review(&input.plan, &input.image));
            let Some(reading) = &self.reading_critic else {
                return seen.ok_or_else(|| self.lacks(JobKind::Critique));
            };
            let goes_on = || !control.canceled();
            reading
                .review(&input.plan, &input.image, seen, &goes_on)
                .map_err(|error| match error {
                    Qwen3VlError::Picture(_) => EngineError::Impossible(error.to_string()),
                    other => EngineError::Failed(other.to_string()),
                })?
                .ok_or(EngineError::Canceled)
        })
    }
}
