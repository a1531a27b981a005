//! Scenes off the grid: things stand at any pixel, mirrored or not, many alike, and may cover each other a little. The judge learns from them, and its
//! errors are counted on them; the critic and the renderer never saw one.

use atelier_models::props::vocabulary::{Background, Color, TimeOfDay};
use image::{RgbImage, imageops};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{SIDE, backdrop, draw::stamp, library::Library};

/// Share of things that get a colour that is not their own.
const COLORED: f64 = 0.45;
/// Share of scenes in which the first thing stands more than once.
const REPEATED: f64 = 0.25;
/// Share of a thing's square that another may cover.
const COVERED: f32 = 0.08;

/// One thing of a scene.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LooseThing {
    /// Index into [`Library::props`].
    pub prop: usize,
    /// Its colour when not its own.
    pub color: Option<Color>,
    /// `(left, top, side)` of its square in pixels.
    pub square: (u32, u32, u32),
    /// Whether it looks the other way.
    pub mirrored: bool,
}

impl LooseThing {
    /// Its square `[x0, y0, x1, y1]` in 0..1.
    pub fn bbox(&self) -> [f32; 4] {
        let (x, y, side) = self.square;
        [x, y, x + side, y + side].map(|pixels| pixels as f32 / SIDE as f32)
    }
}

/// What is composed.
#[derive(Clone, Debug, PartialEq)]
pub struct Loose {
    /// What is behind.
    pub background: Background,
    /// When it is.
    pub time: TimeOfDay,
    /// What stands where.
    pub things: Vec<LooseThing>,
}

impl Loose {
    /// A random scene of 1 to 6 things.
    pub fn random(library: &Library, rng: &mut ChaCha8Rng) -> Self {
        let number = rng.random_range(1..=6);
        let copies = if rng.random_bool(REPEATED) {
            rng.random_range(1..=number)
        } else {
            1
        };
        let mut things: Vec<LooseThing> = Vec::with_capacity(number);
        for square in squares(number, rng) {
            let color = rng
                .random_bool(COLORED)
                .then(|| Color::ALL[rng.random_range(0..Color::ALL.len())]);
            let prop = library.drawn()[rng.random_range(0..library.drawn().len())];
            let mirrored = rng.random_bool(0.5);
            things.push(match things.first() {
                Some(first) if things.len() < copies => LooseThing {
                    square,
                    mirrored,
                    ..*first
                },
                _ => LooseThing {
                    prop,
                    color,
                    square,
                    mirrored,
                },
            });
        }
        Self {
            background: Background::ALL[rng.random_range(0..Background::ALL.len())],
            time: TimeOfDay::ALL[rng.random_range(0..TimeOfDay::ALL.len())],
            things,
        }
    }

    /// The picture, 256 x 256 pixels; `rng` is for the backdrop's detail.
    pub fn draw(&self, library: &Library, rng: &mut ChaCha8Rng) -> RgbImage {
        let mut picture = backdrop::paint(self.background, self.time, SIDE, rng);
        if rng.random_bool(0.5) {
            imageops::flip_horizontal_in_place(&mut picture);
        }
        let light = backdrop::light_on_things(self.time);
        for thing in &self.things {
            let (left, top, side) = thing.square;
            library.props()[thing.prop].with_fitted(side, |sprite| {
                let corner = (
                    left + (side - sprite.width()) / 2,
                    top + side - sprite.height(),
                );
                if thing.mirrored {
                    let sprite = imageops::flip_horizontal(sprite);
                    stamp(&mut picture, &sprite, corner, thing.color, light);
                } else {
                    stamp(&mut picture, sprite, corner, thing.color, light);
                }
            });
        }
        picture
    }
}

/// Squares for `number` things; the more things, the smaller. Sides are those that fitted sprites are cached for.
pub fn squares(number: usize, rng: &mut ChaCha8Rng) -> Vec<(u32, u32, u32)> {
    let tokens = match number {
        0 | 1 => 3..=7,
        2 => 3..=5,
        3 => 2..=4,
        4 => 2..=3,
        _ => 2..=2,
    };
    loop {
        let mut squares: Vec<(u32, u32, u32)> = Vec::with_capacity(number);
        for _ in 0..number * 40 {
            let side = 32 * rng.random_range(tokens.clone());
            let square = (
                rng.random_range(0..=SIDE - side),
                rng.random_range(0..=SIDE - side),
                side,
            );
            if squares
                .iter()
                .all(|other| covered(square, *other) <= COVERED)
            {
                squares.push(square);
                if squares.len() == number {
                    return squares;
                }
            }
        }
    }
}

/// Share of the smaller square that both have.
fn covered((ax, ay, a): (u32, u32, u32), (bx, by, b): (u32, u32, u32)) -> f32 {
    let common = |p: u32, q: u32| (p + a).min(q + b).saturating_sub(p.max(q));
    (common(ax, bx) * common(ay, by)) as f32 / (a.min(b) * a.min(b)) as f32
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn squares_fit_and_cover_each_other_a_little_at_most() {
        for seed in 0..100 {
            for number in 1..=6 {
                let squares = squares(number, &mut ChaCha8Rng::seed_from_u64(seed));
                assert_eq!(squares.len(), number);
                for (index, &(x, y, side)) in squares.iter().enumerate() {
                    assert!(x + side <= SIDE && y + side <= SIDE && side.is_multiple_of(32));
                    for other in &squares[..index] {
                        assert!(covered((x, y, side), *other) <= COVERED);
                    }
                }
            }
        }
        assert_eq!(covered((0, 0, 32), (16, 0, 32)), 0.5);
        assert_eq!(covered((0, 0, 32), (32, 0, 16)), 0.0);
    }
}
