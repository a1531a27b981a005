//! From a model's folder to an engine: what is needed is counted first, compared with what is free, then loaded part by part.

use std::{
    io,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
    thread::JoinHandle,
    time::Instant,
};

use atelier_proto::job::JobKind;
use tch::{Device, Kind};

use super::{
    Manifest, Returned, TorchEngine,
    digest::{Digests, digests},
    drafts::Drafts,
    pipeline::is_pipeline,
    reader::Reader,
};
use crate::{
    checkpoint::{Checkpoint, CheckpointError},
    critic::{DetectorCritic, ReadingCritic},
    device,
    language::{Decoder, DecoderConfig, LanguageError, TextStates, Tokenizer, kind_for},
    planner::Planner,
    props::{PropLibrary, StandIns},
    renderer::Renderer,
    residency::{Residency, Resident, size},
    weights::gguf::Gguf,
};

/// Where the parts of a model are.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The model's folder.
    pub model: PathBuf,
    /// The language model file that it was trained on; a pipeline brings its own.
    pub language: Option<PathBuf>,
    /// A Qwen3-VL folder that reads the checks' questions; none takes the model's own `critic` folder where it has one.
    pub critic: Option<PathBuf>,
    /// A library of things' pictures (`index.json` and one picture a thing); none takes the folder `props` of the model.
    pub props: Option<PathBuf>,
}

impl Sources {
    /// The folder of the library; a pipeline needs none.
    pub(super) fn props(&self) -> Option<PathBuf> {
        let own = self.model.join("props");
        let has_own = || own.join("index.json").exists() || !is_pipeline(&self.model);
        self.props
            .clone()
            .or_else(|| has_own().then(|| own.clone()))
    }

    /// The library; an empty one where there is none.
    pub(super) fn prop_library(&self) -> Result<Arc<PropLibrary>, LoadError> {
        let opened = self
            .props()
            .map(|dir| PropLibrary::open(&dir).map_err(LoadError::of(&dir)));
        Ok(Arc::new(opened.transpose()?.unwrap_or_default()))
    }

    /// The folder of the critic that reads questions, when there is one.
    pub(super) fn reading_critic(&self) -> Option<PathBuf> {
        let own = self.model.join("critic");
        self.critic
            .clone()
            .or_else(|| own.join("config.json").exists().then_some(own))
    }
}

/// Why a model is not usable, as one chain of causes.
#[derive(Debug, thiserror::Error)]
#[error("cannot load {part}: {reason}")]
pub struct LoadError {
    part: String,
    reason: String,
}

impl LoadError {
    pub(super) fn of<'a, E: std::fmt::Display>(part: &'a Path) -> impl FnOnce(E) -> Self + 'a {
        move |reason| Self {
            part: part.display().to_string(),
            reason: reason.to_string(),
        }
    }
}

impl TorchEngine {
    /// Loads what `roles` need. `device` is `auto`, `cpu` or `cuda:N`. What does not fit into the device's memory is refused before any
    /// tensor is read.
    pub fn load(sources: &Sources, roles: &[JobKind], device: &str) -> Result<Self, LoadError> {
        let dir = &sources.model;
        let device = device::open(device).map_err(LoadError::of(Path::new(device)))?;
        if is_pipeline(dir) {
            return Self::load_pipeline(sources, roles, device);
        }
        let manifest = Manifest::read(dir).map_err(LoadError::of(dir))?;
        let language = sources.language.as_deref().ok_or_else(|| {
            LoadError::of(dir)(
                "--language FILE is needed: the language model that it was trained with (GGUF)",
            )
        })?;
        let residency = residency(sources, language, device).map_err(LoadError::of(dir))?;
        for line in residency.lines(roles) {
            tracing::info!("{line}");
        }
        residency.check(roles).map_err(LoadError::of(dir))?;

        let start = Instant::now();
        let digests = Digesting::start(parts(sources, language, roles));
        let has = |role| roles.contains(&role);
        let props = sources.prop_library()?;
        let words = (has(JobKind::Plan) || has(JobKind::Render)).then(|| {
            timed("language model", || {
                language_parts(
                    dir,
                    language,
                    &manifest.text_taps,
                    has(JobKind::Plan).then_some(&*props),
                    device,
                )
            })
        });
        let words = words.transpose()?;
        let part = |name: &str| dir.join(name);
        let renderer = has(JobKind::Render).then(|| {
            let dir = part("renderer");
            timed("renderer", || {
                Renderer::load(&dir, device).map_err(LoadError::of(&dir))
            })
        });
        // Drawing needs the critic's words too: which things have which colour of their own.
        let critic = (has(JobKind::Critique) || has(JobKind::Render)).then(|| {
            let dir = part("detector");
            timed("detector", || {
                DetectorCritic::load(&dir, props.clone(), device).map_err(LoadError::of(&dir))
            })
        });
        let (text, stand_ins, planner) = match words {
            Some(words) => (Some(words.text), words.stand_ins, words.planner),
            None => (None, None, None),
        };
        let reading_critic = reading_critic(sources, roles, device)?;
        let engine = Self {
            name: manifest.name,
            device,
            roles: roles.to_vec(),
            digests: digests.finish().map_err(LoadError::of(dir))?,
            stand_ins,
            props,
            reader: text.map(Reader::Phrases),
            planner,
            drafts: Drafts::default(),
            renderer: renderer.transpose()?,
            critic: critic.transpose()?,
            reading_critic,
            _returned: Returned,
        };
        // Files were read and numbers converted on the way.
        device::give_back();
        let free = device::memory(device).map(|memory| size(memory.free));
        tracing::info!(
            load_ms = start.elapsed().as_millis() as u64,
            free = free.unwrap_or_default(),
            "the model is loaded"
        );
        Ok(engine)
    }
}

/// Digests that are made while networks are loaded: both read the same files.
pub(super) struct Digesting(JoinHandle<io::Result<Digests>>);

impl Digesting {
    /// Begins with the files of each kind of job.
    pub(super) fn start(parts: Vec<(JobKind, Vec<PathBuf>)>) -> Self {
        Self(std::thread::spawn(move || digests(&parts)))
    }

    /// Waits for what is left to be read.
    pub(super) fn finish(self) -> io::Result<Digests> {
        let panicked = |_| Err(io::Error::other("reading the model's files panicked"));
        self.0.join().unwrap_or_else(panicked)
    }
}

/// What jobs of each kind are done with.
fn parts(sources: &Sources, language: &Path, roles: &[JobKind]) -> Vec<(JobKind, Vec<PathBuf>)> {
    let of = |role| {
        let names: &[&str] = match role {
            JobKind::Plan => &["model.json", "planner"],
            JobKind::Render => &["model.json", "renderer", "detector"],
            JobKind::Critique => &["detector"],
        };
        let own = names.iter().map(|name| sources.model.join(name));
        let other = match role {
            JobKind::Plan | JobKind::Render => Some(language.to_owned()),
            JobKind::Critique => sources.reading_critic(),
        };
        (role, own.chain(sources.props()).chain(other).collect())
    };
    roles.iter().map(|role| of(*role)).collect()
}

/// The critic that reads questions, where there is one and it is needed.
pub(super) fn reading_critic(
    sources: &Sources,
    roles: &[JobKind],
    device: Device,
) -> Result<Option<ReadingCritic>, LoadError> {
    let wanted = roles.contains(&JobKind::Critique);
    let dir = sources.reading_critic().filter(|_| wanted);
    dir.map(|dir| {
        timed("critic", || {
            ReadingCritic::load(&dir, device).map_err(LoadError::of(&dir))
        })
    })
    .transpose()
}

/// The critic that reads questions as it would be on the device.
pub(super) fn reading_critic_resident(
    sources: &Sources,
    device: Device,
) -> Result<Option<Resident>, CheckpointError> {
    let why = "it reads questions; a picture is read once for all of them";
    let dir = sources.reading_critic();
    dir.map(|dir| resident("critic", &dir, &[JobKind::Critique], kind_for(device), why))
        .transpose()
}

/// Loads a part and says how long it took.
pub(super) fn timed<T>(
    part: &str,
    load: impl FnOnce() -> Result<T, LoadError>,
) -> Result<T, LoadError> {
    let start = Instant::now();
    let loaded = load()?;
    tracing::info!(part, load_ms = start.elapsed().as_millis() as u64, "loaded");
    Ok(loaded)
}

/// What would be on the device, from headers alone.
fn residency(
    sources: &Sources,
    language: &Path,
    device: Device,
) -> Result<Residency, CheckpointError> {
    use JobKind::{Critique, Plan, Render};
    let dir = &sources.model;
    let networks = [
        (
            "language model",
            language.to_owned(),
            // Its states are what every role but looking reads.
            &[Plan, Render][..],
            kind_for(device),
            "planner and text encoder share one copy",
        ),
        (
            "adapter of the planner",
            dir.join("planner"),
            &[Plan],
            kind_for(device),
            "merged for planning",
        ),
        (
            "transformer",
            dir.join("renderer/transformer"),
            &[Render],
            kind_for(device),
            "it draws",
        ),
        (
            "autoencoder",
            dir.join("renderer/vae"),
            &[Render],
            kind_for(device),
            "it decodes pictures",
        ),
        (
            "detector",
            dir.join("detector"),
            &[Render, Critique],
            Kind::Float,
            "it looks at pictures, and knows colours for drawing",
        ),
    ];
    let mut residents = networks
        .into_iter()
        .map(|(name, path, roles, kind, why)| resident(name, &path, roles, kind, why))
        .collect::<Result<Vec<_>, CheckpointError>>()?;
    residents.extend(reading_critic_resident(sources, device)?);
    Ok(Residency {
        device: device::name(device),
        free: device::memory(device).map(|memory| memory.free),
        residents,
    })
}

/// A network of a checkpoint's folder as it would be on the device.
pub(super) fn resident(
    name: &str,
    path: &Path,
    roles: &[JobKind],
    kind: Kind,
    why: &'static str,
) -> Result<Resident, CheckpointError> {
    let checkpoint = Checkpoint::open(path)?;
    Ok(Resident {
        name: name.to_owned(),
        bytes: checkpoint.bytes(kind.elt_size_in_bytes() as u64),
        roles: roles.to_vec(),
        why,
    })
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
