//! Room: squares that the search found on every second cell are moved and grown cell by cell, as long as the picture gets better and no rule breaks.

use super::{
    GRID, Wish,
    rules::Rule,
    sides,
    square::{Square, holds},
    taste::Taste,
};
use crate::planning::place::Depth;

/// Most passes over all things.
const PASSES: usize = 8;

/// Most cells that a thing moves at once, and that it grows or shrinks.
const REACH: i32 = 3;

/// Gives every thing the room that is left, and says what the whole then costs.
pub fn give(placed: &mut [Square], wishes: &[Wish], rules: &[Rule], taste: &Taste<'_>) -> f32 {
    let bounds: Vec<(i32, i32)> = wishes
        .iter()
        .zip(placed.iter())
        .map(|(wish, square)| bounds(wish, square.side, wishes.len()))
        .collect();
    for _ in 0..PASSES {
        let mut moved = false;
        for (thing, bounds) in bounds.iter().enumerate() {
            let better = better(thing, placed, *bounds, wishes, rules, taste);
            moved |= better != placed[thing];
            placed[thing] = better;
        }
        if !moved {
            break;
        }
    }
    (0..placed.len())
        .map(|thing| taste.at_ease(thing, placed[thing], placed))
        .sum()
}

/// Sides that a thing may take; what shall be small stays as small as it was placed.
fn bounds(wish: &Wish, side: i32, things: usize) -> (i32, i32) {
    let least = side.min(*sides(things).start());
    match (wish.large, wish.place.depth) {
        (Some(false), _) | (None, Some(Depth::Background)) => (side, side),
        (Some(true), _) | (None, Some(Depth::Foreground)) => {
            (side, comfortable(things).max(side) + 1)
        }
        _ => (least, comfortable(things).max(side)),
    }
}

/// The side that things of so many are grown to.
pub const fn comfortable(things: usize) -> i32 {
    match things {
        0 | 1 => 14,
        2 => 10,
        3 => 8,
        4 => 7,
        5 | 6 => 6,
        _ => 5,
    }
}

/// The best square within reach that leaves the others where they are.
fn better(
    thing: usize,
    placed: &[Square],
    (least, most): (i32, i32),
    wishes: &[Wish],
    rules: &[Rule],
    taste: &Taste<'_>,
) -> Square {
    let now = placed[thing];
    let mut best = (taste.at_ease(thing, now, placed), now);
    for side in (now.side - REACH).max(least)..=(now.side + REACH).min(most) {
        let reach = |from: i32| (from - REACH).max(0)..=(from + REACH).min(GRID - side);
        for y in reach(now.y) {
            for x in reach(now.x) {
                let square = Square { x, y, side };
                if !is_free(thing, square, placed) {
                    continue;
                }
                let cost = taste.at_ease(thing, square, placed);
                // Sums are rounded.
                if cost < best.0 - 1e-3 && keeps(thing, square, placed, wishes, rules) {
                    best = (cost, square);
                }
            }
        }
    }
    best.1
}

fn is_free(thing: usize, square: Square, placed: &[Square]) -> bool {
    let mut others = placed.iter().enumerate();
    others.all(|(other, there)| other == thing || !square.overlaps(*there))
}

/// Whether every rule of a thing holds where it would be.
fn keeps(thing: usize, square: Square, placed: &[Square], wishes: &[Wish], rules: &[Rule]) -> bool {
    let at = |one: usize| if one == thing { square } else { placed[one] };
    wishes[thing].is_in_half(square)
        && rules.iter().all(|rule| match *rule {
            Rule::Place(one) => one != thing || rule.holds(wishes, at),
            Rule::Relation {
                subject,
                predicate,
                object,
            } => (subject != thing && object != thing) || holds(predicate, at(subject), at(object)),
        })
}
