//! Recipe of the critic's detector: things, colours, background and time in scenes of the composer and in the renderer's own pictures. The judge
//! of another recipe shares its parts.

mod answered;
mod asked;
mod calibrated;
mod drawn;
pub mod draws;
mod loss;
mod master;
mod measure;
pub mod mended;
mod own_color;
pub mod passed;
mod sample;
mod score;
mod training;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use atelier_models::{
    critic::detector::{Detector, DetectorConfig},
    props::vocabulary::Color,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::Device;

use crate::composer::{self, Library, Scene};
use asked::{Looked, Table};
use drawn::Drawn;
pub use master::Master;
use measure::{answers, score_of};
pub use measure::{classes, score_samples};
pub use sample::{Sample, Truth};
pub use training::{Training, export};

/// Most things of a scene.
const MOST_THINGS: usize = 6;
/// Tells the seed of the scenes that pass the autoencoder from that of others.
const PASSED: u64 = 0x5057;
/// Seed of the scenes that it is measured on; no training step has it.
const HELD_OUT: u64 = u64::MAX - 13;

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
    /// Start from the detector in this folder, as this recipe exports it, instead of a fresh one.
    #[arg(long, value_name = "DIR")]
    start: Option<PathBuf>,
    /// Autoencoder that what is drawn comes out of.
    #[arg(long, default_value = "deploy/models/atelier-mini/renderer/vae")]
    autoencoder: PathBuf,
    /// Scenes that are passed through the autoencoder at the start; a quarter of every batch is of them.
    #[arg(long, default_value_t = 768)]
    passed: usize,
    /// Folder of the renderer's own pictures with their truth beside them, as `draw` makes it; they make up a quarter of every batch.
    #[arg(long, value_name = "DIR")]
    drawn: Option<PathBuf>,
    /// Of so many of them one is kept to calibrate and measure with; with 1 all are.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    kept: u32,
    /// The shipped prop library, to measure the critic's answers with.
    #[arg(long, default_value = "deploy/models/atelier-mini/props")]
    props: PathBuf,
    /// Write the shipped detector to this folder at the end.
    #[arg(long, value_name = "DIR")]
    export: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    tch::set_num_threads(args.threads);
    tch::manual_seed(args.seed as i64);
    let library = Arc::new(Library::open(&args.sprites)?);
    let (names, own_colors) = words(&library);
    let mut config = DetectorConfig::mini(names, own_colors);
    let training = Training {
        run: args.run.clone(),
        steps: args.steps,
        batch: args.batch,
        rate: args.rate,
        seed: args.seed,
    };
    let (drawn, kept) = drawn_of(&args, &config)?;
    let mut master = match &args.start {
        Some(dir) => Master::trained(&config, dir)?,
        None => Master::fresh(&config),
    };
    let of_props = classes(&library);
    let number = if args.steps == 0 { 0 } else { args.passed };
    let soft = softened(&args, &library, &of_props, args.seed ^ PASSED, number)?;
    let scenes = Arc::clone(&library);
    training.go(&library, &config, &mut master, move |index, rng| {
        if index % 4 == 2 && !drawn.is_empty() {
            return drawn[rng.random_range(0..drawn.len())].clone();
        }
        if index % 4 == 0 && !soft.is_empty() {
            return soft[rng.random_range(0..soft.len())].clone();
        }
        composed(&scenes, &of_props, rng)
    })?;
    // Every second of those that are kept says how sure it may be; the others say whether it is so.
    let (fit, kept) = every(2, kept);
    config.calibration = match (&args.start, fit.is_empty()) {
        (Some(dir), true) => Detector::load(dir, Device::Cpu)?.config().calibration,
        _ => {
            let detector = Detector::of(config.clone(), master.average_net(&config)?, Device::Cpu);
            calibrated::fitted(&looked(detector, &args.props, &fit)?.concat())
        }
    };
    println!("{:?}", config.calibration);
    let detector = Detector::of(config.clone(), master.average_net(&config)?, Device::Cpu);
    let score = score_of(
        &detector,
        &library,
        1_000,
        Some(&args.run.join("found.png")),
    )?;
    let held_out = softened(&args, &library, &classes(&library), HELD_OUT, 300)?;
    let sheet = args.run.join("found_passed.png");
    let of_drawn = score_samples(&detector, &held_out, Some(&sheet))?;
    let answered = answers(detector, &library, &args.props, 500)?;
    println!("up to {MOST_THINGS} things anywhere, through the autoencoder: {of_drawn}");
    println!("fresh scenes: {score}\n{answered}");
    if !kept.is_empty() {
        let detector = Detector::of(config.clone(), master.average_net(&config)?, Device::Cpu);
        on_drawn(&args, detector, &kept)?;
    }
    fs::write(args.run.join("score.txt"), format!("{score}\n{answered}"))
        .context("cannot write the score")?;
    if let Some(dir) = &args.export {
        let shipped = export(&master, &config, dir)?;
        println!("exported: {}", score_of(&shipped, &library, 1_000, None)?);
    }
    Ok(())
}

/// A scene with things in any cell.
fn composed(library: &Library, classes: &[Option<usize>], rng: &mut ChaCha8Rng) -> Sample {
    let scene = Scene::random(library, rng, MOST_THINGS).nudged(rng);
    Sample::of(&scene, library, classes, rng)
}

/// Scenes as the autoencoder hands them back.
fn softened(
    args: &Args,
    library: &Library,
    classes: &[Option<usize>],
    seed: u64,
    number: usize,
) -> anyhow::Result<Vec<Sample>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let clear = (0..number).map(|_| composed(library, classes, &mut rng));
    let through = passed::open(&args.autoencoder)?;
    Ok(passed::all(&through, clear.collect()))
}

/// Names of the things of the library that are drawn, and the colours that each has of its own.
pub fn words(library: &Library) -> (Vec<String>, Vec<Vec<String>>) {
    let props = || library.drawn().iter().map(|index| &library.props()[*index]);
    let own = |prop: &composer::Prop| {
        own_color::own_colors(&prop.image)
            .into_iter()
            .map(|color: Color| color.name().to_owned())
            .collect()
    };
    (
        props().map(|prop| prop.name.clone()).collect(),
        props().map(own).collect(),
    )
}

/// Measures on the renderer's own pictures.
fn on_drawn(args: &Args, detector: Detector, kept: &[Drawn]) -> anyhow::Result<()> {
    let samples: Vec<Sample> = kept.iter().map(|drawn| drawn.sample.clone()).collect();
    let sheet = args.run.join("found_drawn.png");
    let score = score_samples(&detector, &samples, Some(&sheet))?;
    println!("the renderer's own pictures: {score}");
    let [asked, misled] = looked(detector, &args.props, kept)?;
    let table = Table {
        asked: &asked,
        misled: &misled,
    };
    println!("{table}");
    let lines: Result<Vec<String>, _> = (asked.iter().chain(&misled))
        .map(serde_json::to_string)
        .collect();
    fs::write(args.run.join("answers.jsonl"), lines?.join("\n") + "\n")
        .context("cannot write the answers")
}

/// What the critic says of pictures when it is asked what the renderer was asked for, and when it is asked for what it was not.
fn looked(detector: Detector, props: &Path, drawn: &[Drawn]) -> anyhow::Result<[Vec<Looked>; 2]> {
    let names = detector.config().names.clone();
    let critic = answered::critic(detector, props)?;
    let mut rng = ChaCha8Rng::seed_from_u64(HELD_OUT);
    let (mut asked, mut misled) = (Vec::new(), Vec::new());
    for drawn in drawn {
        asked.push(Looked::at(&critic, drawn));
        misled.extend(Looked::misled(&critic, drawn, &names, &mut rng));
    }
    Ok([asked, misled])
}

/// The renderer's own pictures: those to train on, and those that are kept for measuring.
fn drawn_of(args: &Args, config: &DetectorConfig) -> anyhow::Result<(Vec<Sample>, Vec<Drawn>)> {
    let Some(dir) = &args.drawn else {
        return Ok((Vec::new(), Vec::new()));
    };
    let (kept, rest) = every(args.kept as usize, drawn::read(dir, &config.names)?);
    Ok((rest.into_iter().map(|drawn| drawn.sample).collect(), kept))
}

/// Every `nth` of all, the first among them, and the rest.
fn every<T>(nth: usize, all: Vec<T>) -> (Vec<T>, Vec<T>) {
    let (mut some, mut rest) = (Vec::new(), Vec::new());
    for (index, one) in all.into_iter().enumerate() {
        let to = if index % nth == 0 {
            &mut some
        } else {
            &mut rest
        };
        to.push(one);
    }
    (some, rest)
}
