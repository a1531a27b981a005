//! What the autoencoder sees in a step: whole scenes, crops of scenes, single things on grey, each kind in its turn.

use image::{RgbImage, imageops};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Kind, Tensor};

use crate::{
    composer::{Library, Scene},
    run::step_seed,
};

/// Side of a scene in pixels.
pub const SIDE: u32 = 128;

/// Square pictures of one side.
pub struct Batch {
    side: u32,
    bytes: Vec<u8>,
}

impl Batch {
    /// Pictures of one size.
    pub fn of(pictures: &[RgbImage]) -> Self {
        Self {
            side: pictures.first().map_or(1, RgbImage::width),
            bytes: pictures
                .iter()
                .flat_map(|picture| picture.as_raw())
                .copied()
                .collect(),
        }
    }

    /// `(b, 3, side, side)` in -1..1, f32, in the order that group norm is fastest in.
    pub fn tensor(&self) -> Tensor {
        let side = i64::from(self.side);
        Tensor::from_slice(&self.bytes)
            .view([-1, side, side, 3])
            .to_kind(Kind::Float)
            .permute([0, 3, 1, 2])
            // Group norm is 20 times slower in channels-last order on the CPU than in this one.
            .contiguous()
            / 127.5
            - 1.0
    }
}

/// The pictures of `(b, 3, h, w)` in -1..1; values beyond are clamped.
pub fn pictures(pixels: &Tensor) -> Vec<RgbImage> {
    let (number, _, h, w) = pixels.size4().expect("pictures have four dimensions");
    let bytes = ((pixels.to_kind(Kind::Float).clamp(-1.0, 1.0) + 1.0) * 127.5)
        .round()
        .to_kind(Kind::Uint8)
        .permute([0, 2, 3, 1])
        .contiguous();
    (0..number)
        .map(|at| {
            let bytes = bytes.get(at).flatten(0, -1);
            let mut raw = vec![0u8; bytes.numel()];
            bytes.copy_data(&mut raw, bytes.numel());
            RgbImage::from_raw(w as u32, h as u32, raw).expect("a buffer of h * w * 3 bytes")
        })
        .collect()
}

/// The batch of a step, about as many pixels as `scenes` scenes have.
pub fn of_step(library: &Library, scenes: u32, seed: u64, step: u64) -> Batch {
    let pixels = scenes.max(1) * SIDE * SIDE;
    let mut rng = ChaCha8Rng::seed_from_u64(step_seed(seed, step));
    let pictures: Vec<RgbImage> = match step % 4 {
        0 | 2 => (0..scenes.max(1))
            .map(|_| scene(library, &mut rng))
            .collect(),
        1 => {
            let side = SIDE / 2;
            (0..pixels / (side * side))
                .map(|_| {
                    let whole = scene(library, &mut rng);
                    let mut edge = || rng.random_range(0..=SIDE - side);
                    imageops::crop_imm(&whole, edge(), edge(), side, side).to_image()
                })
                .collect()
        }
        _ => {
            let side = rng.random_range(2..=7) * 16;
            (0..(pixels / (side * side)).min(24))
                .map(|_| {
                    let drawn = library.drawn();
                    library.props()[drawn[rng.random_range(0..drawn.len())]].reference(side)
                })
                .collect()
        }
    };
    Batch::of(&pictures)
}

/// A random scene, drawn.
pub fn scene(library: &Library, rng: &mut ChaCha8Rng) -> RgbImage {
    Scene::random(library, rng, 4).draw(library, SIDE, rng)
}
