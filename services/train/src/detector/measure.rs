//! Measures a detector on scenes of seeds that training never uses.

use std::path::Path;

use anyhow::Context;
use atelier_models::critic::detector::{Detector, DetectorConfig};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tch::Device;

use super::{
    answered::{self, Answered},
    master::Master,
    sample::Sample,
    score::{self, Score},
};
use crate::composer::{self, Library, Scene};

/// The class of every prop.
pub fn classes(library: &Library) -> Vec<Option<usize>> {
    let class = |prop| library.drawn().iter().position(|drawn| *drawn == prop);
    (0..library.props().len()).map(class).collect()
}

/// Scores the moving average on some scenes of another seed.
pub fn measure(
    library: &Library,
    config: &DetectorConfig,
    master: &Master,
) -> anyhow::Result<Score> {
    let detector = Detector::of(config.clone(), master.average_net(config)?, Device::Cpu);
    score_of(&detector, library, 200, None)
}

/// How right the critic's answers are about scenes of another seed.
pub fn answers(
    detector: Detector,
    library: &Library,
    props: &Path,
    pictures: u32,
) -> anyhow::Result<Answered> {
    let classes = classes(library);
    let names = detector.config().names.clone();
    let critic = answered::critic(detector, props)?;
    let mut rng = ChaCha8Rng::seed_from_u64(u64::MAX - 2);
    let mut answered = Answered::default();
    for _ in 0..pictures {
        let sample = Sample::of(
            &Scene::random(library, &mut rng, 4),
            library,
            &classes,
            &mut rng,
        );
        answered.add(&critic, &sample, &names, &mut rng);
    }
    Ok(answered)
}

/// Scores a detector on fresh scenes of one seed.
pub fn score_of(
    detector: &Detector,
    library: &Library,
    pictures: u32,
    sheet: Option<&Path>,
) -> anyhow::Result<Score> {
    let classes = classes(library);
    let mut rng = ChaCha8Rng::seed_from_u64(u64::MAX - 1);
    let samples: Vec<Sample> = (0..pictures)
        .map(|_| {
            Sample::of(
                &Scene::random(library, &mut rng, 4),
                library,
                &classes,
                &mut rng,
            )
        })
        .collect();
    score_samples(detector, &samples, sheet)
}

/// Scores a detector; the sheet shows what it found in the first 24.
pub fn score_samples(
    detector: &Detector,
    samples: &[Sample],
    sheet: Option<&Path>,
) -> anyhow::Result<Score> {
    let names = &detector.config().names;
    let mut score = Score::default();
    let mut framed = Vec::new();
    for sample in samples {
        let seen = detector.see(&sample.picture);
        score.add(sample, &seen, names);
        if framed.len() < 24 {
            framed.push(score::framed(sample, &seen, names));
        }
    }
    if let Some(path) = sheet {
        composer::sheet(&framed, 6)
            .save(path)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(score)
}
