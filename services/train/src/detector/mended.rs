//! What a round of critique does to the farm's own pictures whose truth is known: how many of those that were spoilt it mends, and how many of the others it
//! breaks. The judge of `atelier eval` says which are right, before and after; nothing is learnt from it.

use std::{collections::BTreeMap, path::PathBuf};

use atelier_domain::MOST_FIXES;
use atelier_engine::{CritiqueInput, Engine, RenderInput, Unattended, planning::mend};
use atelier_models::{TorchEngine, judge::Judge};
use atelier_proto::{
    job::JobKind,
    judging::{TooMany, Truth, Wanted},
    plan::Plan,
    review::Review,
};
use image::RgbImage;
use tch::Device;

use super::{
    asked,
    drawn::{self, Drawn, Shown},
    draws::{self, Farm},
};

/// Options of the command.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    farm: Farm,
    /// Pictures with their truth, as `draw` makes them, of a seed that the detector was not trained on.
    #[arg(long, value_name = "DIR")]
    drawn: PathBuf,
    /// Draw everything again with another seed instead of repainting boxes.
    #[arg(long)]
    again: bool,
}

/// Counts over pictures: of all, those that were right before, and those that are right after, each by what they were before.
#[derive(Clone, Copy, Default)]
struct Counts {
    pictures: u32,
    right: u32,
    mended: u32,
    broken: u32,
    /// Boxes that were repainted, or pictures drawn again.
    drawings: u32,
}

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    let mut engine = args.farm.engine(&[JobKind::Render, JobKind::Critique])?;
    let judge = Judge::load(&args.farm.model, Device::Cpu)?;
    let mut all: BTreeMap<&str, Counts> = BTreeMap::new();
    // Names are the judge's matter here.
    for (index, drawn) in drawn::read(&args.drawn, &[])?.iter().enumerate() {
        let asked = drawn.asked();
        let truth = truth(&asked);
        let right = |picture: &RgbImage| judge.grade(&truth, picture).iter().all(|found| found.ok);
        let (after, drawings) = round(&mut engine, drawn, &asked, index as u64, args.again)?;
        let (was, is) = (right(&drawn.sample.picture), right(&after));
        let deed = drawn
            .shown
            .asked
            .as_ref()
            .map_or("as asked for", |asked| asked.deed.told());
        let counts = all.entry(deed).or_default();
        counts.pictures += 1;
        counts.right += u32::from(was);
        counts.mended += u32::from(!was && is);
        counts.broken += u32::from(was && !is);
        counts.drawings += drawings;
    }
    for (deed, counts) in all {
        let Counts {
            pictures,
            right,
            mended,
            broken,
            drawings,
        } = counts;
        println!(
            "{deed}: {pictures} pictures, {right} right before; of {} wrong ones {mended} mended, of the right ones {broken} broken; {drawings} drawings",
            pictures - right
        );
    }
    Ok(())
}

/// One round: what failed is repainted or everything drawn again, and the picture is the better of both.
fn round(
    engine: &mut TorchEngine,
    drawn: &Drawn,
    asked: &Shown,
    seed: u64,
    again: bool,
) -> anyhow::Result<(RgbImage, u32)> {
    let (plan, _) = asked::questions(asked, &drawn.shown);
    let before = look(engine, &plan, &drawn.sample.picture)?;
    if before.score().fail == 0 {
        return Ok((drawn.sample.picture.clone(), 0));
    }
    let mut picture = drawn.sample.picture.clone();
    let mut drawings = 0;
    if again {
        picture = draws::draw(engine, asked, seed)?;
        drawings = 1;
    } else {
        for fix in before.fixes.iter().take(MOST_FIXES) {
            let input = RenderInput {
                plan: mend::with_fix(&plan, "mend", fix).into(),
                stage: "mend".into(),
                seed,
                steps: None,
                size: None,
                inputs: vec![picture],
                references: Vec::new(),
                reuse: true,
            };
            picture = engine.render(&input, &mut Unattended)?.image;
            drawings += 1;
        }
    }
    let after = look(engine, &plan, &picture)?;
    if !after.score().beats(&before.score()) {
        picture = drawn.sample.picture.clone();
    }
    Ok((picture, drawings))
}

fn look(engine: &mut TorchEngine, plan: &Plan, picture: &RgbImage) -> anyhow::Result<Review> {
    let input = CritiqueInput {
        plan: plan.clone().into(),
        image: picture.clone(),
    };
    Ok(engine.critique(&input, &mut Unattended)?)
}

/// What was asked for as the judge is told it: kinds, colours and their numbers, and nothing more of any kind.
fn truth(asked: &Shown) -> Truth {
    let mut things: Vec<Wanted> = Vec::new();
    let mut kinds: BTreeMap<&str, u32> = BTreeMap::new();
    for thing in &asked.things {
        *kinds.entry(&thing.name).or_default() += 1;
        let alike = |one: &&mut Wanted| one.noun == thing.name && one.color == thing.color;
        match things.iter_mut().find(alike) {
            Some(known) => known.count += 1,
            None => things.push(Wanted {
                noun: thing.name.clone(),
                count: 1,
                color: thing.color.clone(),
                place: None,
            }),
        }
    }
    let too_many = |(noun, number): (&str, u32)| TooMany {
        noun: noun.to_owned(),
        count: number + 1,
    };
    Truth {
        things,
        exclude: kinds.into_iter().map(too_many).collect(),
        time: Some(asked.time.clone()),
        ..Truth::default()
    }
}
