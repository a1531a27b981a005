//! Recipe of the judge: a second detector that has no part in the product. Another backbone than the critic's, another seed, and scenes of another make:
//! off the grid, mirrored, crowded, and one in four as the shipped autoencoder hands it back. It grades what the farm delivers in `atelier eval`.

mod errors;

use std::{fs, path::PathBuf, sync::Arc};

use anyhow::Context;
use atelier_models::{
    critic::detector::{Detector, DetectorConfig},
    judge::{self, Judge},
    props::PropLibrary,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::Device;

use crate::{
    composer::{Library, Loose, LooseThing},
    detector::{Master, Sample, Training, Truth, classes, export, passed, score_samples, words},
};

/// Seed of the scenes that it is measured on; no training step has it.
const HELD_OUT: u64 = u64::MAX - 5;
/// Of so many pictures one comes out of the autoencoder.
const ONE_PASSED_IN: u32 = 4;

/// Options of the command.
#[derive(clap::Args)]
pub struct Args {
    /// Folder of the sprites and their names, as deploy/setup leaves it.
    #[arg(long, default_value = ".deps/sprites")]
    sprites: PathBuf,
    /// Folder of the run; what is there is taken up again.
    #[arg(long, default_value = ".train/judge")]
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
    /// Seed of everything; the critic's was 0.
    #[arg(long, default_value_t = 7_919)]
    seed: u64,
    /// Threads of libtorch.
    #[arg(long, default_value_t = 1)]
    threads: i32,
    /// Start from the judge in this folder, as this recipe exports it, instead of a fresh one.
    #[arg(long, value_name = "DIR")]
    start: Option<PathBuf>,
    /// Autoencoder whose softness the judge shall know.
    #[arg(long, default_value = "deploy/models/atelier-mini/renderer/vae")]
    autoencoder: PathBuf,
    /// Scenes that are passed through the autoencoder at the start.
    #[arg(long, default_value_t = 768)]
    passed: usize,
    /// The shipped prop library, whose names the judge goes by.
    #[arg(long, default_value = "deploy/models/atelier-mini/props")]
    props: PathBuf,
    /// Pictures of each kind that the judge's own errors are counted on.
    #[arg(long, default_value_t = 400)]
    known: u32,
    /// Write the shipped judge to this folder at the end.
    #[arg(long, value_name = "DIR")]
    export: Option<PathBuf>,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    tch::set_num_threads(args.threads);
    tch::manual_seed(args.seed as i64);
    let library = Arc::new(Library::open(&args.sprites)?);
    let (names, own_colors) = words(&library);
    let config = DetectorConfig::judge(names, own_colors);
    let training = Training {
        run: args.run.clone(),
        steps: args.steps,
        batch: args.batch,
        rate: args.rate,
        seed: args.seed,
    };
    let scenes = Scenes {
        classes: classes(&library),
        library: Arc::clone(&library),
    };
    let mut master = match &args.start {
        Some(dir) => Master::trained(&config, dir)?,
        None => Master::fresh(&config),
    };
    let through = passed::open(&args.autoencoder)?;
    let soft = match args.steps {
        0 => Vec::new(),
        _ => passed::all(&through, scenes.many(args.passed, args.seed ^ HELD_OUT)),
    };
    let fresh = scenes.clone();
    training.go(&library, &config, &mut master, move |index, rng| {
        if index % ONE_PASSED_IN == 0 && !soft.is_empty() {
            return soft[rng.random_range(0..soft.len())].clone();
        }
        fresh.one(rng)
    })?;
    let detector = Detector::of(config.clone(), master.average_net(&config)?, Device::Cpu);
    let clear = scenes.many(600, HELD_OUT);
    let sheet = args.run.join("found.png");
    let mut told = format!(
        "clear scenes: {}\n",
        score_samples(&detector, &clear, Some(&sheet))?
    );
    let soft = passed::all(&through, scenes.many(300, HELD_OUT - 1));
    let sheet = args.run.join("found_passed.png");
    told += &format!(
        "through the autoencoder: {}\n",
        score_samples(&detector, &soft, Some(&sheet))?
    );
    print!("{told}");
    fs::write(args.run.join("score.txt"), &told).context("cannot write the score")?;
    if let Some(dir) = &args.export {
        let shipped = export(&master, &config, dir)?;
        println!("exported: {}", score_samples(&shipped, &clear, None)?);
    }
    let judge = Judge::of(detector, PropLibrary::open(&args.props)?);
    let errors = errors::measure(&judge, &scenes, &through, args.known);
    for error in &errors {
        let share = 100.0 * f64::from(error.accepted) / f64::from(error.number.max(1));
        println!(
            "{}: accepted {} of {}, {share:.1} %",
            error.pictures, error.accepted, error.number
        );
    }
    let folder = args.export.as_ref().unwrap_or(&args.run);
    fs::write(
        folder.join(judge::ERRORS),
        serde_json::to_string_pretty(&errors)? + "\n",
    )
    .context("cannot write the errors")
}

/// Scenes with their truth.
#[derive(Clone)]
struct Scenes {
    library: Arc<Library>,
    classes: Vec<Option<usize>>,
}

impl Scenes {
    fn one(&self, rng: &mut ChaCha8Rng) -> Sample {
        self.sample(&Loose::random(&self.library, rng), rng)
    }

    /// The picture of a scene with what is in it.
    fn sample(&self, scene: &Loose, rng: &mut ChaCha8Rng) -> Sample {
        let truth = |thing: &LooseThing| {
            Some(Truth {
                name: self.classes[thing.prop]?,
                color: thing.color,
                bbox: thing.bbox(),
            })
        };
        Sample {
            picture: scene.draw(&self.library, rng),
            things: scene.things.iter().filter_map(truth).collect(),
            background: scene.background,
            time: scene.time,
        }
    }

    fn many(&self, number: usize, seed: u64) -> Vec<Sample> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..number).map(|_| self.one(&mut rng)).collect()
    }
}
