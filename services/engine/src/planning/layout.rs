//! Where things go: squares on the token grid that keep what the prompt says of places and relations.
//!
//! Boxes on the grid make a thing's patches independent of a sub-token phase, so that the solver emits nothing else. It is a search with
//! restarts from a seed: 16 things on 64 cells are small enough to try every square of every thing until nothing gets better.

use atelier_proto::plan::{BBox, Predicate};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::place::{Depth, Place};

/// Tokens along a side of the picture.
pub const GRID: i32 = 8;

/// Searches from fresh starts; the best one wins.
const STARTS: usize = 16;
/// Things from which squares keep to even tokens.
const CROWDED: usize = 9;
/// Most passes over all things in one search.
const PASSES: usize = 12;

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
}

/// A square: left, top and side in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Square {
    x: i32,
    y: i32,
    side: i32,
}

impl Square {
    fn bbox(self) -> BBox {
        BBox(
            [self.x, self.y, self.x + self.side, self.y + self.side]
                .map(|at| at as f32 / GRID as f32),
        )
    }

    /// Twice the centre, to stay whole.
    const fn center(self) -> (i32, i32) {
        (2 * self.x + self.side, 2 * self.y + self.side)
    }

    fn overlap(self, other: Self) -> i32 {
        let span = |a: i32, a_side: i32, b: i32, b_side: i32| {
            ((a + a_side).min(b + b_side) - a.max(b)).max(0)
        };
        span(self.x, self.side, other.x, other.side) * span(self.y, self.side, other.y, other.side)
    }

    /// Tokens between the two, 0 when they touch.
    fn gap(self, other: Self) -> i32 {
        let apart =
            |a: i32, a_side: i32, b: i32, b_side: i32| (a - b - b_side).max(b - a - a_side).max(0);
        apart(self.x, self.side, other.x, other.side)
            .max(apart(self.y, self.side, other.y, other.side))
    }
}

/// Sides in tokens for a number of things: the sizes that the renderer is trained with.
pub const fn sides(things: usize) -> std::ops::RangeInclusive<i32> {
    match things {
        0 | 1 => 4..=7,
        2 => 3..=5,
        3 => 3..=4,
        4 => 3..=3,
        _ => 2..=2,
    }
}

/// One box for every wish, in order; the same for the same seed. At most 16 wishes find room without overlap.
pub fn solve(wishes: &[Wish], seed: u64) -> Vec<BBox> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let candidates: Vec<Vec<Square>> = wishes
        .iter()
        .map(|wish| squares(wish, wishes.len()))
        .collect();
    let best = (0..STARTS)
        .map(|_| search(wishes, &candidates, &mut rng))
        .min_by(|a, b| a.0.total_cmp(&b.0));
    best.map_or_else(Vec::new, |(_, squares)| {
        squares.into_iter().map(Square::bbox).collect()
    })
}

/// Every square that a thing may take.
fn squares(wish: &Wish, things: usize) -> Vec<Square> {
    let range = sides(things);
    let (least, most) = (*range.start(), *range.end());
    let sides = match (wish.large, wish.place.depth) {
        (Some(true), _) | (None, Some(Depth::Foreground)) => most..=most,
        (Some(false), _) | (None, Some(Depth::Background)) => least..=least,
        _ => least.midpoint(most)..=most,
    };
    // A full grid leaves no room for squares between its squares.
    let step = if things > CROWDED { 2 } else { 1 };
    sides
        .flat_map(|side| {
            let starts = move || (0..=GRID - side).step_by(step);
            starts().flat_map(move |y| starts().map(move |x| Square { x, y, side }))
        })
        .collect()
}

/// Moves one thing after the other to its best square until nothing gets better.
fn search(wishes: &[Wish], candidates: &[Vec<Square>], rng: &mut ChaCha8Rng) -> (f32, Vec<Square>) {
    let mut chosen: Vec<Square> = candidates
        .iter()
        .map(|squares| squares[rng.random_range(0..squares.len())])
        .collect();
    // A small liking of its own for every square makes layouts differ between seeds where the prompt leaves them open.
    let likings: Vec<Vec<f32>> = candidates
        .iter()
        .map(|squares| squares.iter().map(|_| rng.random_range(0.0..1.2)).collect())
        .collect();
    for _ in 0..PASSES {
        let mut moved = false;
        for thing in 0..wishes.len() {
            let before = chosen[thing];
            let mut best = (f32::INFINITY, before);
            for (square, liking) in candidates[thing].iter().zip(&likings[thing]) {
                chosen[thing] = *square;
                let cost = cost(wishes, &chosen, thing) + liking;
                if cost < best.0 {
                    best = (cost, *square);
                }
            }
            chosen[thing] = best.1;
            moved |= best.1 != before;
        }
        if !moved {
            break;
        }
    }
    let total = (0..wishes.len())
        .map(|thing| cost(wishes, &chosen, thing))
        .sum();
    (total, chosen)
}

/// What is wrong with where one thing is, given the others.
fn cost(wishes: &[Wish], chosen: &[Square], thing: usize) -> f32 {
    let (wish, square) = (&wishes[thing], chosen[thing]);
    let mut cost = by_itself(wish, square);
    for (other, there) in chosen
        .iter()
        .enumerate()
        .filter(|(other, _)| *other != thing)
    {
        cost += 40.0 * square.overlap(*there) as f32;
        // A little air between things, as long as there is room.
        if square.gap(*there) == 0 {
            cost += 0.3;
        }
        for (predicate, of) in &wish.relations {
            if *of == other {
                cost += against(*predicate, square, *there);
            }
        }
        for (predicate, of) in &wishes[other].relations {
            if *of == thing {
                cost += against(*predicate, *there, square);
            }
        }
    }
    cost
}

fn by_itself(wish: &Wish, square: Square) -> f32 {
    let (cx, cy) = square.center();
    // Thirds of the picture, in half tokens: the same borders as everywhere else in the farm.
    let third = |center: i32| match 3 * center {
        at if at < 2 * GRID => 0,
        at if at > 4 * GRID => 2,
        _ => 1,
    };
    let mut cost = 0.0;
    let off = |wanted: Option<u8>, center: i32| {
        wanted.map_or(0.0, |wanted| {
            // Not only in the right third: towards its outer side, so that it reads as left and not as nearly left.
            let target = [0, GRID, 2 * GRID][usize::from(wanted.min(2))];
            let missed = if third(center) == i32::from(wanted) {
                0.0
            } else {
                12.0
            };
            missed + 0.15 * (center - target).abs() as f32
        })
    };
    cost += off(wish.place.column, cx) + off(wish.place.row, cy);
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

/// How far `a` is from standing to `b` as `predicate` says; 0 when it does.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn anything() -> Wish {
        Wish::default()
    }

    #[test]
    fn relations_and_places_are_kept() {
        for seed in 0..40 {
            let wishes = [
                Wish {
                    relations: vec![(Predicate::LeftOf, 1)],
                    ..anything()
                },
                Wish {
                    place: Place::parse("top right"),
                    ..anything()
                },
                Wish {
                    relations: vec![(Predicate::Below, 1)],
                    ..anything()
                },
            ];
            let boxes = solve(&wishes, seed);
            let (ax, _) = boxes[0].center();
            let (bx, by) = boxes[1].center();
            let (_, cy) = boxes[2].center();
            assert!(ax < bx - 0.1, "{boxes:?}");
            assert!(bx > 0.66 && by < 0.34, "{boxes:?}");
            assert!(cy > by + 0.1, "{boxes:?}");
        }
    }

    #[test]
    fn a_thing_on_another_touches_it() {
        for seed in 0..20 {
            let wishes = [
                Wish {
                    relations: vec![(Predicate::On, 1)],
                    ..anything()
                },
                anything(),
            ];
            let boxes = solve(&wishes, seed);
            assert!((boxes[0].0[3] - boxes[1].0[1]).abs() <= 0.13, "{boxes:?}");
        }
    }

    proptest! {
        #[test]
        fn boxes_are_inside_on_the_grid_and_apart(
            things in 1_usize..=16,
            seed: u64,
            places in proptest::collection::vec(0_usize..9, 16),
        ) {
            // At most four things named into the same third, as prompts do; the rest is free.
            let wishes: Vec<Wish> = (0..things)
                .map(|thing| Wish {
                    place: if thing < 2 { Place::parse(super::super::PLACES[places[thing]]) } else { Place::default() },
                    ..Wish::default()
                })
                .collect();
            let boxes = solve(&wishes, seed);
            prop_assert_eq!(boxes.len(), things);
            prop_assert_eq!(&boxes, &solve(&wishes, seed));
            for (index, bbox) in boxes.iter().enumerate() {
                let BBox([x0, y0, x1, y1]) = *bbox;
                prop_assert!(0.0 <= x0 && x0 < x1 && x1 <= 1.0 && 0.0 <= y0 && y0 < y1 && y1 <= 1.0);
                for edge in [x0, y0, x1, y1] {
                    prop_assert_eq!((edge * GRID as f32).fract(), 0.0);
                }
                for other in &boxes[..index] {
                    prop_assert_eq!(bbox.iou(other), 0.0, "{:?}", &boxes);
                }
            }
        }
    }
}
