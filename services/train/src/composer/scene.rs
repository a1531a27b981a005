//! A scene: what is behind, when it is, which things stand where. Boxes lie on a grid of every second cell, so that a thing's patches have no
//! sub-token phase in small pictures either; [`Scene::nudged`] moves them to any cell.

use atelier_models::props::vocabulary::{self, Background, Color, TimeOfDay};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::library::Library;

/// Cells along a side of the picture: tokens of the default model's 256 x 256 pixels, half tokens of 128 x 128.
pub const GRID: u8 = 16;

/// Share of things that get a colour that is not their own.
const COLORED: f64 = 0.38;

/// Share of scenes in which the first thing stands more than once.
const REPEATED: f64 = 0.15;

/// One thing of a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thing {
    /// Index into [`Library::props`].
    pub prop: usize,
    /// Its colour when not its own.
    pub color: Option<Color>,
    /// `(x, y, side)` of its square in cells of [`GRID`].
    pub cell: (u8, u8, u8),
}

impl Thing {
    /// Its square `[x0, y0, x1, y1]` in 0..1.
    pub fn bbox(&self) -> [f32; 4] {
        let (x, y, side) = self.cell;
        [x, y, x + side, y + side].map(|cells| f32::from(cells) / f32::from(GRID))
    }

    /// `a red cat`.
    pub fn phrase(&self, library: &Library) -> String {
        let prop = &library.props()[self.prop];
        vocabulary::thing_phrase(&prop.name, self.color, prop.article)
    }

    /// The same by one of the thing's other names, where it has some of the catalogue's.
    pub fn phrase_varied(&self, library: &Library, rng: &mut ChaCha8Rng) -> String {
        let prop = &library.props()[self.prop];
        let pick = rng.random_range(0..=prop.synonyms.len().min(4));
        let name = if pick == 0 {
            &prop.name
        } else {
            &prop.synonyms[pick - 1]
        };
        vocabulary::thing_phrase(name, self.color, prop.article)
    }

    /// Where its centre is, in thirds of the picture: `top left`, `left`, `center`, ...
    pub fn place(&self) -> &'static str {
        let (x, y, side) = self.cell;
        let third = |start: u8| {
            let twice_center = 2 * u32::from(start) + u32::from(side);
            if 3 * twice_center < 2 * u32::from(GRID) {
                0
            } else if 3 * twice_center > 4 * u32::from(GRID) {
                2
            } else {
                1
            }
        };
        const PLACES: [[&str; 3]; 3] = [
            ["top left", "top", "top right"],
            ["left", "center", "right"],
            ["bottom left", "bottom", "bottom right"],
        ];
        PLACES[third(y)][third(x)]
    }
}

/// What is composed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scene {
    /// What is behind.
    pub background: Background,
    /// When it is.
    pub time: TimeOfDay,
    /// What stands where; boxes do not overlap.
    pub things: Vec<Thing>,
}

impl Scene {
    /// A random scene of 1 to `max_things` things (at most 6), none of them held out.
    pub fn random(library: &Library, rng: &mut ChaCha8Rng, max_things: usize) -> Self {
        Self::random_of(library.drawn(), rng, max_things)
    }

    /// The same of the given props: indices into [`Library::props`], at least one.
    pub fn random_of(props: &[usize], rng: &mut ChaCha8Rng, max_things: usize) -> Self {
        let number = rng.random_range(1..=max_things.clamp(1, 6));
        let background = Background::ALL[rng.random_range(0..Background::ALL.len())];
        let time = TimeOfDay::ALL[rng.random_range(0..TimeOfDay::ALL.len())];
        let copies = if number > 1 && rng.random_bool(REPEATED) {
            rng.random_range(2..=number)
        } else {
            1
        };
        let mut things: Vec<Thing> = Vec::with_capacity(number);
        for cell in layout(number, rng) {
            let color = rng
                .random_bool(COLORED)
                .then(|| Color::ALL[rng.random_range(0..Color::ALL.len())]);
            let prop = props[rng.random_range(0..props.len())];
            let thing = match things.first() {
                Some(first) if things.len() < copies => Thing { cell, ..*first },
                _ => Thing { prop, color, cell },
            };
            things.push(thing);
        }
        Self {
            background,
            time,
            things,
        }
    }

    /// `on the surface of the moon at night`.
    pub fn base_phrase(&self) -> String {
        vocabulary::base_phrase(self.background, self.time)
    }

    /// The same in one of the other ways to say it, canonical half of the time.
    pub fn base_phrase_varied(&self, rng: &mut ChaCha8Rng) -> String {
        if rng.random_bool(0.5) {
            return self.base_phrase();
        }
        let (places, times) = (self.background.phrases(), self.time.phrases());
        format!(
            "{} {}",
            places[rng.random_range(0..places.len())],
            times[rng.random_range(0..times.len())]
        )
    }

    /// The same with every thing anywhere in its square, some a cell smaller: where plans put things knows no even cells. For pictures whose
    /// tokens are single cells.
    pub fn nudged(mut self, rng: &mut ChaCha8Rng) -> Self {
        for thing in &mut self.things {
            let (x, y, side) = thing.cell;
            if rng.random_bool(0.5) {
                let (right, down) = (rng.random_range(0..=1), rng.random_range(0..=1));
                thing.cell = (x + right, y + down, side - 1);
            }
        }
        self
    }

    /// The squares of the things, `[x0, y0, x1, y1]` in 0..1, in their order.
    pub fn boxes(&self) -> Vec<[f32; 4]> {
        self.things.iter().map(Thing::bbox).collect()
    }
}

/// Squares for `number` things on every second cell, without overlap; the fewer things, the larger.
fn layout(number: usize, rng: &mut ChaCha8Rng) -> Vec<(u8, u8, u8)> {
    let sides = match number {
        0 | 1 => 4..=7,
        2 => 3..=5,
        3 => 3..=4,
        4 => 3..=3,
        _ => 2..=2,
    };
    const HALF: u8 = GRID / 2;
    loop {
        let mut cells: Vec<(u8, u8, u8)> = Vec::with_capacity(number);
        // Some tries a thing, then all over: a bad first square can leave no room for the last one.
        for _ in 0..number * 40 {
            let side = rng.random_range(sides.clone());
            let (x, y) = (
                rng.random_range(0..=HALF - side),
                rng.random_range(0..=HALF - side),
            );
            let free = |&(ox, oy, other): &(u8, u8, u8)| {
                x >= ox + other || ox >= x + side || y >= oy + other || oy >= y + side
            };
            if cells.iter().all(free) {
                cells.push((x, y, side));
                if cells.len() == number {
                    let doubled = |(x, y, side)| (2 * x, 2 * y, 2 * side);
                    return cells.into_iter().map(doubled).collect();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn layouts_fit_without_overlap_and_repeat_for_a_seed() {
        for seed in 0..200 {
            for number in 1..=6 {
                let cells = layout(number, &mut ChaCha8Rng::seed_from_u64(seed));
                assert_eq!(cells, layout(number, &mut ChaCha8Rng::seed_from_u64(seed)));
                assert_eq!(cells.len(), number);
                for (i, &(x, y, side)) in cells.iter().enumerate() {
                    assert!(x + side <= GRID && y + side <= GRID);
                    for &(ox, oy, other) in &cells[..i] {
                        assert!(
                            x >= ox + other || ox >= x + side || y >= oy + other || oy >= y + side
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn places_are_thirds_of_the_centre() {
        let place = |cell| {
            Thing {
                prop: 0,
                color: None,
                cell,
            }
            .place()
        };
        assert_eq!(place((0, 0, 6)), "top left");
        assert_eq!(place((4, 4, 8)), "center");
        assert_eq!(place((10, 6, 6)), "right");
        assert_eq!(place((4, 10, 6)), "bottom");
    }

    #[test]
    fn a_nudged_thing_stays_in_its_square() {
        for seed in 0..100 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let scene = Scene::random_of(&[0, 5, 9], &mut rng, 4);
            let nudged = scene.clone().nudged(&mut rng);
            for (old, new) in scene.things.iter().zip(&nudged.things) {
                let ((x, y, side), (nx, ny, smaller)) = (old.cell, new.cell);
                assert!(nx >= x && ny >= y && nx + smaller <= x + side && ny + smaller <= y + side);
                assert!(smaller + 1 >= side);
            }
        }
    }

    #[test]
    fn random_scenes_repeat_for_a_seed() {
        let scene = |seed| Scene::random_of(&[0, 5, 9], &mut ChaCha8Rng::seed_from_u64(seed), 4);
        assert_eq!(scene(7), scene(7));
        assert_ne!(scene(7), scene(8));
    }
}
