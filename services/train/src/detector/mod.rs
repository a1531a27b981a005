//! Recipe of the detector: things, colours, background and time in scenes of the composer and in the renderer's own pictures.

pub mod drawn;
mod judged;
mod loss;
mod master;
mod measure;
mod own_color;
mod sample;
mod score;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::Context;
use atelier_models::{
    critic::detector::{Detector, DetectorConfig, to_tensor},
    props::vocabulary::Color,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{
    Device, Kind,
    nn::{self, OptimizerConfig},
};

use crate::composer::{self, Library, Scene};
use loss::Loss;
use master::Master;
use measure::{classes, judge, measure, score_of, score_samples};
use sample::{SIDE, Sample, Targets};

/// Options of the command.
#[derive(clap::Args)]
pub struct Args {
    /// Folder of the sprites and their names, as deploy/setup leaves it.
    #[arg(long, default_value = ".deps/sprites")]
    sprites: PathBuf,
    /// Folder of the run; what is there is taken up again.
    #[arg(long, default_value = ".train/detector")]
    run: PathBuf,
    /// Steps in all; 0 only measures and exports.
    #[arg(long, default_value_t = 6_000)]
    steps: u32,
    /// Pictures a step.
    #[arg(long, default_value_t = 32)]
    batch: u32,
    /// Highest learning rate.
    #[arg(long, default_value_t = 3e-3)]
    rate: f64,
    /// Seed of everything.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads of libtorch.
    #[arg(long, default_value_t = 1)]
    threads: i32,
    /// Folder of the renderer's own pictures with their truth beside them; they make up half of every batch.
    #[arg(long, value_name = "DIR")]
    drawn: Option<PathBuf>,
    /// The shipped prop library, to measure the critic's answers with.
    #[arg(long, default_value = "deploy/models/atelier-mini/props")]
    props: PathBuf,
    /// Write the shipped detector to this folder at the end.
    #[arg(long, value_name = "DIR")]
    export: Option<PathBuf>,
}

/// Steps between two saves and short measurements.
const SAVE_EVERY: u32 = 500;

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    tch::set_num_threads(args.threads);
    tch::manual_seed(args.seed as i64);
    let library = Library::open(&args.sprites)?;
    let config = config(&library);
    fs::create_dir_all(&args.run).with_context(|| format!("cannot make {}", args.run.display()))?;
    let mut master = Master::fresh(&config);
    let first = resume(&mut master, &args.run)?;
    train(&args, &library, &config, &mut master, first)?;
    let detector = Detector::of(config.clone(), master.average_net(&config)?, Device::Cpu);
    let score = score_of(
        &detector,
        &library,
        1_000,
        Some(&args.run.join("found.png")),
    )?;
    let judged = judge(detector, &library, &args.props, 500)?;
    println!("fresh scenes: {score}\n{judged}");
    let (_, kept) = drawn_of(&args, &config)?;
    if !kept.is_empty() {
        let detector = Detector::of(config.clone(), master.average_net(&config)?, Device::Cpu);
        let sheet = args.run.join("found_drawn.png");
        println!(
            "the renderer's own pictures: {}",
            score_samples(&detector, &kept, Some(&sheet))?
        );
    }
    fs::write(args.run.join("score.txt"), format!("{score}\n{judged}"))
        .context("cannot write the score")?;
    if let Some(dir) = &args.export {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        master.export(&dir.join("model.safetensors"))?;
        fs::write(
            dir.join("config.json"),
            serde_json::to_string(&config)? + "\n",
        )
        .context("cannot write config.json")?;
        let shipped =
            Detector::load(dir, Device::Cpu).context("what was exported does not load")?;
        println!("exported: {}", score_of(&shipped, &library, 1_000, None)?);
    }
    Ok(())
}

/// The shape and words of a detector for the things of the library that are drawn.
fn config(library: &Library) -> DetectorConfig {
    let props = || library.drawn().iter().map(|index| &library.props()[*index]);
    let own = |prop: &composer::Prop| {
        own_color::own_colors(&prop.image)
            .into_iter()
            .map(|color: Color| color.name().to_owned())
            .collect()
    };
    DetectorConfig::mini(
        props().map(|prop| prop.name.clone()).collect(),
        props().map(own).collect(),
    )
}

/// Takes up a run: loads its parameters and says which step comes next.
fn resume(master: &mut Master, run: &Path) -> anyhow::Result<u32> {
    let (weights, step) = (run.join("master.safetensors"), run.join("step.txt"));
    if !weights.exists() || !step.exists() {
        return Ok(0);
    }
    master.load(&weights)?;
    let text =
        fs::read_to_string(&step).with_context(|| format!("cannot read {}", step.display()))?;
    let step = text
        .trim()
        .parse()
        .with_context(|| format!("{} does not hold a step", step.display()))?;
    println!("taken up after step {step}");
    Ok(step)
}

fn train(
    args: &Args,
    library: &Library,
    config: &DetectorConfig,
    master: &mut Master,
    first: u32,
) -> anyhow::Result<()> {
    let classes = classes(library);
    let (drawn, _) = drawn_of(args, config)?;
    let adam = nn::AdamW {
        wd: 0.02,
        ..nn::AdamW::default()
    };
    let mut optimizer = adam.build(master.store(), args.rate)?;
    let mut clock = Instant::now();
    for step in first..args.steps {
        // Warm up after every start (the optimizer's moments start anew), then down to nothing along half a cosine.
        let warm = (f64::from(step - first + 1) / 100.0).min(1.0);
        let way = f64::from(step) / f64::from(args.steps);
        optimizer.set_lr(args.rate * warm * (0.5 + 0.5 * (std::f64::consts::PI * way).cos()));
        let mut rng = ChaCha8Rng::seed_from_u64(args.seed.wrapping_add(u64::from(step)) << 16);
        let samples: Vec<Sample> = (0..args.batch)
            .map(|index| {
                let sample = if index % 2 == 1 && !drawn.is_empty() {
                    drawn[rng.random_range(0..drawn.len())].clone()
                } else {
                    Sample::of(
                        &Scene::random(library, &mut rng, 4),
                        library,
                        &classes,
                        &mut rng,
                    )
                };
                sample.varied(&mut rng)
            })
            .collect();
        let targets = Targets::of(&samples);
        let pictures: Vec<_> = samples.into_iter().map(|sample| sample.picture).collect();
        let raw = master
            .net(config, Kind::BFloat16)?
            .forward(&to_tensor(&pictures, SIDE).to_kind(Kind::BFloat16));
        let loss = Loss::of(config, &raw, &targets);
        optimizer.backward_step_clip_norm(&loss.total, 5.0);
        // The average forgets quickly at first, when the parameters are still poor.
        let age = f64::from(step + 1);
        master.follow((age / (age + 10.0)).min(0.998));
        if (step + 1).is_multiple_of(50) {
            let value = |part: &tch::Tensor| part.double_value(&[]);
            println!(
                "step {} loss {:.3}: object {:.4} edges {:.3} name {:.3} colour {:.3} scene {:.3}; {:.0} pictures/s",
                step + 1,
                value(&loss.total),
                value(&loss.object),
                value(&loss.edges),
                value(&loss.name),
                value(&loss.color),
                value(&loss.scene),
                50.0 * f64::from(args.batch) / clock.elapsed().as_secs_f64(),
            );
            clock = Instant::now();
        }
        if (step + 1).is_multiple_of(SAVE_EVERY) || step + 1 == args.steps {
            master.save(&args.run.join("master.safetensors"))?;
            fs::write(args.run.join("step.txt"), (step + 1).to_string())
                .context("cannot write the step")?;
            println!("step {}: {}", step + 1, measure(library, config, master)?);
            clock = Instant::now();
        }
    }
    Ok(())
}

/// The renderer's own pictures: those to train on, and every tenth, kept for measuring.
fn drawn_of(args: &Args, config: &DetectorConfig) -> anyhow::Result<(Vec<Sample>, Vec<Sample>)> {
    let Some(dir) = &args.drawn else {
        return Ok((Vec::new(), Vec::new()));
    };
    let all = drawn::read(dir, &config.names)?;
    let (kept, rest): (Vec<_>, Vec<_>) = all
        .into_iter()
        .enumerate()
        .partition(|(index, _)| index % 10 == 0);
    let bare =
        |samples: Vec<(usize, Sample)>| samples.into_iter().map(|(_, sample)| sample).collect();
    Ok((bare(rest), bare(kept)))
}
