//! A published pipeline as diffusers lays it out, as a model of the farm: it draws, and its text encoder reads the plan's own words.

use std::{path::Path, sync::Arc};

use atelier_proto::{job::JobKind, subject::check_token};
use tch::Device;

use super::{
    Returned, Sources, TorchEngine,
    load::{LoadError, reading_critic, reading_critic_resident, resident, timed},
    reader::Reader,
};
use crate::{
    checkpoint::CheckpointError,
    device,
    language::{Reading, TextEncoder, kind_for},
    props::PropLibrary,
    renderer::{ModelIndex, Pipeline, Renderer},
    residency::Residency,
};

/// Whether a folder is a pipeline's.
pub fn is_pipeline(dir: &Path) -> bool {
    dir.join(ModelIndex::FILE).is_file() && !dir.join("model.json").exists()
}

impl TorchEngine {
    /// Loads what `roles` need of a pipeline; it can draw, and look where a critic that reads comes with it.
    pub(super) fn load_pipeline(
        sources: &Sources,
        roles: &[JobKind],
        device: Device,
    ) -> Result<Self, LoadError> {
        let dir = &sources.model;
        let looks = sources.reading_critic().is_some();
        let can = |role: JobKind| role == JobKind::Render || (looks && role == JobKind::Critique);
        if let Some(role) = roles.iter().find(|role| !can(**role)) {
            return Err(LoadError::of(dir)(format!(
                "a pipeline draws, it has nothing for {} jobs: use --roles render (with --critic DIR also critique), and other workers for the rest",
                role.as_str()
            )));
        }
        let residency = residency(sources, device).map_err(LoadError::of(dir))?;
        for line in residency.lines(roles) {
            tracing::info!("{line}");
        }
        residency.check(roles).map_err(LoadError::of(dir))?;
        let index_path = dir.join(ModelIndex::FILE);
        let renderer = timed("renderer", || {
            Renderer::load(dir, device).map_err(LoadError::of(dir))
        })?;
        let reading: fn(usize) -> Reading = match renderer.pipeline() {
            Pipeline::ZImage => Reading::z_image,
            Pipeline::Klein | Pipeline::KleinBase => |_| Reading::klein(),
        };
        let encoder = timed("text encoder", || {
            TextEncoder::load(dir, reading, device).map_err(LoadError::of(&index_path))
        })?;
        if encoder.channels() != renderer.text_channels() {
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
            props: Arc::new(PropLibrary::default()),
            stand_ins: None,
            planner: None,
            reader: Some(Reader::Prompts(encoder)),
            renderer: Some(renderer),
            critic: None,
            reading_critic: reading_critic(sources, roles, device)?,
            _returned: Returned,
        })
    }
}

/// The folder's name as subjects can have it: `FLUX.2-klein-4B` is `FLUX-2-klein-4B`.
fn name(dir: &Path) -> Result<String, LoadError> {
    let full = dir.canonicalize().map_err(LoadError::of(dir))?;
    let name: String = full
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' {
                c
            } else {
                '-'
            }
        })
        .collect();
    check_token(&name).map_err(LoadError::of(dir))?;
    Ok(name)
}

/// What would be on the device, from headers alone.
fn residency(sources: &Sources, device: Device) -> Result<Residency, CheckpointError> {
    let dir = &sources.model;
    let parts = [
        ("text encoder", "text_encoder", "it reads prompts"),
        ("transformer", "transformer", "it draws"),
        ("autoencoder", "vae", "it decodes pictures"),
    ];
    let kind = kind_for(device);
    let mut residents = parts
        .into_iter()
        .map(|(name, folder, why)| resident(name, &dir.join(folder), &[JobKind::Render], kind, why))
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
    fn names_fit_subjects() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("FLUX.2-klein-4B");
        std::fs::create_dir(&dir).unwrap();
        assert_eq!(name(&dir).unwrap(), "FLUX-2-klein-4B");
        assert!(name(Path::new("/nowhere/at all")).is_err());
    }
}
