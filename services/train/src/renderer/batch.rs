//! Training samples: composed scenes as latents, with their phrases and the references of their things.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use atelier_models::{
    props::{picture, vocabulary::Color},
    renderer::{
        autoencoder::Autoencoder,
        regions::{self, Arrangement, Cells, Grid, Layout, Positions, ThingTokens},
    },
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};

use super::phrases::Phrases;
use crate::{
    autoencoder::batch::Batch as Pictures,
    composer::{GRID as CELLS, Library, Scene},
    run::step_seed,
};

/// Tokens of a picture of the default size, 256 x 256 pixels: one a cell of a scene.
pub const FULL: Grid = Grid {
    rows: CELLS as usize,
    columns: CELLS as usize,
};

/// Tokens of a small one, 128 x 128 pixels.
const SMALL: Grid = Grid {
    rows: CELLS as usize / 2,
    columns: CELLS as usize / 2,
};

/// Every so many steps trains on small pictures, four times as many, so that both sizes are drawn.
const SMALL_EVERY: u64 = 4;

/// Share of things whose reference is left out.
const WITHOUT: f64 = 0.1;

/// Share of coloured things whose reference has their own colour, as a picture that somebody sends has.
const OWN_COLOR: f64 = 0.15;

/// Share of scenes without any reference, so that text alone is learnt, too.
const TEXT_ONLY: f64 = 0.1;

/// Most things of a scene, each as often as it stands here.
const MOST: [usize; 4] = [1, 4, 4, 6];

/// Pixels along so many tokens.
pub const fn pixels(tokens: usize) -> u32 {
    tokens as u32 * regions::TOKEN_SIDE
}

/// One scene as the network is told of it.
pub struct Sample {
    /// What is composed.
    pub scene: Scene,
    /// What is behind and when, in words.
    pub base: String,
    /// The things in words.
    pub phrases: Vec<String>,
    /// Tokens `(side * side, channels)` of each thing's picture.
    pub references: Vec<Option<Tensor>>,
    /// The picture's tokens.
    pub grid: Grid,
}

impl Sample {
    /// Tokens along the side of a thing's square.
    fn side(&self, thing: usize) -> usize {
        usize::from(self.scene.things[thing].cell.2) * self.grid.rows / usize::from(CELLS)
    }
}

/// What a step trains on.
pub struct Batch {
    /// `(B, N, channels)`, f32.
    pub latents: Tensor,
    /// The scenes.
    pub samples: Vec<Sample>,
}

/// Makes batches; references are encoded once.
pub struct Maker {
    autoencoder: Autoencoder,
    library: Arc<Library>,
    known: Arc<HashSet<String>>,
    encoded: HashMap<(usize, usize), Tensor>,
}

impl Maker {
    /// `known`: phrases that have states.
    pub fn new(
        autoencoder: Autoencoder,
        library: Arc<Library>,
        known: Arc<HashSet<String>>,
    ) -> Self {
        Self {
            autoencoder,
            library,
            known,
            encoded: HashMap::new(),
        }
    }

    /// The batch of a step: `size` pictures of the default size, or four times as many small ones.
    pub fn of_step(&mut self, seed: u64, step: u64, size: usize) -> Batch {
        let mut rng = ChaCha8Rng::seed_from_u64(step_seed(seed, step));
        let (grid, size) = if step % SMALL_EVERY == SMALL_EVERY - 1 {
            (SMALL, 4 * size)
        } else {
            (FULL, size)
        };
        let scenes: Vec<Scene> = (0..size)
            .map(|_| {
                let most = MOST[rng.random_range(0..MOST.len())];
                let scene = Scene::random(&self.library, &mut rng, most);
                if grid == FULL {
                    scene.nudged(&mut rng)
                } else {
                    scene
                }
            })
            .collect();
        let side = pixels(grid.rows);
        let pictures: Vec<_> = scenes
            .iter()
            .map(|scene| scene.draw(&self.library, side, &mut rng))
            .collect();
        let latents = self.encode(&Pictures::of(&pictures));
        let samples = scenes
            .into_iter()
            .map(|scene| self.told(scene, grid, &mut rng))
            .collect();
        Batch { latents, samples }
    }

    /// A scene with varied words and some references left out.
    fn told(&mut self, scene: Scene, grid: Grid, rng: &mut ChaCha8Rng) -> Sample {
        let text_only = rng.random_bool(TEXT_ONLY);
        let base = scene.base_phrase_varied(rng);
        let mut sample = self.plain(scene, base, grid, false);
        for (at, thing) in sample.scene.things.clone().iter().enumerate() {
            let varied = thing.phrase_varied(&self.library, rng);
            if self.known.contains(&varied) {
                sample.phrases[at] = varied;
            }
            if !text_only && !rng.random_bool(WITHOUT) {
                let color = thing.color.filter(|_| !rng.random_bool(OWN_COLOR));
                sample.references[at] = Some(self.reference(thing.prop, sample.side(at), color));
            }
        }
        sample
    }

    /// A scene in these words, with all references or none.
    pub fn plain(&mut self, scene: Scene, base: String, grid: Grid, references: bool) -> Sample {
        let phrases = scene
            .things
            .iter()
            .map(|thing| thing.phrase(&self.library))
            .collect();
        let mut sample = Sample {
            references: scene.things.iter().map(|_| None).collect(),
            scene,
            base,
            phrases,
            grid,
        };
        if references {
            for at in 0..sample.references.len() {
                let thing = sample.scene.things[at];
                let made = self.reference(thing.prop, sample.side(at), thing.color);
                sample.references[at] = Some(made);
            }
        }
        sample
    }

    /// Tokens of a thing's picture, `side` of them along each side, painted as the farm paints what a plan wants in a colour.
    fn reference(&mut self, prop: usize, side: usize, color: Option<Color>) -> Tensor {
        let pixels = pixels(side);
        let prop_of = &self.library.props()[prop];
        if let Some(color) = color {
            // Too many to keep.
            let painted = picture::painted(&prop_of.image, color);
            return self
                .encode(&Pictures::of(&[picture::reference_picture(
                    &painted, pixels,
                )]))
                .get(0);
        }
        if let Some(found) = self.encoded.get(&(prop, side)) {
            return found.shallow_clone();
        }
        let made = self
            .encode(&Pictures::of(&[prop_of.reference(pixels)]))
            .get(0);
        self.encoded.insert((prop, side), made.shallow_clone());
        made
    }

    /// Pictures as tokens `(b, n, channels)`.
    fn encode(&self, pictures: &Pictures) -> Tensor {
        tch::no_grad(|| {
            regions::to_tokens(&self.autoencoder.encode(&pictures.tensor())).contiguous()
        })
    }
}

/// Text, references and places of a batch as the transformer reads them.
pub struct Packed {
    /// `(B, T, text channels)`.
    pub text: Tensor,
    /// `(B, R, channels)`.
    pub reference: Option<Tensor>,
    /// Who stands where and sees whom.
    pub arrangement: Arrangement,
}

impl Packed {
    /// Packs samples.
    pub fn of(samples: &[Sample], phrases: &Phrases) -> anyhow::Result<Self> {
        let grid = grid(samples)?;
        let (mut texts, mut references, mut layouts) = (Vec::new(), Vec::new(), Vec::new());
        for sample in samples {
            let base = phrases.get(&sample.base)?;
            let mut layout = Layout {
                base: base.size()[0] as usize,
                things: Vec::new(),
            };
            let mut text = vec![base];
            for (at, (thing, reference)) in sample
                .scene
                .things
                .iter()
                .zip(&sample.references)
                .enumerate()
            {
                let states = phrases.get(&sample.phrases[at])?;
                let side = sample.side(at);
                layout.things.push(ThingTokens {
                    text: states.size()[0] as usize,
                    bbox: Some(thing.bbox()),
                    reference: reference.as_ref().map(|_| Grid {
                        rows: side,
                        columns: side,
                    }),
                });
                text.push(states);
            }
            texts.push(Tensor::cat(&text, 0));
            let shown: Vec<&Tensor> = sample.references.iter().flatten().collect();
            references.push(if shown.is_empty() {
                Tensor::zeros([0, 128], (Kind::Float, Device::Cpu))
            } else {
                Tensor::cat(&shown, 0)
            });
            layouts.push(layout);
        }
        Ok(Self {
            text: regions::pad(&texts)
                .ok_or_else(|| anyhow::anyhow!("a batch without any text"))?,
            reference: regions::pad(&references),
            arrangement: Positions::Placed
                .arrange(grid, &layouts, Device::Cpu)
                .in_kind(Kind::BFloat16),
        })
    }
}

/// The grid that all pictures of a batch have.
fn grid(samples: &[Sample]) -> anyhow::Result<Grid> {
    let grid = samples.first().map(|sample| sample.grid);
    grid.filter(|grid| samples.iter().all(|sample| sample.grid == *grid))
        .ok_or_else(|| anyhow::anyhow!("a batch is of one size"))
}

/// Weights `(B, N)` of the loss: `inside` in boxes against 1, each picture's mean 1.
pub fn weights(samples: &[Sample], inside: f32) -> Tensor {
    let mut weights = Vec::new();
    for sample in samples {
        let grid = sample.grid;
        let mut own = vec![1.0_f32; grid.tokens()];
        for bbox in sample.scene.boxes() {
            let cells = Cells::of(bbox, grid);
            for (token, weight) in own.iter_mut().enumerate() {
                if cells.contains(token / grid.columns, token % grid.columns) {
                    *weight = inside;
                }
            }
        }
        let mean = own.iter().sum::<f32>() / own.len() as f32;
        weights.extend(own.into_iter().map(|weight| weight / mean));
    }
    Tensor::from_slice(&weights).view([samples.len() as i64, -1])
}
