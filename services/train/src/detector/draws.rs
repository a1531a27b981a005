//! The farm's own pictures of scenes that are known, for the detector to learn and to be measured on. About a third of them are spoilt on purpose: something
//! else is drawn than what was asked for. So what a critic should find is known by construction, and no other network says it.

use std::{fs, path::PathBuf, sync::Arc, time::Instant};

use anyhow::Context;
use atelier_engine::{Engine, RenderInput, Unattended};
use atelier_models::{
    Sources, TorchEngine,
    props::vocabulary::{Background, Color, TimeOfDay},
};
use atelier_proto::{
    job::JobKind,
    plan::{BBox, Element, Plan},
};
use image::RgbImage;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{
    MOST_THINGS,
    drawn::{Asked, Deed, Shown, ShownThing},
    measure::classes,
    words,
};
use crate::composer::{GRID, Library, Scene, Thing};

/// Share of the scenes that are what most prompts ask for: a plain ground by day.
const PLAIN: f64 = 0.3;
/// Tokens that a moved thing goes at least, along its longer way: far enough that its place is wrong for sure.
const FAR: u8 = 6;

/// Options of the command.
#[derive(clap::Args)]
pub struct Args {
    /// Folder of the sprites and their names, as deploy/setup leaves it.
    #[arg(long, default_value = ".deps/sprites")]
    sprites: PathBuf,
    #[command(flatten)]
    farm: Farm,
    /// Where pictures and truths go; those that are there already are left.
    #[arg(long, default_value = ".train/drawn")]
    out: PathBuf,
    /// Pictures in all.
    #[arg(long, default_value_t = 800)]
    number: u32,
    /// Seed of everything.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// What a worker of the farm draws and looks with.
#[derive(clap::Args)]
pub struct Farm {
    /// The model.
    #[arg(long, default_value = "deploy/models/atelier-mini")]
    pub model: PathBuf,
    /// The language model that it was trained on (GGUF), as deploy/setup leaves it.
    #[arg(
        long,
        default_value = ".deps/models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    )]
    language: PathBuf,
    /// Threads of libtorch.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

impl Farm {
    /// The engine of a worker with these roles.
    pub fn engine(&self, roles: &[JobKind]) -> anyhow::Result<TorchEngine> {
        atelier_models::device::set_threads(self.threads);
        let sources = Sources {
            model: self.model.clone(),
            language: Some(self.language.clone()),
            critic: None,
            props: None,
        };
        Ok(TorchEngine::load(&sources, roles, "cpu")?)
    }
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    let library = Arc::new(Library::open(&args.sprites)?);
    let (_, own_colors) = words(&library);
    let of_props = classes(&library);
    let is_own = |prop: usize, color: Color| {
        of_props[prop].is_some_and(|class| own_colors[class].iter().any(|own| own == color.name()))
    };
    let world = World {
        props: library.drawn(),
        is_own: &is_own,
    };
    let mut engine = args.farm.engine(&[JobKind::Render])?;
    fs::create_dir_all(&args.out).with_context(|| format!("cannot make {}", args.out.display()))?;
    let start = Instant::now();
    let mut made = 0_u32;
    for index in 0..args.number {
        let file = args.out.join(format!("{index:05}.json"));
        if file.exists() {
            continue;
        }
        let seed = args.seed.wrapping_add(u64::from(index));
        let mut rng = ChaCha8Rng::seed_from_u64(seed << 8);
        let (shown, asked) = world.scenes(&mut rng);
        let truth = Shown {
            asked: asked.map(|(deed, scene)| Asked {
                deed,
                time: scene.time.name().to_owned(),
                things: things(&scene, &library),
            }),
            background: shown.background.name().to_owned(),
            time: shown.time.name().to_owned(),
            things: things(&shown, &library),
        };
        draw(&mut engine, &truth, seed)?
            .save(file.with_extension("png"))
            .context("cannot write a picture")?;
        // Last, so that what is there is whole.
        fs::write(&file, serde_json::to_string(&truth)? + "\n").context("cannot write a truth")?;
        made += 1;
        if made.is_multiple_of(50) {
            println!(
                "{} of {} drawn, {:.2?} each",
                index + 1,
                args.number,
                start.elapsed() / made
            );
        }
    }
    Ok(())
}

/// What scenes are made of.
struct World<'a> {
    /// The things, by their places in the library.
    props: &'a [usize],
    /// Whether a thing has a colour as it comes.
    is_own: &'a dyn Fn(usize, Color) -> bool,
}

impl World<'_> {
    /// What is drawn; with what was asked for instead, where it was spoilt.
    fn scenes(&self, rng: &mut ChaCha8Rng) -> (Scene, Option<(Deed, Scene)>) {
        let mut scene = Scene::random_of(self.props, rng, MOST_THINGS).nudged(rng);
        if rng.random_bool(PLAIN) {
            (scene.background, scene.time) = (Background::Plain, TimeOfDay::Day);
        }
        for thing in &mut scene.things {
            // The farm leaves a tomato that shall be red as it comes.
            thing.color = thing
                .color
                .filter(|color| !(self.is_own)(thing.prop, *color));
        }
        let deed = Deed::ALL[rng.random_range(0..Deed::ALL.len())];
        if rng.random_bool(0.5) {
            return (scene, None);
        }
        let asked = scene.clone();
        match self.spoil(&mut scene, deed, rng) {
            Some(()) => (scene, Some((deed, asked))),
            None => (asked, None),
        }
    }

    /// Does the deed to a scene; none when it offers no chance for it.
    fn spoil(&self, scene: &mut Scene, deed: Deed, rng: &mut ChaCha8Rng) -> Option<()> {
        let at = rng.random_range(0..scene.things.len());
        match deed {
            Deed::LeftOut => drop(scene.things.remove(at)),
            Deed::Replaced => {
                let other = self.props[rng.random_range(0..self.props.len())];
                if scene.things.iter().any(|thing| thing.prop == other) {
                    return None;
                }
                scene.things[at].prop = other;
                scene.things[at].color = None;
            }
            Deed::Doubled => {
                let place = free(scene, scene.things[at].cell.2, rng, |_| true)?;
                let double = Thing {
                    cell: place,
                    ..scene.things[at]
                };
                scene.things.push(double);
            }
            Deed::Recolored => {
                let at = (scene.things.iter()).position(|thing| thing.color.is_some())?;
                let thing = &mut scene.things[at];
                let other = Color::ALL[rng.random_range(0..Color::ALL.len())];
                if thing.color == Some(other) || (self.is_own)(thing.prop, other) {
                    return None;
                }
                thing.color = Some(other);
            }
            Deed::Moved => {
                let (x, y, side) = scene.things[at].cell;
                // Of two alike nobody says which one is out of its place.
                if scene
                    .things
                    .iter()
                    .filter(|one| one.prop == scene.things[at].prop)
                    .count()
                    > 1
                {
                    return None;
                }
                let place = free(scene, side, rng, |(nx, ny, _)| {
                    nx.abs_diff(x).max(ny.abs_diff(y)) >= FAR
                })?;
                scene.things[at].cell = place;
            }
            Deed::Relit => {
                let other = TimeOfDay::ALL[rng.random_range(0..TimeOfDay::ALL.len())];
                if scene.time == other {
                    return None;
                }
                scene.time = other;
            }
        }
        Some(())
    }
}

/// A square of this side that covers nothing.
fn free(
    scene: &Scene,
    side: u8,
    rng: &mut ChaCha8Rng,
    fits: impl Fn((u8, u8, u8)) -> bool,
) -> Option<(u8, u8, u8)> {
    (0..200).find_map(|_| {
        let (x, y) = (
            rng.random_range(0..=GRID - side),
            rng.random_range(0..=GRID - side),
        );
        let apart = |thing: &Thing| {
            let (ox, oy, other) = thing.cell;
            x >= ox + other || ox >= x + side || y >= oy + other || oy >= y + side
        };
        let place = (x, y, side);
        (fits(place) && scene.things.iter().all(apart)).then_some(place)
    })
}

/// The things of a scene as a file tells them.
fn things(scene: &Scene, library: &Library) -> Vec<ShownThing> {
    let told = |thing: &Thing| ShownThing {
        name: library.props()[thing.prop].name.clone(),
        color: thing.color.map(|color| color.name().to_owned()),
        bbox: thing.bbox(),
    };
    scene.things.iter().map(told).collect()
}

/// Draws what is told as the farm does: with the library's pictures, each in its box.
pub fn draw(engine: &mut TorchEngine, shown: &Shown, seed: u64) -> anyhow::Result<RgbImage> {
    let plan = plan(shown);
    let input = RenderInput {
        stage: plan.stages[0].id.clone(),
        plan: plan.into(),
        seed,
        steps: None,
        size: None,
        inputs: Vec::new(),
        references: Vec::new(),
        reuse: true,
    };
    Ok(engine.render(&input, &mut Unattended)?.image)
}

/// The plan of a scene, without checks.
pub fn plan(shown: &Shown) -> Plan {
    let mut plan = Plan::direct("a scene");
    plan.background.clone_from(&shown.background);
    plan.lighting.clone_from(&shown.time);
    let element = |(index, thing): (usize, &ShownThing)| Element {
        id: format!("e{index}"),
        noun: thing.name.clone(),
        count: 1,
        attributes: Vec::new(),
        colors: thing.color.iter().cloned().collect(),
        bbox: Some(BBox(thing.bbox)),
        reference: Some(format!("props/{}", thing.name)),
    };
    plan.elements = shown.things.iter().enumerate().map(element).collect();
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenes of this many seeds, where something was done to them.
    fn spoilt(world: &World<'_>) -> Vec<(Deed, Scene, Scene)> {
        let scenes = (0..600).filter_map(|seed| {
            let (shown, asked) = world.scenes(&mut ChaCha8Rng::seed_from_u64(seed));
            let (deed, asked) = asked?;
            Some((deed, asked, shown))
        });
        scenes.collect()
    }

    #[test]
    fn a_spoilt_scene_differs_in_what_its_deed_says() {
        let props: Vec<usize> = (0..40).collect();
        let world = World {
            props: &props,
            is_own: &|prop, color| prop % 2 == 0 && color == Color::Red,
        };
        let spoilt = spoilt(&world);
        assert!((150..=300).contains(&spoilt.len()), "{}", spoilt.len());
        for deed in Deed::ALL {
            assert!(spoilt.iter().any(|(done, ..)| *done == deed), "{deed:?}");
        }
        for (deed, asked, shown) in spoilt {
            let more = shown.things.len() as i32 - asked.things.len() as i32;
            let lit = shown.time == asked.time;
            let (mut moved, mut painted, mut other) = (0, 0, 0);
            for (one, was) in shown.things.iter().zip(&asked.things) {
                moved += u32::from(one.cell != was.cell);
                painted += u32::from(one.prop == was.prop && one.color != was.color);
                other += u32::from(one.prop != was.prop);
            }
            let is = match deed {
                Deed::LeftOut => more == -1 && lit,
                Deed::Doubled => more == 1 && lit,
                Deed::Replaced => (more, moved, other, lit) == (0, 0, 1, true),
                Deed::Recolored => (more, moved, painted, other, lit) == (0, 0, 1, 0, true),
                Deed::Moved => (more, moved, painted, other, lit) == (0, 1, 0, 0, true),
                Deed::Relit => (more, moved, painted, other, lit) == (0, 0, 0, 0, false),
            };
            assert!(is, "{deed:?}: {asked:?} {shown:?}");
            for thing in &shown.things {
                let (x, y, side) = thing.cell;
                assert!(x + side <= GRID && y + side <= GRID);
                assert!(thing.color != Some(Color::Red) || thing.prop % 2 == 1);
            }
        }
    }
}
