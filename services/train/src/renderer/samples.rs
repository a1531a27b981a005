//! Sheets of what the renderer draws so far, of scenes and things that it never trained on.

use std::{path::Path, sync::Arc};

use anyhow::Context;
use atelier_models::renderer::{
    TransformerInput, autoencoder::Autoencoder, klein::Transformer, regions, schedule::Schedule,
};
use image::RgbImage;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};

use super::{
    batch::{FULL, Maker, Packed, Sample, pixels},
    export::SCHEDULE,
    phrases::Phrases,
};
use crate::{
    autoencoder::{batch::pictures, export as autoencoder},
    composer::{Library, Scene, sheet},
    run::Session,
};

/// Scenes of a sheet.
const SCENES: usize = 8;

/// Scenes in a row.
const COLUMNS: usize = 4;

/// Denoise steps.
const STEPS: u32 = 12;

/// A seed that no training step has.
const HELD_OUT: u64 = u64::MAX - 7;

/// Fixed scenes to draw.
pub struct Samples {
    autoencoder: Autoencoder,
    sheets: Vec<Sheet>,
}

struct Sheet {
    name: &'static str,
    composed: Vec<RgbImage>,
    shown: Vec<Sample>,
    told: Vec<Sample>,
}

impl Samples {
    /// Scenes of trained things, and scenes of the things that are held out.
    pub fn new(folder: &Path, library: &Arc<Library>, phrases: &Phrases) -> anyhow::Result<Self> {
        let mut maker = Maker::new(
            autoencoder::read(folder, Kind::Float)?,
            Arc::clone(library),
            phrases.known(),
        );
        let unseen: Vec<usize> = (0..library.props().len())
            .filter(|index| library.props()[*index].held_out)
            .collect();
        let mut rng = ChaCha8Rng::seed_from_u64(HELD_OUT);
        let mut sheets = Vec::new();
        for (name, things, most) in [
            ("samples.png", library.drawn(), 4),
            ("unseen.png", unseen.as_slice(), 3),
        ] {
            let scenes: Vec<Scene> = (0..SCENES)
                .map(|_| Scene::random_of(things, &mut rng, most))
                .collect();
            let composed = scenes
                .iter()
                .map(|scene| scene.draw(library, pixels(FULL.rows), &mut rng))
                .collect();
            let mut told = |references: bool| -> Vec<Sample> {
                scenes
                    .iter()
                    .map(|scene| maker.plain(scene.clone(), scene.base_phrase(), FULL, references))
                    .collect()
            };
            sheets.push(Sheet {
                name,
                composed,
                shown: told(true),
                told: told(false),
            });
        }
        Ok(Self {
            autoencoder: autoencoder::read(folder, Kind::Float)?,
            sheets,
        })
    }

    /// Draws every sheet into the run's folder: rows of composed scenes, the same drawn with references, the same drawn from text alone.
    pub fn draw(
        &self,
        net: &Transformer,
        phrases: &Phrases,
        session: &Session,
    ) -> anyhow::Result<()> {
        for found in &self.sheets {
            let shown = self.pictures(net, &found.shown, phrases)?;
            let told = self.pictures(net, &found.told, phrases)?;
            let mut all = Vec::new();
            for row in (0..SCENES).step_by(COLUMNS) {
                for pictures in [&found.composed, &shown, &told] {
                    all.extend_from_slice(&pictures[row..row + COLUMNS]);
                }
            }
            let path = session.file(found.name);
            sheet(&all, COLUMNS as u32)
                .save(&path)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        session.say(&format!("step {}: sheets drawn", session.step()));
        Ok(())
    }

    fn pictures(
        &self,
        net: &Transformer,
        samples: &[Sample],
        phrases: &Phrases,
    ) -> anyhow::Result<Vec<RgbImage>> {
        let packed = Packed::of(samples, phrases)?;
        Ok(tch::no_grad(|| {
            tch::manual_seed(1);
            let number = samples.len() as i64;
            let sigmas = Schedule { shift: SCHEDULE }.sigmas(STEPS, FULL.tokens() as i64);
            let mut x = Tensor::randn(
                [number, FULL.tokens() as i64, net.config().in_channels],
                (Kind::Float, Device::Cpu),
            );
            for pair in sigmas.windows(2) {
                let velocity = net.forward(&TransformerInput {
                    noisy: &x,
                    reference: packed.reference.as_ref(),
                    text: &packed.text,
                    times: &Tensor::full([number], f64::from(pair[0]), (Kind::Float, Device::Cpu)),
                    image_ids: &packed.arrangement.image_ids,
                    text_ids: &packed.arrangement.text_ids,
                    bias: packed.arrangement.bias.as_ref(),
                    layers: None,
                });
                x += velocity.to_kind(Kind::Float) * f64::from(pair[1] - pair[0]);
            }
            pictures(&self.autoencoder.decode(&regions::from_tokens(&x, FULL)))
        }))
    }
}
