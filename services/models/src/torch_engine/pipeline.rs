//! A published pipeline as diffusers lays it out, as a model of the farm: it draws, its text encoder reads the plan's own words, and the same
//! copy of that language model plans.

use std::{
    path::{Path, PathBuf},
    rc::Rc,
};

use atelier_proto::{
    job::JobKind,
    subject::{check_token, token_of},
};
use tch::Device;

use super::{
    Returned, Sources, TorchEngine,
    drafts::Drafts,
    load::{Digesting, LoadError, reading_critic, reading_critic_resident, resident, timed},
    reader::Reader,
};
use crate::{
    checkpoint::CheckpointError,
    device,
    language::{Decoder, DecoderConfig, LanguageError, Reading, TextEncoder, Tokenizer, kind_for},
    planner::{Planner, PlannerError},
    renderer::{ModelIndex, Pipeline, Renderer},
    residency::Residency,
    weights::Weights,
};

/// Whether a folder is a pipeline's.
pub fn is_pipeline(dir: &Path) -> bool {
    dir.join(ModelIndex::FILE).is_file() && !dir.join("model.json").exists()
}

impl TorchEngine {
    /// Loads what `roles` need of a pipeline; it can plan and draw, and look where a critic that reads comes with it.
    pub(super) fn load_pipeline(
        sources: &Sources,
        roles: &[JobKind],
        device: Device,
    ) -> Result<Self, LoadError> {
        let dir = &sources.model;
        let has = |role| roles.contains(&role);
        if has(JobKind::Critique) && sources.reading_critic().is_none() {
            return Err(LoadError::of(dir)(
                "a pipeline plans and draws, it does not look at pictures: use --critic DIR with a Qwen3-VL folder, or --roles plan,render and other workers for the rest",
            ));
        }
        let props = sources.prop_library()?;
        let pipeline = ModelIndex::read(dir).and_then(|index| index.pipeline());
        let pipeline = pipeline.map_err(LoadError::of(&dir.join(ModelIndex::FILE)))?;
        if !props.props().is_empty() && !pipeline.reads_pictures() {
            return Err(LoadError::of(dir)(
                "this renderer reads no pictures: leave --props out, or use a model of the FLUX.2 klein family",
            ));
        }
        let residency = residency(sources, device).map_err(LoadError::of(dir))?;
        for line in residency.lines(roles) {
            tracing::info!("{line}");
        }
        residency.check(roles).map_err(LoadError::of(dir))?;
        let digests = Digesting::start(parts(sources, roles));
        let renderer = has(JobKind::Render).then(|| {
            timed("renderer", || {
                Renderer::load(dir, device).map_err(LoadError::of(dir))
            })
        });
        let renderer = renderer.transpose()?;
        let folder = dir.join("text_encoder");
        let words = timed("language model", || {
            Words::load(dir, renderer.as_ref(), has(JobKind::Plan), device)
                .map_err(LoadError::of(&folder))
        })?;
        if let (Some(encoder), Some(renderer)) = (&words.encoder, &renderer)
            && encoder.channels() != renderer.text_channels()
        {
            return Err(LoadError::of(dir)(format!(
                "its text encoder gives states of {} numbers, its transformer reads {}",
                encoder.channels(),
                renderer.text_channels()
            )));
        }
        Ok(Self {
            name: name(dir)?,
            device,
            roles: roles.to_vec(),
            digests: digests.finish().map_err(LoadError::of(dir))?,
            props,
            stand_ins: None,
            planner: words.planner,
            drafts: Drafts::default(),
            reader: words
                .encoder
                .map(|encoder| Reader::Prompts(Box::new(encoder))),
            renderer,
            critic: None,
            reading_critic: reading_critic(sources, roles, device)?,
            _returned: Returned,
        })
    }
}

/// What jobs of each kind are done with.
fn parts(sources: &Sources, roles: &[JobKind]) -> Vec<(JobKind, Vec<PathBuf>)> {
    let of = |role| {
        let names: &[&str] = match role {
            JobKind::Plan => &["text_encoder", "tokenizer"],
            JobKind::Render => &[
                ModelIndex::FILE,
                "scheduler",
                "text_encoder",
                "tokenizer",
                "transformer",
                "vae",
            ],
            JobKind::Critique => &[],
        };
        let own = names.iter().map(|name| sources.model.join(name));
        let other = match role {
            JobKind::Plan | JobKind::Render => sources.props(),
            JobKind::Critique => sources.reading_critic(),
        };
        (role, own.chain(other).collect())
    };
    roles.iter().map(|role| of(*role)).collect()
}

/// What reads and writes words, on one copy of the weights.
struct Words {
    encoder: Option<TextEncoder>,
    planner: Option<Planner>,
}

impl Words {
    /// The encoder that `renderer` is told with, and the planner where one is wanted; without one, only the layers that are tapped are read.
    fn load(
        dir: &Path,
        renderer: Option<&Renderer>,
        plans: bool,
        device: Device,
    ) -> Result<Self, PlannerError> {
        let reading = renderer.map(|renderer| -> fn(usize) -> Reading {
            match renderer.pipeline() {
                Pipeline::ZImage => Reading::z_image,
                Pipeline::Klein | Pipeline::KleinBase => |_| Reading::klein(),
            }
        });
        if !plans {
            let encoder = reading.map(|reading| TextEncoder::load(dir, reading, device));
            return Ok(Self {
                encoder: encoder.transpose()?,
                planner: None,
            });
        }
        let decoder = Rc::new(decoder(&dir.join("text_encoder"), device)?);
        let tokenizer = dir.join("tokenizer");
        let encoder = reading.map(|reading| {
            TextEncoder::new(decoder.clone(), &tokenizer, reading(decoder.layers()))
        });
        let encoder = encoder.transpose()?;
        let tokenizer = Rc::new(Tokenizer::from_json(&tokenizer.join("tokenizer.json"))?);
        Ok(Self {
            encoder,
            planner: Some(Planner::instructed(decoder, tokenizer)?),
        })
    }
}

/// All layers of the language model.
fn decoder(dir: &Path, device: Device) -> Result<Decoder, LanguageError> {
    let config = DecoderConfig::from_json(&dir.join("config.json"))?;
    let weights = Weights::load_dir(dir)?
        .to_kind(kind_for(device))
        .to_device(device);
    let decoder = Decoder::load(config, &weights, None)?;
    weights.refuse_extra(|name| decoder.spares(name))?;
    Ok(decoder)
}

/// The folder's name as subjects can have it: `FLUX.2-klein-4B` is `FLUX-2-klein-4B`.
fn name(dir: &Path) -> Result<String, LoadError> {
    let full = dir.canonicalize().map_err(LoadError::of(dir))?;
    let name = token_of(&full.file_name().unwrap_or_default().to_string_lossy());
    check_token(&name).map_err(LoadError::of(dir))?;
    Ok(name)
}

/// What would be on the device, from headers alone.
fn residency(sources: &Sources, device: Device) -> Result<Residency, CheckpointError> {
    let dir = &sources.model;
    let (all, draws) = ([JobKind::Plan, JobKind::Render], [JobKind::Render]);
    let parts = [
        (
            "language model",
            "text_encoder",
            &all[..],
            "planner and text encoder share one copy",
        ),
        ("transformer", "transformer", &draws, "it draws"),
        ("autoencoder", "vae", &draws, "it decodes pictures"),
    ];
    let kind = kind_for(device);
    let mut residents = parts
        .into_iter()
        .map(|(name, folder, roles, why)| resident(name, &dir.join(folder), roles, kind, why))
        .collect::<Result<Vec<_>, CheckpointError>>()?;
    residents.extend(reading_critic_resident(sources, device)?);
    Ok(Residency {
        device: device::name(device),
        free: device::memory(device).map(|memory| memory.free),
        residents,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planner_and_text_encoder_share_one_copy_of_the_weights() {
        for family in ["klein", "zimage"] {
            let dir = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("tests/fixtures/parity/tiny")
                .join(family);
            let renderer = Renderer::load(&dir, Device::Cpu).unwrap();
            let words = Words::load(&dir, Some(&renderer), true, Device::Cpu).unwrap();
            let (encoder, planner) = (words.encoder.unwrap(), words.planner.unwrap());
            let holders = Rc::strong_count(encoder.decoder());
            drop(planner);
            assert_eq!((holders, Rc::strong_count(encoder.decoder())), (2, 1));
        }
    }

    #[test]
    fn names_fit_subjects() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("FLUX.2-klein-4B");
        std::fs::create_dir(&dir).unwrap();
        assert_eq!(name(&dir).unwrap(), "FLUX-2-klein-4B");
        assert!(name(Path::new("/nowhere/at all")).is_err());
    }
}
