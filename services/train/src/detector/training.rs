//! The loop that trains a detector: batches made ahead, a rate along half a cosine, a moving average, and a folder that it goes on from.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use anyhow::Context;
use atelier_models::critic::detector::{Detector, DetectorConfig, to_tensor};
use image::RgbImage;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tch::{
    Device, Tensor,
    nn::{self, Optimizer, OptimizerConfig},
};

use super::{
    loss::Loss,
    master::Master,
    measure::measure,
    sample::{Sample, Targets},
};
use crate::{
    composer::{Library, SIDE},
    run::{ahead, fast_kind},
};

/// Steps between two saves and short measurements.
const SAVE_EVERY: u32 = 500;
/// Steps between two lines.
const LINE_EVERY: u32 = 50;

/// How long and how fast, and where it is kept.
pub struct Training {
    /// Folder of the run.
    pub run: PathBuf,
    /// Steps in all.
    pub steps: u32,
    /// Pictures a step.
    pub batch: u32,
    /// Highest learning rate.
    pub rate: f64,
    /// Seed of everything.
    pub seed: u64,
}

impl Training {
    /// Trains from where the folder's last checkpoint left off; `sample` makes the picture of an index of a batch.
    pub fn go(
        &self,
        library: &Arc<Library>,
        config: &DetectorConfig,
        master: &mut Master,
        sample: impl Fn(u32, &mut ChaCha8Rng) -> Sample + Send + 'static,
    ) -> anyhow::Result<()> {
        fs::create_dir_all(&self.run)
            .with_context(|| format!("cannot make {}", self.run.display()))?;
        let first = self.resume(master)?;
        let adam = nn::AdamW {
            wd: 0.02,
            ..nn::AdamW::default()
        };
        let mut optimizer = adam.build(master.store(), self.rate)?;
        let (seed, batch) = (self.seed, self.batch);
        let batches = ahead(u64::from(first), move |step| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed.wrapping_add(step) << 16);
            (0..batch)
                .map(|index| sample(index, &mut rng).varied(&mut rng))
                .collect::<Vec<_>>()
        });
        let mut clock = Instant::now();
        for step in first..self.steps {
            optimizer.set_lr(self.rate_of(step, first));
            let samples = batches.recv().context("the composer stopped")?;
            let loss = stepped(config, master, &mut optimizer, samples)?;
            // The average forgets quickly at first, when the parameters are still poor.
            let age = f64::from(step + 1);
            master.follow((age / (age + 10.0)).min(0.998));
            if (step + 1).is_multiple_of(LINE_EVERY) {
                let pictures = f64::from(LINE_EVERY * batch) / clock.elapsed().as_secs_f64();
                println!(
                    "step {} {}; {pictures:.0} pictures/s",
                    step + 1,
                    told(&loss)
                );
                clock = Instant::now();
            }
            if (step + 1).is_multiple_of(SAVE_EVERY) || step + 1 == self.steps {
                self.save(master, step + 1)?;
                println!("step {}: {}", step + 1, measure(library, config, master)?);
                clock = Instant::now();
            }
        }
        Ok(())
    }

    /// Warms up after every start (the optimizer's moments start anew), then down to nothing along half a cosine.
    fn rate_of(&self, step: u32, first: u32) -> f64 {
        let warm = (f64::from(step - first + 1) / 100.0).min(1.0);
        let way = f64::from(step) / f64::from(self.steps);
        self.rate * warm * (0.5 + 0.5 * (std::f64::consts::PI * way).cos())
    }

    fn files(&self) -> (PathBuf, PathBuf) {
        (
            self.run.join("master.safetensors"),
            self.run.join("step.txt"),
        )
    }

    fn save(&self, master: &Master, step: u32) -> anyhow::Result<()> {
        let (weights, count) = self.files();
        master.save(&weights)?;
        fs::write(count, step.to_string()).context("cannot write the step")
    }

    /// Takes up a run: loads its parameters and says which step comes next.
    fn resume(&self, master: &mut Master) -> anyhow::Result<u32> {
        let (weights, count) = self.files();
        if !weights.exists() || !count.exists() {
            return Ok(0);
        }
        master.load(&weights)?;
        let text = fs::read_to_string(&count)
            .with_context(|| format!("cannot read {}", count.display()))?;
        let step = text
            .trim()
            .parse()
            .with_context(|| format!("{} does not hold a step", count.display()))?;
        println!("taken up after step {step}");
        Ok(step)
    }
}

/// One step of the optimizer; gives what it cost.
fn stepped(
    config: &DetectorConfig,
    master: &Master,
    optimizer: &mut Optimizer,
    samples: Vec<Sample>,
) -> anyhow::Result<Loss> {
    let targets = Targets::of(&samples);
    let pictures: Vec<RgbImage> = samples.into_iter().map(|sample| sample.picture).collect();
    let kind = fast_kind();
    let raw = master
        .net(config, kind)?
        .forward(&to_tensor(&pictures, SIDE).to_kind(kind));
    let loss = Loss::of(config, &raw, &targets);
    optimizer.backward_step_clip_norm(&loss.total, 5.0);
    Ok(loss)
}

fn told(loss: &Loss) -> String {
    let value = |part: &Tensor| part.double_value(&[]);
    format!(
        "loss {:.3}: object {:.4} edges {:.3} name {:.3} colour {:.3} scene {:.3}",
        value(&loss.total),
        value(&loss.object),
        value(&loss.edges),
        value(&loss.name),
        value(&loss.color),
        value(&loss.scene),
    )
}

/// Writes what is shipped, the average in bf16 with its words, and loads it back.
pub fn export(master: &Master, config: &DetectorConfig, dir: &Path) -> anyhow::Result<Detector> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    master.export(&dir.join("model.safetensors"))?;
    fs::write(
        dir.join("config.json"),
        serde_json::to_string(config)? + "\n",
    )
    .context("cannot write config.json")?;
    Detector::load(dir, Device::Cpu).context("what was exported does not load")
}
