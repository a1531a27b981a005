//! Scenes as the shipped autoencoder hands them back: what every drawn picture has gone through, with the truth still exact.

use std::path::Path;

use atelier_models::renderer::autoencoder::Autoencoder;
use image::RgbImage;
use tch::Kind;

use super::sample::Sample;
use crate::autoencoder::{
    batch::{Batch, pictures},
    export,
};

/// Pictures that are encoded at once.
const AT_ONCE: usize = 8;

/// Opens the autoencoder of a folder.
pub fn open(folder: &Path) -> anyhow::Result<Autoencoder> {
    export::read(folder, Kind::Float)
}

/// The samples, all of one size, with their pictures encoded and decoded.
pub fn all(autoencoder: &Autoencoder, mut samples: Vec<Sample>) -> Vec<Sample> {
    for chunk in samples.chunks_mut(AT_ONCE) {
        let before: Vec<RgbImage> = chunk.iter().map(|sample| sample.picture.clone()).collect();
        let after = tch::no_grad(|| {
            let tokens = autoencoder.encode(&Batch::of(&before).tensor());
            pictures(&autoencoder.decode(&tokens))
        });
        for (sample, picture) in chunk.iter_mut().zip(after) {
            sample.picture = picture;
        }
    }
    samples
}
