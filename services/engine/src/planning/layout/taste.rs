//! What makes one layout nicer than another where the prompt leaves it open.

use atelier_proto::plan::Predicate;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{
    GRID, Wish,
    room::comfortable,
    rules::{Domains, Rule},
    sides,
    square::{ATLAS, Square},
};
use crate::planning::place::Depth;

/// Most passes over all things when a layout is touched up.
const PASSES: usize = 4;

/// What each thing's squares cost.
pub struct Taste<'a> {
    wishes: &'a [Wish],
    /// Relations of each thing, as `(predicate, other, whether the thing is the subject)`.
    relations: Vec<Vec<(Predicate, usize, bool)>>,
    /// By thing and square: what it costs by itself.
    alone: Vec<Vec<f32>>,
}

impl<'a> Taste<'a> {
    /// A small liking of its own for every square makes layouts differ between seeds where the prompt leaves them open.
    pub fn new(wishes: &'a [Wish], rng: &mut ChaCha8Rng) -> Self {
        let least = *sides(wishes.len()).start();
        let standing = standing(wishes.len());
        let mut cost = |wish: &Wish, square: Square| {
            // Smaller than what the renderer is used to.
            let small = 1.5 * (least - square.side).max(0) as f32;
            by_itself(wish, square, standing) + small + rng.random_range(0.0..1.2)
        };
        let mut alone: Vec<Vec<f32>> = wishes
            .iter()
            .map(|wish| {
                let squares = ATLAS.squares.iter();
                squares.map(|square| cost(wish, *square)).collect()
            })
            .collect();
        // What is placed first leaves room for what stands to it.
        let mut lean = |thing: usize, predicate: Predicate, is_subject: bool| {
            for (cost, square) in alone[thing].iter_mut().zip(&ATLAS.squares) {
                *cost += leaning(predicate, is_subject, *square);
            }
        };
        let mut relations = vec![Vec::new(); wishes.len()];
        for (thing, wish) in wishes.iter().enumerate() {
            for (predicate, other) in &wish.relations {
                relations[thing].push((*predicate, *other, true));
                relations[*other].push((*predicate, thing, false));
                lean(thing, *predicate, true);
                lean(*other, *predicate, false);
            }
        }
        Self {
            wishes,
            relations,
            alone,
        }
    }

    /// What it costs to have a thing at a square, given where others are already.
    pub fn cost(&self, thing: usize, square: usize, placed: &[Option<usize>]) -> f32 {
        let here = ATLAS.squares[square];
        let mut cost = self.alone[thing][square];
        for (other, there) in placed.iter().enumerate() {
            if let Some(there) = there.filter(|_| other != thing) {
                cost += crowding(here, ATLAS.squares[there]);
            }
        }
        for (predicate, other, is_subject) in &self.relations[thing] {
            if let Some(there) = placed[*other] {
                let there = ATLAS.squares[there];
                cost += match is_subject {
                    true => against(*predicate, here, there),
                    false => against(*predicate, there, here),
                };
            }
        }
        cost
    }

    /// What it costs to have a thing at any square among the others, by what everybody likes; things want to be as large as is comfortable.
    pub fn at_ease(&self, thing: usize, here: Square, placed: &[Square]) -> f32 {
        let things = placed.len();
        let small = (comfortable(things) - here.side).max(0) as f32;
        let mut cost = by_itself(&self.wishes[thing], here, standing(things))
            + 0.6 * small
            + 0.25 * small * small;
        for (other, there) in placed.iter().enumerate() {
            if other != thing {
                cost += crowding(here, *there);
            }
        }
        for (predicate, other, is_subject) in &self.relations[thing] {
            cost += match is_subject {
                true => against(*predicate, here, placed[*other]),
                false => against(*predicate, placed[*other], here),
            };
        }
        cost
    }

    /// Moves one thing after the other to the best square that breaks no rule, until nothing gets better.
    pub fn touch_up(&self, placed: &mut [Option<usize>], domains: &Domains, rules: &[Rule]) {
        for _ in 0..PASSES {
            let mut moved = false;
            for thing in 0..self.wishes.len() {
                let Some(before) = placed[thing] else {
                    continue;
                };
                let mut free = domains.0[thing];
                for (other, there) in placed.iter().enumerate() {
                    if let Some(there) = there.filter(|_| other != thing) {
                        free = free.and(ATLAS.apart(there));
                    }
                }
                for rule in rules {
                    let Rule::Relation {
                        subject,
                        predicate,
                        object,
                    } = *rule
                    else {
                        continue;
                    };
                    let other = match thing {
                        thing if thing == subject => object,
                        thing if thing == object => subject,
                        _ => continue,
                    };
                    if let Some(there) = placed[other] {
                        free = free.and(ATLAS.partner(predicate, there, other == subject));
                    }
                }
                let mut best = (self.cost(thing, before, placed), before);
                for square in free.iter() {
                    let cost = self.cost(thing, square, placed);
                    if cost < best.0 {
                        best = (cost, square);
                    }
                }
                placed[thing] = Some(best.1);
                moved |= best.1 != before;
            }
            if !moved {
                break;
            }
        }
    }
}

/// What it costs not to stand low, by half a cell. Two stand beside each other, however small; where many share the picture, all of its height is
/// theirs.
const fn standing(things: usize) -> f32 {
    match things {
        0..=2 => 0.3,
        3 => 0.1,
        _ => 0.03,
    }
}

/// What it costs not to be high up for what flies or is far behind, by half a cell.
const FLYING: f32 = 0.3;

/// What it costs that things are near each other: they run into one.
fn crowding(a: Square, b: Square) -> f32 {
    let (x, y) = a.gaps(b);
    let close = match x.max(y) {
        0 => 1.6,
        1 => 0.5,
        _ => return 0.0,
    };
    let shared =
        |a_from: i32, b_from: i32| (a_from + a.side).min(b_from + b.side) > a_from.max(b_from);
    // Corners hardly meet.
    let beside = shared(a.x, b.x) || shared(a.y, b.y);
    if beside { close } else { 0.3 * close }
}

fn by_itself(wish: &Wish, square: Square, standing: f32) -> f32 {
    let (cx, cy) = square.center();
    let off = |wanted: Option<u8>, center: i32| {
        // Not only in the right third: towards its outer side, so that it reads as left and not as nearly left.
        wanted.map_or(0.0, |wanted| {
            let target = [0, GRID, 2 * GRID][usize::from(wanted.min(2))];
            0.075 * (center - target).abs() as f32
        })
    };
    let mut cost = off(wish.place.column, cx) + off(wish.place.row, cy);
    let thirds = square.thirds();
    let missed = |wanted: Option<u8>, third: u8| wanted.is_some_and(|wanted| wanted != third);
    for missed in [
        missed(wish.place.column, thirds.0),
        missed(wish.place.row, thirds.1),
    ] {
        cost += if missed { 12.0 } else { 0.0 };
    }
    if wish.place.row.is_none() {
        // Things stand low and fly high, unless the prompt says otherwise.
        let (level, weight) = match wish.place.depth {
            Some(Depth::Background) => (GRID / 2, FLYING),
            Some(Depth::Foreground) => (2 * GRID, standing),
            None if wish.in_sky => (GRID / 2, FLYING),
            None => (GRID + GRID / 4, standing),
        };
        cost += weight * (cy - level).abs() as f32;
    }
    if wish.place.column.is_none() {
        cost += 0.015 * (cx - GRID).abs() as f32;
    }
    cost
}

/// What it costs a thing of a relation to be on the side of the picture that is the other's.
fn leaning(predicate: Predicate, is_subject: bool, square: Square) -> f32 {
    let (cx, cy) = square.center();
    let (along, is_first) = match predicate {
        Predicate::LeftOf => (cx, is_subject),
        Predicate::RightOf => (cx, !is_subject),
        Predicate::Above | Predicate::On => (cy, is_subject),
        Predicate::Below => (cy, !is_subject),
        Predicate::In | Predicate::Near | Predicate::Behind | Predicate::InFrontOf => return 0.0,
    };
    let from = if is_first { along } else { 2 * GRID - along };
    0.15 * (from - 3 * GRID / 4).max(0) as f32
}

/// How far `a` is from standing to `b` clearly as `predicate` says; 0 when it does.
fn against(predicate: Predicate, a: Square, b: Square) -> f32 {
    let ((ax, ay), (bx, by)) = (a.center(), b.center());
    // Half cells that make left read as left.
    let clear = a.side + b.side - 4;
    let short = |distance: i32| (clear.max(6) - distance).max(0) as f32;
    // What is more above than left reads as above.
    let towards = |along: i32, across: i32| {
        let across = across.abs();
        short(along) + 0.15 * across as f32 + 0.5 * (across - along).max(0) as f32
    };
    3.0 * match predicate {
        Predicate::LeftOf => towards(bx - ax, ay - by),
        Predicate::RightOf => towards(ax - bx, ay - by),
        Predicate::Above => towards(by - ay, ax - bx),
        Predicate::Below => towards(ay - by, ax - bx),
        Predicate::On => (a.y + a.side - b.y).abs() as f32 + 0.5 * (ax - bx).abs() as f32,
        Predicate::In => a.gap(b) as f32,
        Predicate::Near => (a.gap(b) - 1).max(0) as f32,
        Predicate::Behind => short(by - ay) * 0.5,
        Predicate::InFrontOf => short(ay - by) * 0.5,
    }
}
