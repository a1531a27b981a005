//! The engine on libtorch: glue between the seam and the networks, no arithmetic of its own.

mod manifest;
mod render;
mod words;

use std::{path::Path, rc::Rc, sync::Arc};

use atelier_engine::{
    Control, CritiqueInput, Engine, EngineError, PlanInput, PlanOutput, RenderInput, RenderOutput,
    planning::{Studio, make_plan},
};
use atelier_proto::{job::JobKind, report::Thought, review::Review};
use tch::Device;

pub use manifest::{Manifest, ManifestError};

use crate::{
    critic::DetectorCritic,
    device,
    language::{Decoder, DecoderConfig, LanguageError, TextStates, Tokenizer, kind_for},
    planner::{Planner, PlannerError},
    props::{PropLibrary, StandIns},
    renderer::Renderer,
    weights::gguf::Gguf,
};

/// Everything that was loaded for a worker's roles. One thread owns it.
pub struct TorchEngine {
    manifest: Manifest,
    device: Device,
    roles: Vec<JobKind>,
    props: Arc<PropLibrary>,
    text: TextStates,
    /// Finds the thing that may stand for another, for planning.
    stand_ins: Option<StandIns>,
    planner: Option<Planner>,
    renderer: Option<Renderer>,
    critic: Option<DetectorCritic>,
}

/// Why a model is not usable, as one chain of causes.
#[derive(Debug, thiserror::Error)]
#[error("cannot load {part}: {reason}")]
pub struct LoadError {
    part: String,
    reason: String,
}

impl LoadError {
    fn of<'a, E: std::fmt::Display>(part: &'a Path) -> impl FnOnce(E) -> Self + 'a {
        move |reason| Self {
            part: part.display().to_string(),
            reason: reason.to_string(),
        }
    }
}

impl TorchEngine {
    /// Loads what `roles` need of the model in `dir`, with the language model file that it was trained on. `device` is `auto`, `cpu` or
    /// `cuda:N`.
    pub fn load(
        dir: &Path,
        language: &Path,
        roles: &[JobKind],
        device: &str,
    ) -> Result<Self, LoadError> {
        let manifest = Manifest::read(dir).map_err(LoadError::of(dir))?;
        let device = device::open(device).map_err(LoadError::of(Path::new(device)))?;
        let has = |role| roles.contains(&role);
        let props_dir = dir.join("props");
        let props = Arc::new(PropLibrary::open(&props_dir).map_err(LoadError::of(&props_dir))?);
        let LanguageParts {
            text,
            stand_ins,
            planner,
        } = language_parts(
            dir,
            language,
            &manifest.text_taps,
            has(JobKind::Plan).then_some(&*props),
            device,
        )?;
        let part = |name: &str| dir.join(name);
        let renderer = has(JobKind::Render)
            .then(|| {
                Renderer::load(&part("renderer"), device).map_err(LoadError::of(&part("renderer")))
            })
            .transpose()?;
        // Drawing needs the critic's words too: which things have which colour of their own.
        let critic = (has(JobKind::Critique) || has(JobKind::Render))
            .then(|| {
                let dir = part("detector");
                DetectorCritic::load(&dir, props.clone(), device).map_err(LoadError::of(&dir))
            })
            .transpose()?;
        Ok(Self {
            manifest,
            device,
            roles: roles.to_vec(),
            stand_ins,
            props,
            text,
            planner,
            renderer,
            critic,
        })
    }

    fn lacks(&self, role: JobKind) -> EngineError {
        EngineError::Impossible(format!(
            "this worker has not loaded what {} jobs need",
            role.as_str()
        ))
    }
}

/// What reads and writes words, all on one copy of the language model's weights.
struct LanguageParts {
    text: TextStates,
    stand_ins: Option<StandIns>,
    planner: Option<Planner>,
}

/// The text encoder and, where planning is wanted, the planner and what it looks the library's things up with.
fn language_parts(
    dir: &Path,
    language: &Path,
    taps: &[usize],
    planning: Option<&PropLibrary>,
    device: Device,
) -> Result<LanguageParts, LoadError> {
    let open = || {
        let file = Gguf::open(language)?;
        let config = DecoderConfig::from_gguf(&file)?;
        let weights = file.weights(kind_for(device))?.to_device(device);
        Ok::<_, LanguageError>((config, weights, Rc::new(Tokenizer::from_gguf(&file)?)))
    };
    let (config, weights, tokenizer) = open().map_err(LoadError::of(language))?;
    let decoder = Decoder::load(config.clone(), &weights, None).map_err(LoadError::of(language))?;
    let decoder = Rc::new(decoder);
    let text = TextStates::new(decoder.clone(), tokenizer.clone(), taps)
        .map_err(LoadError::of(language))?;
    let stand_ins = planning
        .map(|props| StandIns::new(decoder, tokenizer.clone(), props))
        .transpose()
        .map_err(LoadError::of(language))?;
    let adapter = dir.join("planner");
    let planner = planning
        .map(|_| {
            Planner::new(config, &weights, tokenizer, &adapter).map_err(LoadError::of(&adapter))
        })
        .transpose()?;
    Ok(LanguageParts {
        text,
        stand_ins,
        planner,
    })
}

impl Engine for TorchEngine {
    fn model(&self) -> &str {
        &self.manifest.name
    }

    fn device(&self) -> String {
        device::name(self.device)
    }

    fn roles(&self) -> Vec<JobKind> {
        self.roles.clone()
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
        let drafted = planner.draft(&input.prompt, input.seed, &mut |tokens| {
            control.progress(tokens, 0, None);
            !control.canceled()
        });
        let drafted = drafted.map_err(|error| match error {
            PlannerError::Canceled => EngineError::Canceled,
            PlannerError::NoWords => EngineError::Impossible(error.to_string()),
            other => EngineError::Failed(other.to_string()),
        })?;
        let prop_of = |noun: &str| self.props.find(noun).map(|prop| prop.name.clone());
        let stand_in = |noun: &str| {
            // A noun that cannot be read has no stand-in.
            let (thing, _) = self.stand_ins.as_ref()?.find(noun).ok()??;
            Some(self.props.props().get(thing)?.name.clone())
        };
        let studio = Studio {
            reference_names: &input.reference_names,
            prop_of: &prop_of,
            stand_in: &stand_in,
        };
        let (plan, mut notes) = make_plan(&input.prompt, &drafted.draft, &studio, input.seed);
        if drafted.truncated {
            notes.push(
                "the prompt is longer than what the planner reads; its end was left out".into(),
            );
        }
        Ok(PlanOutput {
            plan,
            thought: Thought {
                text: drafted.text,
                tokens_sampled: drafted.tokens_sampled,
                tokens_forced: drafted.tokens_forced,
                notes,
            },
        })
    }

    fn render(
        &mut self,
        input: &RenderInput,
        control: &mut dyn Control,
    ) -> Result<RenderOutput, EngineError> {
        let lacking = self.lacks(JobKind::Render);
        let (Some(renderer), Some(critic)) = (&mut self.renderer, &self.critic) else {
            return Err(lacking);
        };
        let words = words::Words {
            text: &self.text,
            props: &self.props,
            critic,
        };
        render::render(renderer, &words, input, control)
    }

    fn critique(
        &mut self,
        input: &CritiqueInput,
        control: &mut dyn Control,
    ) -> Result<Review, EngineError> {
        let lacking = self.lacks(JobKind::Critique);
        let Some(critic) = &self.critic else {
            return Err(lacking);
        };
        if control.canceled() {
            return Err(EngineError::Canceled);
        }
        Ok(critic.review(&input.plan, &input.image))
    }
}
