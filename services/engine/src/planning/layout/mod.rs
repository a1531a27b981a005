//! Where things go: squares on the grid of tokens that keep what the prompt says of places and relations.
//!
//! Boxes on the grid make a thing's patches independent of a sub-token phase, so that the solver emits nothing else. What the prompt says are
//! hard rules: `rules` strikes out what cannot be and leaves out the fewest of those that contradict each other, `search` places one thing
//! after the other, `taste` chooses among what is left open, `room` spreads and enlarges what was placed.

mod room;
mod rules;
mod search;
mod square;
mod taste;
#[cfg(test)]
mod tests;
mod trials;

use atelier_proto::plan::{BBox, Predicate};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{
    place::{Depth, Place},
    stages::Half,
};
use rules::{Domains, Rule, consistent};
use search::Search;
pub use square::GRID;
use square::{ATLAS, STEP, Set, Square};
use taste::Taste;
use trials::Trials;

/// Things from which squares keep to every fourth cell as long as that keeps the rules: a full grid leaves no room for squares between its squares.
const CROWDED: usize = 10;

/// Placements that are tried before a rule is given up.
const BUDGET: u32 = 4_000;

/// What one thing asks of the layout.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Where the prompt puts it.
    pub place: Place,
    /// `Some(true)` large, `Some(false)` small.
    pub large: Option<bool>,
    /// Belongs to the sky rather than to the ground.
    pub in_sky: bool,
    /// How it stands to others: `(predicate, index of the other)`.
    pub relations: Vec<(Predicate, usize)>,
    /// The half of a divided picture that it stays in; `true` where one half is above the other.
    pub half: Option<(Half, bool)>,
    /// It is shown inside another thing and takes no room of its own; its box here means nothing.
    pub shown: bool,
}

impl Wish {
    /// Whether a square is in its half.
    fn is_in_half(&self, square: Square) -> bool {
        self.half.is_none_or(|(half, stacked)| {
            let from = if stacked { square.y } else { square.x };
            match half {
                Half::First => from + square.side <= GRID / 2,
                Half::Second => from >= GRID / 2,
            }
        })
    }
}

/// Where everything goes.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// One box for every wish, in order.
    pub boxes: Vec<BBox>,
    /// What cannot hold together with the rest.
    pub broken: Vec<Broken>,
}

/// Something that the prompt says and that the layout does not keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The place of a thing.
    Place(usize),
    /// A relation: subject, predicate, object.
    Relation(usize, Predicate, usize),
}

/// Sides in cells for a number of things: the sizes that the renderer is trained with.
pub const fn sides(things: usize) -> std::ops::RangeInclusive<i32> {
    match things {
        0 | 1 => 8..=14,
        2 => 6..=10,
        3 => 6..=8,
        4 => 6..=6,
        _ => 4..=4,
    }
}

/// Places up to 16 things without overlap; the same for the same seed. Squares are as large as the renderer is used to, and smaller only where
/// the rules leave no other way.
pub fn solve(wishes: &[Wish], seed: u64) -> Layout {
    // What is shown in others takes no part.
    let beside: Vec<usize> = (0..wishes.len())
        .filter(|thing| !wishes[*thing].shown)
        .collect();
    if beside.len() < wishes.len() {
        let own: Vec<Wish> = beside
            .iter()
            .map(|thing| renumbered(&wishes[*thing], &beside))
            .collect();
        let Layout { boxes, broken } = solve(&own, seed);
        let mut all = vec![BBox([0.0, 0.0, 1.0, 1.0]); wishes.len()];
        for (thing, bbox) in beside.iter().zip(boxes) {
            all[*thing] = bbox;
        }
        let broken = broken.into_iter().map(|one| match one {
            Broken::Place(thing) => Broken::Place(beside[thing]),
            Broken::Relation(a, predicate, b) => Broken::Relation(beside[a], predicate, beside[b]),
        });
        return Layout {
            boxes: all,
            broken: broken.collect(),
        };
    }
    let rules = Rule::all(wishes);
    let [.., widest] = &bases(wishes);
    let mut kept = consistent(widest, wishes, &rules);
    let placed = loop {
        if let Some(placed) = keeping(wishes, &kept, seed) {
            break placed;
        }
        if kept.is_empty() {
            // So many things in one half of the picture that not even the smallest squares fit.
            let free: Vec<Wish> = wishes
                .iter()
                .map(|wish| Wish {
                    half: None,
                    ..wish.clone()
                })
                .collect();
            return solve(&free, seed);
        }
        // Without rules there is always a way.
        kept = Trials::new(wishes, seed).fewer(&rules, &kept);
    };
    let at = |thing: usize| placed[thing];
    let broken = rules
        .iter()
        .filter(|rule| !rule.holds(wishes, at))
        .map(|rule| match *rule {
            Rule::Place(thing) => Broken::Place(thing),
            Rule::Relation {
                subject,
                predicate,
                object,
            } => Broken::Relation(subject, predicate, object),
        })
        .collect();
    Layout {
        boxes: (0..wishes.len()).map(|thing| at(thing).bbox()).collect(),
        broken,
    }
}

/// A wish among fewer things: `kept` are the old numbers in their new order.
fn renumbered(wish: &Wish, kept: &[usize]) -> Wish {
    let relations = wish.relations.iter().filter_map(|(predicate, other)| {
        let new = kept.iter().position(|thing| thing == other)?;
        Some((*predicate, new))
    });
    Wish {
        relations: relations.collect(),
        ..wish.clone()
    }
}

/// Squares that keep all `rules`, the nicest of some.
fn keeping(wishes: &[Wish], rules: &[Rule], seed: u64) -> Option<Vec<Square>> {
    // Fresh starts where there is much freedom.
    let starts = match wishes.len() {
        0..=6 => 6,
        7..=8 => 3,
        _ => 1,
    };
    for base in bases(wishes) {
        let Ok(domains) = Domains::new(&base, wishes, rules) else {
            continue;
        };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut best: Option<(f32, Vec<Square>)> = None;
        for _ in 0..starts {
            let taste = Taste::new(wishes, &mut rng);
            let found = Search::new(wishes.len(), rules, &taste, BUDGET).run(&domains, &mut rng);
            let Some(found) = found else { break };
            let mut placed: Vec<Option<usize>> = found.into_iter().map(Some).collect();
            taste.touch_up(&mut placed, &domains, rules);
            let placed = placed.into_iter().flatten();
            let mut placed: Vec<Square> = placed.map(|square| ATLAS.squares[square]).collect();
            let total = room::give(&mut placed, wishes, rules, &taste);
            if best.as_ref().is_none_or(|(least, _)| total < *least) {
                best = Some((total, placed));
            }
        }
        if let Some((_, placed)) = best {
            return Some(placed);
        }
    }
    None
}

/// Squares that each thing may take, from what the renderer likes best to whatever there is.
fn bases(wishes: &[Wish]) -> [Vec<Set>; 4] {
    let range = sides(wishes.len());
    let (least, most) = (*range.start(), *range.end());
    let step = if wishes.len() < CROWDED {
        STEP
    } else {
        2 * STEP
    };
    let liked = |wish: &Wish, step| {
        let sides = match (wish.large, wish.place.depth) {
            (Some(true), _) | (None, Some(Depth::Foreground)) => most..=most,
            (Some(false), _) | (None, Some(Depth::Background)) => least..=least,
            // Sides of the search are even.
            _ => least.midpoint(most) / STEP * STEP..=most,
        };
        ATLAS.of_sides(sides, step)
    };
    let all =
        |sides: std::ops::RangeInclusive<i32>| vec![ATLAS.of_sides(sides, STEP); wishes.len()];
    let in_halves = |sets: Vec<Set>| -> Vec<Set> {
        let both = wishes.iter().zip(sets);
        both.map(|(wish, set)| match wish.half {
            Some(_) => ATLAS.filter(set, |square| wish.is_in_half(square)),
            None => set,
        })
        .collect()
    };
    [
        wishes.iter().map(|wish| liked(wish, step)).collect(),
        wishes.iter().map(|wish| liked(wish, STEP)).collect(),
        all(least..=most),
        all(STEP..=most),
    ]
    .map(in_halves)
}
