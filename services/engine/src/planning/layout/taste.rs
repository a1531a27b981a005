//! What makes one layout nicer than another where the prompt leaves it open.

use atelier_proto::plan::Predicate;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{
    GRID, Wish,
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
        let mut cost = |wish: &Wish, square: Square| {
            // Smaller than what the renderer is used to.
            let small = 3.0 * (least - square.side).max(0) as f32;
            by_itself(wish, square) + small + rng.random_range(0.0..1.2)
        };
        let alone = wishes
            .iter()
            .map(|wish| {
                let squares = ATLAS.squares.iter();
                squares.map(|square| cost(wish, *square)).collect()
            })
            .collect();
        let mut relations = vec![Vec::new(); wishes.len()];
        for (thing, wish) in wishes.iter().enumerate() {
            for (predicate, other) in &wish.relations {
                relations[thing].push((*predicate, *other, true));
                relations[*other].push((*predicate, thing, false));
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
                // A little air between things, as long as there is room.
                if here.gap(ATLAS.squares[there]) == 0 {
                    cost += 0.3;
                }
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

    /// What a whole layout costs.
    pub fn total(&self, placed: &[Option<usize>]) -> f32 {
        let squares = placed.iter().enumerate();
        squares
            .filter_map(|(thing, square)| Some(self.cost(thing, (*square)?, placed)))
            .sum()
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

fn by_itself(wish: &Wish, square: Square) -> f32 {
    let (cx, cy) = square.center();
    let off = |wanted: Option<u8>, center: i32| {
        // Not only in the right third: towards its outer side, so that it reads as left and not as nearly left.
        wanted.map_or(0.0, |wanted| {
            let target = [0, GRID, 2 * GRID][usize::from(wanted.min(2))];
            0.15 * (center - target).abs() as f32
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
        let level = match wish.place.depth {
            Some(Depth::Background) => GRID / 2,
            Some(Depth::Foreground) => 2 * GRID,
            None if wish.in_sky => GRID / 2,
            None => GRID + GRID / 4,
        };
        cost += 0.25 * (cy - level).abs() as f32;
    }
    if wish.place.column.is_none() {
        cost += 0.03 * (cx - GRID).abs() as f32;
    }
    cost
}

/// How far `a` is from standing to `b` clearly as `predicate` says; 0 when it does.
fn against(predicate: Predicate, a: Square, b: Square) -> f32 {
    let ((ax, ay), (bx, by)) = (a.center(), b.center());
    // Half tokens that make left read as left.
    let clear = a.side + b.side - 2;
    let short = |distance: i32| (clear.max(3) - distance).max(0) as f32;
    let aside = |x: i32, y: i32| 0.15 * (x - y).abs() as f32;
    6.0 * match predicate {
        Predicate::LeftOf => short(bx - ax) + aside(ay, by),
        Predicate::RightOf => short(ax - bx) + aside(ay, by),
        Predicate::Above => short(by - ay) + aside(ax, bx),
        Predicate::Below => short(ay - by) + aside(ax, bx),
        Predicate::On => (a.y + a.side - b.y).abs() as f32 + 0.5 * (ax - bx).abs() as f32,
        Predicate::In | Predicate::Near => a.gap(b) as f32,
        Predicate::Behind => short(by - ay) * 0.5,
        Predicate::InFrontOf => short(ay - by) * 0.5,
    }
}
