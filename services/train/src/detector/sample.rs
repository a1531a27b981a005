//! Training samples of the detector: a scene, seen a little differently every time, and what the network should say about each cell.

use atelier_models::props::vocabulary::{Background, Color, TimeOfDay};
use image::{RgbImage, imageops};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tch::Tensor;

use crate::composer::{Library, SIDE, Scene};

/// Cells along a side.
pub const GRID: usize = 8;
/// Share of a thing that must be left in a crop for it to be asked for.
const VISIBLE: f32 = 0.6;

/// A thing as the detector should find it.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// Class of its name.
    pub name: usize,
    /// Its colour when not its own.
    pub color: Option<Color>,
    /// `[x0, y0, x1, y1]` in 0..1.
    pub bbox: [f32; 4],
}

/// A picture and the truth about it.
#[derive(Clone)]
pub struct Sample {
    /// 256 x 256 pixels.
    pub picture: RgbImage,
    /// The things in it.
    pub things: Vec<Truth>,
    /// What is behind.
    pub background: Background,
    /// When it is.
    pub time: TimeOfDay,
}

impl Sample {
    /// A scene as it is composed; `classes[prop]` is the class of a prop.
    pub fn of(
        scene: &Scene,
        library: &Library,
        classes: &[Option<usize>],
        rng: &mut ChaCha8Rng,
    ) -> Self {
        Self {
            picture: scene.draw(library, SIDE, rng),
            things: scene
                .things
                .iter()
                .filter_map(|thing| {
                    Some(Truth {
                        name: classes[thing.prop]?,
                        color: thing.color,
                        bbox: thing.bbox(),
                    })
                })
                .collect(),
            background: scene.background,
            time: scene.time,
        }
    }

    /// The same seen differently: nearer and off the grid, softer, noisier, in another light. A drawn picture is never as clean as a composed one.
    pub fn varied(mut self, rng: &mut ChaCha8Rng) -> Self {
        if rng.random_bool(0.5) {
            self.crop(rng);
        }
        if rng.random_bool(0.5) {
            // Down to what a picture of 128 x 128 pixels is.
            let small = rng.random_range(80..224);
            let soft =
                imageops::resize(&self.picture, small, small, imageops::FilterType::Triangle);
            self.picture = imageops::resize(&soft, SIDE, SIDE, imageops::FilterType::Triangle);
        }
        let gain: [f32; 3] = std::array::from_fn(|_| rng.random_range(0.9..1.1));
        let noise = if rng.random_bool(0.5) {
            rng.random_range(0.0..14.0_f32)
        } else {
            0.0
        };
        for pixel in self.picture.pixels_mut() {
            for (channel, gain) in pixel.0.iter_mut().zip(gain) {
                let shake = if noise > 0.0 {
                    rng.random_range(-noise..=noise)
                } else {
                    0.0
                };
                *channel = (f32::from(*channel) * gain + shake).clamp(0.0, 255.0) as u8;
            }
        }
        self
    }

    /// Looks at a part of the picture.
    fn crop(&mut self, rng: &mut ChaCha8Rng) {
        let side = rng.random_range(216..SIDE);
        let (x, y) = (
            rng.random_range(0..=SIDE - side),
            rng.random_range(0..=SIDE - side),
        );
        let part = imageops::crop_imm(&self.picture, x, y, side, side).to_image();
        self.picture = imageops::resize(&part, SIDE, SIDE, imageops::FilterType::Triangle);
        let scale = SIDE as f32 / side as f32;
        let (left, top) = (x as f32 / SIDE as f32, y as f32 / SIDE as f32);
        self.things.retain_mut(|thing| {
            let area = |[x0, y0, x1, y1]: [f32; 4]| (x1 - x0).max(0.0) * (y1 - y0).max(0.0);
            let moved = [
                (thing.bbox[0] - left) * scale,
                (thing.bbox[1] - top) * scale,
                (thing.bbox[2] - left) * scale,
                (thing.bbox[3] - top) * scale,
            ];
            thing.bbox = moved.map(|edge| edge.clamp(0.0, 1.0));
            area(thing.bbox) >= VISIBLE * area(moved)
        });
    }
}

/// What the network should say, as tensors on the CPU.
pub struct Targets {
    /// `(b, cells)`, 1 where a thing is asked for.
    pub object: Tensor,
    /// Flat indices `(n,)` of the cells that are asked for a thing.
    pub at: Tensor,
    /// `(n, 4)`, distances to the edges in cells: left, top, right, bottom.
    pub edges: Tensor,
    /// `(n,)`, class of the colour, 0 as it comes.
    pub color: Tensor,
    /// `(n,)`, class of the name.
    pub name: Tensor,
    /// `(b,)`.
    pub background: Tensor,
    /// `(b,)`.
    pub time: Tensor,
}

impl Targets {
    /// The targets of a batch. Every cell whose middle is near a thing's centre is asked for it.
    pub fn of(samples: &[Sample]) -> Self {
        let cells = GRID * GRID;
        let mut object = vec![0.0_f32; samples.len() * cells];
        let (mut at, mut edges, mut color, mut name) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (index, sample) in samples.iter().enumerate() {
            for cell in 0..cells {
                let (x, y) = ((cell % GRID) as f32 + 0.5, (cell / GRID) as f32 + 0.5);
                let Some((thing, [x0, y0, x1, y1])) = sample
                    .things
                    .iter()
                    .map(|thing| (thing, thing.bbox.map(|edge| edge * GRID as f32)))
                    .find(|(_, bbox)| is_asked(*bbox, x, y))
                else {
                    continue;
                };
                object[index * cells + cell] = 1.0;
                at.push((index * cells + cell) as i64);
                edges.extend([x - x0, y - y0, x1 - x, y1 - y]);
                color.push(
                    thing
                        .color
                        .and_then(|color| Color::ALL.iter().position(|known| *known == color))
                        .map_or(0, |found| found as i64 + 1),
                );
                name.push(thing.name as i64);
            }
        }
        let class = |found: Option<usize>| found.map_or(0, |index| index as i64);
        let backgrounds: Vec<i64> = samples
            .iter()
            .map(|sample| {
                class(
                    Background::ALL
                        .iter()
                        .position(|known| *known == sample.background),
                )
            })
            .collect();
        let times: Vec<i64> = samples
            .iter()
            .map(|sample| {
                class(
                    TimeOfDay::ALL
                        .iter()
                        .position(|known| *known == sample.time),
                )
            })
            .collect();
        Self {
            object: Tensor::from_slice(&object).view([samples.len() as i64, cells as i64]),
            edges: Tensor::from_slice(&edges).view([at.len() as i64, 4]),
            at: Tensor::from_slice(&at),
            color: Tensor::from_slice(&color),
            name: Tensor::from_slice(&name),
            background: Tensor::from_slice(&backgrounds),
            time: Tensor::from_slice(&times),
        }
    }
}

/// Whether the cell with its middle at `(x, y)` (in cells) is asked for a thing: within 0.3 of its side from the centre, and always the nearest cell.
fn is_asked([x0, y0, x1, y1]: [f32; 4], x: f32, y: f32) -> bool {
    let near = |low: f32, high: f32, at: f32| {
        ((low + high) / 2.0 - at).abs() <= (0.3 * (high - low)).max(0.5)
    };
    near(x0, x1, x) && near(y0, y1, y)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn sample(bbox: [f32; 4]) -> Sample {
        Sample {
            picture: RgbImage::new(SIDE, SIDE),
            things: vec![Truth {
                name: 7,
                color: Some(Color::Red),
                bbox,
            }],
            background: Background::Sea,
            time: TimeOfDay::Night,
        }
    }

    #[test]
    fn the_middle_cells_of_a_thing_are_asked_for_it() {
        // Three cells wide, its middle cell is column 1, row 2.
        let targets = Targets::of(&[sample([0.0, 1.0 / 8.0, 3.0 / 8.0, 4.0 / 8.0])]);
        assert_eq!(
            Vec::<i64>::try_from(&targets.at).expect("indices"),
            [2 * 8 + 1]
        );
        assert_eq!(
            Vec::<f32>::try_from(&targets.edges.flatten(0, -1)).expect("edges"),
            [1.5; 4]
        );
        assert_eq!(Vec::<i64>::try_from(&targets.color).expect("colours"), [1]);
        // Four cells wide: the four cells around its centre.
        assert_eq!(Targets::of(&[sample([0.0, 0.0, 0.5, 0.5])]).at.size(), [4]);
    }

    #[test]
    fn variations_keep_boxes_inside_and_things_mostly_visible() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..50 {
            let varied = sample([0.5, 0.5, 0.875, 0.875]).varied(&mut rng);
            assert_eq!(varied.picture.dimensions(), (SIDE, SIDE));
            for thing in &varied.things {
                assert!(thing.bbox.iter().all(|edge| (0.0..=1.0).contains(edge)));
                assert!(thing.bbox[2] - thing.bbox[0] > 0.2);
            }
        }
    }
}
