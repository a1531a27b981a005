//! A scene: what is behind, when it is, which things stand where. Boxes lie on the token grid, so that a thing's patches have no sub-token phase.

use atelier_models::props::vocabulary::{self, Background, Color, TimeOfDay};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::library::Library;

/// Tokens along a side of the picture.
pub const GRID: u8 = 8;

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
    /// `(x, y, side)` of its square in tokens.
    pub cell: (u8, u8, u8),
}

impl Thing {
    /// Its square `[x0, y0, x1, y1]` in 0..1.
    pub fn bbox(&self) -> [f32; 4] {
        let (x, y, side) = self.cell;
        [x, y, x + side, y + side].map(|tokens| f32::from(tokens) / f32::from(GRID))
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

    /// The squares of the things, `[x0, y0, x1, y1]` in 0..1, in their order.
    pub fn boxes(&self) -> Vec<[f32; 4]> {
        self.things.iter().map(Thing::bbox).collect()
    }
}

/// Squares for `number` things on the token grid, without overlap; the fewer things, the larger.
fn layout(number: usize, rng: &mut ChaCha8Rng) -> Vec<(u8, u8, u8)> {
    let sides = match number {
        0 | 1 => 4..=7,
        2 => 3..=5,
        3 => 3..=4,
        4 => 3..=3,
        _ => 2..=2,
    };
    loop {
        let mut cells: Vec<(u8, u8, u8)> = Vec::with_capacity(number);
        // Some tries a thing, then all over: a bad first square can leave no room for the last one.
        for _ in 0..number * 40 {
            let side = rng.random_range(sides.clone());
            let (x, y) = (
                rng.random_range(0..=GRID - side),
                rng.random_range(0..=GRID - side),
            );
            let free = |&(ox, oy, other): &(u8, u8, u8)| {
                x >= ox + other || ox >= x + side || y >= oy + other || oy >= y + side
            };
            if cells.iter().all(free) {
                cells.push((x, y, side));
                if cells.len() == number {
                    return cells;
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
        assert_eq!(place((0, 0, 3)), "top left");
        assert_eq!(place((2, 2, 4)), "center");
        assert_eq!(place((5, 3, 3)), "right");
        assert_eq!(place((2, 5, 3)), "bottom");
    }

    #[test]
    fn random_scenes_repeat_for_a_seed() {
        let scene = |seed| Scene::random_of(&[0, 5, 9], &mut ChaCha8Rng::seed_from_u64(seed), 4);
        assert_eq!(scene(7), scene(7));
        assert_ne!(scene(7), scene(8));
    }
}
