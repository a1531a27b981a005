//! The judge's own errors: scenes whose truth is exact, as they are and with one thing done to them that a judge must notice. All of them come out of
//! the shipped autoencoder, as what the farm draws does.

use std::collections::BTreeMap;

use atelier_models::{
    judge::{Judge, stands},
    props::vocabulary::Color,
    renderer::autoencoder::Autoencoder,
};
use atelier_proto::{
    judging::{KnownError, Side, Stands, TooMany, Truth, Wanted},
    plan::BBox,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Scenes;
use crate::{
    composer::{Library, Loose, LooseThing, SIDE},
    detector::{Sample, passed},
};

/// Seed of these scenes; neither training nor the other measurements have it.
const SEED: u64 = u64::MAX - 11;
/// Most things of a scene: as many as most prompts of the suite have.
const MOST_THINGS: usize = 4;

/// What is done to a scene after its truth was written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Nothing,
    Removed,
    Doubled,
    Recolored,
    Swapped,
    Replaced,
}

impl Deed {
    const ALL: [Self; 6] = [
        Self::Nothing,
        Self::Removed,
        Self::Doubled,
        Self::Recolored,
        Self::Swapped,
        Self::Replaced,
    ];

    const fn told(self) -> &'static str {
        match self {
            Self::Nothing => "everything right",
            Self::Removed => "one thing removed",
            Self::Doubled => "one thing too many",
            Self::Recolored => "one thing in another colour",
            Self::Swapped => "two things in each other's places",
            Self::Replaced => "one thing of another kind",
        }
    }
}

/// How often the judge errs on `number` scenes a deed.
pub fn measure(
    judge: &Judge,
    scenes: &Scenes,
    through: &Autoencoder,
    number: u32,
) -> Vec<KnownError> {
    Deed::ALL
        .into_iter()
        .enumerate()
        .map(|(index, deed)| {
            let mut rng = ChaCha8Rng::seed_from_u64(SEED - index as u64);
            let (mut truths, mut samples) = (Vec::new(), Vec::new());
            while samples.len() < number as usize {
                if let Some((truth, sample)) = prepared(scenes, deed, &mut rng) {
                    truths.push(truth);
                    samples.push(sample);
                }
            }
            let pictures = passed::all(through, samples);
            let accepted = truths.iter().zip(&pictures).filter(|(truth, sample)| {
                judge
                    .grade(truth, &sample.picture)
                    .iter()
                    .all(|finding| finding.ok)
            });
            KnownError {
                pictures: deed.told().to_owned(),
                right: deed == Deed::Nothing,
                number,
                accepted: accepted.count() as u32,
            }
        })
        .collect()
}

/// A scene's truth, and the scene with the deed done; none when it offers no chance for it.
fn prepared(scenes: &Scenes, deed: Deed, rng: &mut ChaCha8Rng) -> Option<(Truth, Sample)> {
    let mut scene = Loose::random(&scenes.library, rng);
    if scene.things.len() > MOST_THINGS {
        return None;
    }
    let truth = truth(&scene, &scenes.library);
    done(&mut scene, deed, &truth, &scenes.library, rng)?;
    Some((truth, scenes.sample(&scene, rng)))
}

/// What the scene shows: kinds and colours with their numbers, the first relation that is clear, and nothing more of any kind.
fn truth(scene: &Loose, library: &Library) -> Truth {
    let mut groups: Vec<(usize, Option<Color>, Vec<usize>)> = Vec::new();
    for (index, thing) in scene.things.iter().enumerate() {
        match groups
            .iter_mut()
            .find(|(prop, color, _)| (*prop, *color) == (thing.prop, thing.color))
        {
            Some((.., members)) => members.push(index),
            None => groups.push((thing.prop, thing.color, vec![index])),
        }
    }
    let mut kinds: BTreeMap<&str, u32> = BTreeMap::new();
    for thing in &scene.things {
        *kinds.entry(&library.props()[thing.prop].name).or_default() += 1;
    }
    let wanted = |(prop, color, members): &(usize, Option<Color>, Vec<usize>)| Wanted {
        noun: library.props()[*prop].name.clone(),
        count: members.len() as u32,
        color: color.map(|color| color.name().to_owned()),
        place: None,
    };
    Truth {
        things: groups.iter().map(wanted).collect(),
        relations: relation(scene, &groups).into_iter().collect(),
        exclude: kinds
            .into_iter()
            .map(|(noun, number)| TooMany {
                noun: noun.to_owned(),
                count: number + 1,
            })
            .collect(),
        ..Truth::default()
    }
}

/// Between the first two kinds that stand once, where their boxes leave no doubt.
fn relation(scene: &Loose, groups: &[(usize, Option<Color>, Vec<usize>)]) -> Option<Stands> {
    let single: Vec<usize> = (0..groups.len())
        .filter(|group| groups[*group].2.len() == 1)
        .collect();
    let (a, b) = (*single.first()?, *single.get(1)?);
    let place = |group: usize| BBox(scene.things[groups[group].2[0]].bbox());
    let ((ax, ay), (bx, by)) = (place(a).center(), place(b).center());
    let clear = |side: &Side| {
        let (along, across) = match side {
            Side::LeftOf | Side::RightOf => ((ax - bx).abs(), (ay - by).abs()),
            Side::Above | Side::Below => ((ay - by).abs(), (ax - bx).abs()),
        };
        along > 0.25 && across < along && stands(&place(a), *side, &place(b))
    };
    let side = Side::ALL.into_iter().find(clear)?;
    Some(Stands(a as u32, side, b as u32))
}

fn done(
    scene: &mut Loose,
    deed: Deed,
    truth: &Truth,
    library: &Library,
    rng: &mut ChaCha8Rng,
) -> Option<()> {
    let at = rng.random_range(0..scene.things.len());
    match deed {
        Deed::Nothing => {}
        Deed::Removed => drop(scene.things.remove(at)),
        Deed::Doubled => {
            let square = free(&scene.things, scene.things[at].square.2, rng)?;
            scene.things.push(LooseThing {
                square,
                ..scene.things[at]
            });
        }
        Deed::Recolored => {
            let at = scene
                .things
                .iter()
                .position(|thing| thing.color.is_some())?;
            let other = Color::ALL[rng.random_range(0..Color::ALL.len())];
            if scene.things[at].color == Some(other) {
                return None;
            }
            scene.things[at].color = Some(other);
        }
        Deed::Swapped => {
            let Stands(a, _, b) = *truth.relations.first()?;
            let index = |group: u32| {
                let wanted = &truth.things[group as usize];
                scene.things.iter().position(|thing| {
                    library.props()[thing.prop].name == wanted.noun
                        && thing.color.map(Color::name) == wanted.color.as_deref()
                })
            };
            let (a, b) = (index(a)?, index(b)?);
            let (first, second) = (scene.things[a].square, scene.things[b].square);
            scene.things[a].square = second;
            scene.things[b].square = first;
        }
        Deed::Replaced => {
            let other = library.drawn()[rng.random_range(0..library.drawn().len())];
            if scene.things.iter().any(|thing| thing.prop == other) {
                return None;
            }
            scene.things[at].prop = other;
        }
    }
    Some(())
}

/// A square of this side, or a smaller one, that covers nothing.
fn free(things: &[LooseThing], side: u32, rng: &mut ChaCha8Rng) -> Option<(u32, u32, u32)> {
    (0..200).find_map(|_| {
        let side = side.min(96);
        let (x, y) = (
            rng.random_range(0..=SIDE - side),
            rng.random_range(0..=SIDE - side),
        );
        let apart = |thing: &LooseThing| {
            let (ox, oy, other) = thing.square;
            x >= ox + other || ox >= x + side || y >= oy + other || oy >= y + side
        };
        things.iter().all(apart).then_some((x, y, side))
    })
}
