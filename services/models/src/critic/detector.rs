//! The small detector of the default model: which things are where in a picture, in which colours, before what, and when.

pub mod config;
mod decode;
pub mod net;
mod separable;

use std::path::{Path, PathBuf};

use image::{RgbImage, imageops};
use tch::{Device, Kind, Tensor};

pub use config::{Backbone, Calibration, DetectorConfig, Line};
pub use decode::{Detection, decode};
pub use net::DetectorNet;

use crate::{
    bounded,
    weights::{Weights, WeightsError},
};

/// Most bytes of `config.json`.
const MAX_CONFIG: u64 = 1 << 20;

/// Why a detector could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum DetectorError {
    /// A file is missing or unreadable.
    #[error("cannot read {0}: {1}")]
    Read(PathBuf, std::io::Error),
    /// The configuration is not valid.
    #[error("{0} is not valid: {1}")]
    Config(PathBuf, String),
    /// Tensors that are missing, too much, malformed or of another shape.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

/// What is in a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The things, surest first.
    pub things: Vec<Detection>,
    /// What is behind, with its probability.
    pub background: (String, f32),
    /// When it is, with its probability.
    pub time: (String, f32),
}

/// A loaded detector.
pub struct Detector {
    config: DetectorConfig,
    net: DetectorNet,
    device: Device,
}

impl Detector {
    /// Loads `config.json` and `model.safetensors` from a folder; computes in f32. A tensor that is missing, too much or of another shape is an
    /// error that names it.
    pub fn load(dir: &Path, device: Device) -> Result<Self, DetectorError> {
        let path = dir.join("config.json");
        let unreadable = |error| DetectorError::Read(path.clone(), error);
        let bytes = bounded::read(&path, MAX_CONFIG).map_err(unreadable)?;
        let config = DetectorConfig::parse(&bytes)
            .map_err(|error| DetectorError::Config(path.clone(), error))?;
        let weights = Weights::load_file(&dir.join("model.safetensors"))?
            .to_kind(Kind::Float)
            .to_device(device);
        let net = DetectorNet::new(&config, &|name, shape| weights.get_shaped(name, shape))?;
        weights.refuse_extra(|_| false)?;
        Ok(Self::of(config, net, device))
    }

    /// A detector of a network that is there already, its parameters in f32 on `device`.
    pub const fn of(config: DetectorConfig, net: DetectorNet, device: Device) -> Self {
        Self {
            config,
            net,
            device,
        }
    }

    /// The words that it knows.
    pub const fn config(&self) -> &DetectorConfig {
        &self.config
    }

    /// Colours that a thing has of its own, where it has a clear one.
    pub fn own_colors(&self, name: &str) -> &[String] {
        let index = self.config.names.iter().position(|known| known == name);
        index
            .and_then(|index| self.config.own_colors.get(index))
            .map_or(&[], Vec::as_slice)
    }

    /// Looks at a picture of any size.
    pub fn see(&self, picture: &RgbImage) -> Seen {
        let pictures =
            to_tensor(std::slice::from_ref(picture), self.config.side).to_device(self.device);
        let raw = tch::no_grad(|| self.net.forward(&pictures));
        let cells = numbers(&raw.cells);
        let scene = numbers(&raw.scene);
        let (backgrounds, times) = scene.split_at(self.config.backgrounds.len());
        Seen {
            things: decode(&self.config, &cells),
            background: likeliest(&self.config.backgrounds, backgrounds),
            time: likeliest(&self.config.times, times),
        }
    }

    /// The things in a picture of any size, surest first.
    pub fn detect(&self, picture: &RgbImage) -> Vec<Detection> {
        self.see(picture).things
    }
}

/// Pictures as `(b, 3, side, side)` in -1..1, f32 on the CPU.
pub fn to_tensor(pictures: &[RgbImage], side: u32) -> Tensor {
    let mut bytes = Vec::with_capacity(pictures.len() * (side * side * 3) as usize);
    for picture in pictures {
        if picture.dimensions() == (side, side) {
            bytes.extend_from_slice(picture.as_raw());
        } else if picture.width() == 0 || picture.height() == 0 {
            bytes.resize(bytes.len() + (side * side * 3) as usize, 128);
        } else {
            bytes.extend_from_slice(
                imageops::resize(picture, side, side, imageops::FilterType::Triangle).as_raw(),
            );
        }
    }
    let side = i64::from(side);
    Tensor::from_slice(&bytes)
        .view([pictures.len() as i64, side, side, 3])
        .permute([0, 3, 1, 2])
        .to_kind(Kind::Float)
        / 127.5
        - 1.0
}

fn numbers(tensor: &Tensor) -> Vec<f32> {
    let flat = tensor
        .to_device(Device::Cpu)
        .to_kind(Kind::Float)
        .flatten(0, -1)
        .contiguous();
    let mut numbers = vec![0.0; flat.numel()];
    flat.copy_data(&mut numbers, flat.numel());
    numbers
}

fn likeliest(words: &[String], logits: &[f32]) -> (String, f32) {
    let best = words
        .iter()
        .zip(decode::softmax(logits))
        .max_by(|a, b| a.1.total_cmp(&b.1));
    best.map_or_else(
        || (String::new(), 0.0),
        |(word, probability)| (word.clone(), probability),
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Small random parameters of the right shapes.
    fn random(config: &DetectorConfig) -> Detector {
        tch::manual_seed(3);
        let take = |_: &str, shape: &[i64]| -> Result<Tensor, std::convert::Infallible> {
            Ok(Tensor::randn(shape, (Kind::Float, Device::Cpu)) * 0.05)
        };
        let Ok(net) = DetectorNet::new(config, &take);
        Detector::of(config.clone(), net, Device::Cpu)
    }

    #[test]
    fn pictures_of_any_size_are_looked_at() {
        let config = DetectorConfig::mini(vec!["cat".into(), "dog".into()], vec![vec![], vec![]]);
        let detector = random(&config);
        for (w, h) in [(1, 1), (256, 256), (300, 40), (0, 0)] {
            let seen = detector.see(&RgbImage::from_pixel(w, h, image::Rgb([90, 20, 200])));
            assert!(
                config.backgrounds.contains(&seen.background.0)
                    && config.times.contains(&seen.time.0)
            );
            assert!((0.0..=1.0).contains(&seen.time.1));
        }
    }

    #[test]
    fn a_folder_that_does_not_fit_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let load = || Detector::load(dir.path(), Device::Cpu);
        assert!(matches!(load(), Err(DetectorError::Read(..))));
        let config = DetectorConfig::mini(vec!["cat".into()], vec![vec![]]);
        fs::write(
            dir.path().join("config.json"),
            serde_json::to_vec(&config).expect("serialises"),
        )
        .expect("written");
        let missing = load();
        assert!(matches!(
            missing,
            Err(DetectorError::Weights(WeightsError::Read(..)))
        ));
        let file = dir.path().join("model.safetensors");
        fs::write(&file, b"not weights").expect("written");
        let malformed = load();
        assert!(matches!(
            malformed,
            Err(DetectorError::Weights(WeightsError::Malformed(..)))
        ));
    }

    #[test]
    fn weights_are_those_that_the_configuration_says_and_no_others() {
        let dir = tempfile::tempdir().expect("a folder");
        let config = DetectorConfig::mini(vec!["cat".into()], vec![vec![]]);
        fs::write(
            dir.path().join("config.json"),
            serde_json::to_vec(&config).expect("serialises"),
        )
        .expect("written");
        let bf16 = (Kind::BFloat16, Device::Cpu);
        type Change<'a> = &'a dyn Fn(&mut Vec<(String, Tensor)>);
        let refused = |change: Change<'_>| {
            let parameters = net::parameters(&config).into_iter();
            let mut tensors = parameters
                .map(|(name, shape)| (name, Tensor::zeros(shape, bf16)))
                .collect();
            change(&mut tensors);
            Tensor::write_safetensors(&tensors, dir.path().join("model.safetensors"))
                .expect("written");
            let loaded = Detector::load(dir.path(), Device::Cpu);
            loaded.err().map(|error| error.to_string())
        };
        assert_eq!(refused(&|_| {}), None);
        let missing = refused(&|tensors| tensors.retain(|(name, _)| name != "neck.bias"));
        assert_eq!(
            missing.as_deref(),
            Some("the checkpoint has no tensor \"neck.bias\"")
        );
        let extra = refused(&|tensors| tensors.push(("neck.gain".into(), Tensor::ones([3], bf16))));
        assert_eq!(
            extra.as_deref(),
            Some(
                "the checkpoint has a tensor \"neck.gain\", which its configuration has no place for"
            )
        );
        // One name more than it can tell.
        let other = refused(&|tensors| {
            for (name, tensor) in tensors {
                if name == "cells.bias" {
                    *tensor = Tensor::zeros([config.cell_channels() + 1], bf16);
                }
            }
        });
        let found = config.cell_channels();
        assert_eq!(
            other,
            Some(format!(
                "tensor \"cells.bias\" has shape [{}], the configuration says [{found}]",
                found + 1
            ))
        );
    }

    #[test]
    fn the_network_stays_small() {
        let names: Vec<String> = (0..769).map(|index| index.to_string()).collect();
        let config = DetectorConfig::mini(names.clone(), vec![vec![]; names.len()]);
        let numbers: i64 = net::parameters(&config)
            .iter()
            .map(|(_, shape)| shape.iter().product::<i64>())
            .sum();
        assert!((500_000..750_000).contains(&numbers), "{numbers}");
    }
}
