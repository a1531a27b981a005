//! How well the autoencoder gives back what it was shown, on scenes that it never saw.

use std::fmt;

use atelier_models::renderer::autoencoder::{Autoencoder, patchify};
use image::RgbImage;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tch::{Kind, Tensor};

use super::batch::{Batch, pictures, scene};
use crate::composer::{Library, sheet};

/// Scenes that are measured on.
const SCENES: usize = 64;

/// Scenes that the statistics of tokens are taken over.
const FOR_STATISTICS: usize = 256;

/// Seeds that no training step has.
const HELD_OUT: u64 = u64::MAX;

/// What was measured.
pub struct Measured {
    /// Mean over scenes of the ratio of peak and noise in dB.
    pub psnr: f64,
    /// The worst scene's.
    pub worst: f64,
    /// Scenes above, the same through the autoencoder below.
    pub sheet: RgbImage,
}

impl fmt::Display for Measured {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "PSNR {:.2} dB, worst {:.2} dB", self.psnr, self.worst)
    }
}

fn held_out(library: &Library, seed: u64, number: usize) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let pictures: Vec<RgbImage> = (0..number).map(|_| scene(library, &mut rng)).collect();
    Batch::of(&pictures).tensor()
}

/// Measures a network.
pub fn measure(net: &Autoencoder, library: &Library) -> Measured {
    let scenes = held_out(library, HELD_OUT, SCENES);
    tch::no_grad(|| {
        let mut ratios = Vec::with_capacity(SCENES);
        let mut shown = Vec::new();
        for part in scenes.split(16, 0) {
            let back = net.decode(&net.encode(&part));
            let errors =
                (&back - &part)
                    .square()
                    .mean_dim([1i64, 2, 3].as_slice(), false, Kind::Float);
            let found = (errors.reciprocal() * 4.0).log10() * 10.0;
            ratios.extend(Vec::<f64>::try_from(found.to_kind(Kind::Double)).unwrap_or_default());
            if shown.is_empty() {
                shown = pictures(&part.narrow(0, 0, 8));
                shown.extend(pictures(&back.narrow(0, 0, 8)));
            }
        }
        Measured {
            psnr: ratios.iter().sum::<f64>() / ratios.len() as f64,
            worst: ratios.iter().copied().fold(f64::INFINITY, f64::min),
            sheet: sheet(&shown, 8),
        }
    })
}

/// Mean and variance `(4 * latent)` of tokens over composed scenes, whatever statistics the network has now.
pub fn statistics(net: &Autoencoder, library: &Library) -> (Tensor, Tensor) {
    let scenes = held_out(library, HELD_OUT - 1, FOR_STATISTICS);
    tch::no_grad(|| {
        let tokens: Vec<Tensor> = scenes
            .split(16, 0)
            .iter()
            .map(|part| patchify(&net.moments(part).0).to_kind(Kind::Float))
            .collect();
        let tokens = Tensor::cat(&tokens, 0).transpose(0, 1).flatten(1, 3);
        (
            tokens.mean_dim([1i64].as_slice(), false, Kind::Float),
            tokens.var_dim([1i64].as_slice(), false, false),
        )
    })
}
