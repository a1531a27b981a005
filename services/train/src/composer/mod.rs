//! The scene composer: endless training pictures of the small world, with exact boxes, made from sprites.

mod backdrop;
mod catalog;
mod draw;
mod library;
mod loose;
mod scene;
mod sheet;
mod ship;

use std::{path::PathBuf, time::Instant};

use anyhow::Context;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

pub use catalog::{Entry, later, spoken_of};
pub use library::{Library, Prop};
pub use loose::{Loose, LooseThing};
pub use scene::{GRID, Scene, Thing};
pub use sheet::sheet;

/// Side in pixels of the pictures that the farm draws, and so of those that its eyes learn from.
pub const SIDE: u32 = 256;

/// Options of the command.
#[derive(clap::Args)]
pub struct Args {
    /// Folder of the sprites and their names, as deploy/setup leaves it.
    #[arg(long, default_value = ".deps/sprites")]
    sprites: PathBuf,
    /// Write a sheet of 36 random scenes to this PNG.
    #[arg(long, value_name = "PNG")]
    sheet: Option<PathBuf>,
    /// Write the prop library that is shipped with the model to this folder.
    #[arg(long, value_name = "DIR")]
    props: Option<PathBuf>,
    /// Seed of the scenes.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Side of a scene in pixels.
    #[arg(long, default_value_t = 128)]
    size: u32,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    let start = Instant::now();
    let library = Library::open(&args.sprites)?;
    println!(
        "{} things ({} drawn) opened in {:.1?}",
        library.props().len(),
        library.drawn().len(),
        start.elapsed()
    );
    if let Some(path) = &args.sheet {
        let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
        let scenes: Vec<Scene> = (0..36)
            .map(|_| Scene::random(&library, &mut rng, 4))
            .collect();
        let pictures: Vec<_> = scenes
            .iter()
            .map(|scene| scene.draw(&library, args.size, &mut rng))
            .collect();
        sheet(&pictures, 9)
            .save(path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        for (index, scene) in scenes.iter().enumerate() {
            let things: Vec<_> = scene
                .things
                .iter()
                .map(|thing| format!("{} ({})", thing.phrase(&library), thing.place()))
                .collect();
            println!("{index:2}: {} {}", things.join(", "), scene.base_phrase());
        }
        let start = Instant::now();
        for _ in 0..500 {
            Scene::random(&library, &mut rng, 4).draw(&library, args.size, &mut rng);
        }
        println!("{:.2?} a scene", start.elapsed() / 500);
    }
    if let Some(dir) = &args.props {
        let (number, bytes) = ship::write(&library, dir)?;
        println!(
            "{number} props, {bytes} bytes, written to {}",
            dir.display()
        );
    }
    Ok(())
}
