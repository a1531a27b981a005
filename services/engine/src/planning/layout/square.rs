//! Squares of whole cells, sets of them, and what relations mean for two of them.

use std::sync::LazyLock;

use atelier_proto::plan::{BBox, Predicate};

/// Cells along a side of the picture: tokens of 256 x 256 pixels, half tokens of 128 x 128.
pub const GRID: i32 = 16;

/// The search knows squares on every second cell: a sixth of all, among which it is quick.
pub const STEP: i32 = 2;

/// Longest side of a square; a thing by itself leaves some ground.
const LONGEST: i32 = 14;

/// Every predicate, in the order of the tables.
const PREDICATES: [Predicate; 9] = [
    Predicate::LeftOf,
    Predicate::RightOf,
    Predicate::Above,
    Predicate::Below,
    Predicate::On,
    Predicate::In,
    Predicate::Near,
    Predicate::Behind,
    Predicate::InFrontOf,
];

/// A square: left, top and side in cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Square {
    pub x: i32,
    pub y: i32,
    pub side: i32,
}

impl Square {
    pub fn bbox(self) -> BBox {
        BBox(
            [self.x, self.y, self.x + self.side, self.y + self.side]
                .map(|at| at as f32 / GRID as f32),
        )
    }

    /// Twice the centre, to stay whole.
    pub const fn center(self) -> (i32, i32) {
        (2 * self.x + self.side, 2 * self.y + self.side)
    }

    /// Cells between the two along each axis, 0 when they touch or overlap there.
    pub const fn gaps(self, other: Self) -> (i32, i32) {
        const fn apart(a: i32, a_side: i32, b: i32, b_side: i32) -> i32 {
            let (before, after) = (b - a - a_side, a - b - b_side);
            let gap = if before > after { before } else { after };
            if gap > 0 { gap } else { 0 }
        }
        (
            apart(self.x, self.side, other.x, other.side),
            apart(self.y, self.side, other.y, other.side),
        )
    }

    /// Cells between the two, 0 when they touch.
    pub fn gap(self, other: Self) -> i32 {
        let (x, y) = self.gaps(other);
        x.max(y)
    }

    pub const fn overlaps(self, other: Self) -> bool {
        self.x < other.x + other.side
            && other.x < self.x + self.side
            && self.y < other.y + other.side
            && other.y < self.y + self.side
    }

    /// Thirds of the picture, column and row: the same borders as everywhere else in the farm.
    pub const fn thirds(self) -> (u8, u8) {
        const fn third(center: i32) -> u8 {
            match 3 * center {
                at if at < 2 * GRID => 0,
                at if at > 4 * GRID => 2,
                _ => 1,
            }
        }
        let (x, y) = self.center();
        (third(x), third(y))
    }
}

/// Whether `a` stands to `b` as `predicate` says; the critic's margins are narrower than a cell, so that it agrees.
///
/// Left, right, above and below compare centres, which are a cell apart at least; what is farther away stands higher. What is on another stands on
/// its upper edge, over a third of the narrower one at least. What is in another touches it, since the renderer is trained on boxes that share no
/// token. Near things are at most two cells apart.
pub fn holds(predicate: Predicate, a: Square, b: Square) -> bool {
    let ((ax, ay), (bx, by)) = (a.center(), b.center());
    let (gap_x, gap_y) = a.gaps(b);
    match predicate {
        Predicate::LeftOf => ax + STEP <= bx,
        Predicate::RightOf => bx + STEP <= ax,
        Predicate::Above | Predicate::Behind => ay + STEP <= by,
        Predicate::Below | Predicate::InFrontOf => by + STEP <= ay,
        Predicate::On => {
            let shared = (a.x + a.side).min(b.x + b.side) - a.x.max(b.x);
            a.y + a.side == b.y && 3 * shared >= a.side.min(b.side)
        }
        Predicate::In => gap_x + gap_y == 0,
        Predicate::Near => gap_x + gap_y <= STEP,
    }
}

/// A set of squares, by their number in [`Atlas::squares`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Set([u64; 4]);

impl Set {
    pub fn of(numbers: impl IntoIterator<Item = usize>) -> Self {
        let mut set = Self::default();
        for number in numbers {
            set.0[number / 64] |= 1 << (number % 64);
        }
        set
    }

    pub fn and(self, other: &Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & other.0[word]))
    }

    pub fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & b != 0)
    }

    pub fn is_empty(&self) -> bool {
        self.0 == [0; 4]
    }

    pub fn len(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }

    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..4).flat_map(move |word| {
            let mut left = self.0[word];
            std::iter::from_fn(move || {
                (left != 0).then(|| {
                    let bit = left.trailing_zeros() as usize;
                    left &= left - 1;
                    word * 64 + bit
                })
            })
        })
    }
}

/// Every square of the search, and for each the squares that may stand beside it.
pub struct Atlas {
    pub squares: Vec<Square>,
    /// By square: those that share no cell with it.
    apart: Vec<Set>,
    /// By predicate and square `s`: those `t` for which `s` stands to `t` as it says, and those that stand so to `s`.
    as_subject: Vec<Vec<Set>>,
    as_object: Vec<Vec<Set>>,
}

/// The atlas of the grid.
pub static ATLAS: LazyLock<Atlas> = LazyLock::new(Atlas::new);

impl Atlas {
    fn new() -> Self {
        let every = |range: std::ops::RangeInclusive<i32>| range.step_by(STEP as usize);
        let squares: Vec<Square> = every(STEP..=LONGEST)
            .flat_map(|side| {
                let starts = move || every(0..=GRID - side);
                starts().flat_map(move |y| starts().map(move |x| Square { x, y, side }))
            })
            .collect();
        let among = |fits: &dyn Fn(Square, Square) -> bool| -> Vec<Set> {
            let row = |one: &Square| {
                let fitting = squares.iter().enumerate();
                Set::of(
                    fitting
                        .filter(|(_, other)| fits(*one, **other))
                        .map(|(at, _)| at),
                )
            };
            squares.iter().map(row).collect()
        };
        let by_predicate = |fits: &dyn Fn(Predicate, Square, Square) -> bool| -> Vec<Vec<Set>> {
            let table = |predicate| among(&|one, other| fits(predicate, one, other));
            PREDICATES.into_iter().map(table).collect()
        };
        Self {
            apart: among(&|one, other| !one.overlaps(other)),
            as_subject: by_predicate(&holds),
            as_object: by_predicate(&|predicate, one, other| holds(predicate, other, one)),
            squares,
        }
    }

    /// Squares of these sides whose edges are on every `step`th cell.
    pub fn of_sides(&self, sides: std::ops::RangeInclusive<i32>, step: i32) -> Set {
        let fits = |square: &Square| {
            sides.contains(&square.side) && square.x % step == 0 && square.y % step == 0
        };
        let numbered = self.squares.iter().enumerate();
        Set::of(
            numbered
                .filter(|(_, square)| fits(square))
                .map(|(at, _)| at),
        )
    }

    /// Squares that `fits` likes.
    pub fn filter(&self, set: Set, fits: impl Fn(Square) -> bool) -> Set {
        Set::of(set.iter().filter(|square| fits(self.squares[*square])))
    }

    pub fn apart(&self, from: usize) -> &Set {
        &self.apart[from]
    }

    /// Where the other may be when this one is at `square` and is the subject of the relation, or its object.
    pub fn partner(&self, predicate: Predicate, square: usize, is_subject: bool) -> &Set {
        let known = PREDICATES.iter().position(|one| *one == predicate);
        // The list holds every predicate; see the test.
        let table = known.unwrap_or(0);
        match is_subject {
            true => &self.as_subject[table][square],
            false => &self.as_object[table][square],
        }
    }
}
