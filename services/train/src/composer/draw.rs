//! Draws a scene: its backdrop, then every thing in its square, coloured and lit.

use atelier_models::props::vocabulary::Color;
use image::{Rgb, RgbImage, Rgba, RgbaImage};
use rand_chacha::ChaCha8Rng;

use super::{
    backdrop,
    library::Library,
    scene::{GRID, Scene},
};

impl Scene {
    /// The picture, `side` x `side` pixels; `rng` is for the backdrop's detail.
    pub fn draw(&self, library: &Library, side: u32, rng: &mut ChaCha8Rng) -> RgbImage {
        let mut picture = backdrop::paint(self.background, self.time, side, rng);
        let light = backdrop::light_on_things(self.time);
        for thing in &self.things {
            let (x, y, cells) = thing.cell;
            let pixels = |cells: u8| u32::from(cells) * side / u32::from(GRID);
            let (left, top, square) = (pixels(x), pixels(y), pixels(cells));
            library.props()[thing.prop].with_fitted(square, |sprite| {
                let corner = (
                    left + (square - sprite.width()) / 2,
                    top + square - sprite.height(),
                );
                stamp(&mut picture, sprite, corner, thing.color, light);
            });
        }
        picture
    }
}

/// Lays a sprite (colours multiplied by alpha) over the picture with its upper left corner at `corner`.
pub(super) fn stamp(
    picture: &mut RgbImage,
    sprite: &RgbaImage,
    corner: (u32, u32),
    color: Option<Color>,
    light: [f32; 3],
) {
    for (x, y, &Rgba([r, g, b, a])) in sprite.enumerate_pixels() {
        let (x, y) = (corner.0 + x, corner.1 + y);
        if a == 0 || x >= picture.width() || y >= picture.height() {
            continue;
        }
        let own = [r, g, b].map(|channel| f32::from(channel) / 255.0);
        let painted = match color {
            None => own,
            Some(color) => color.paint(own, f32::from(a) / 255.0),
        };
        let Rgb(behind) = picture.get_pixel_mut(x, y);
        let through = 1.0 - f32::from(a) / 255.0;
        for i in 0..3 {
            behind[i] =
                (f32::from(behind[i]) * through + painted[i] * light[i] * 255.0).min(255.0) as u8;
        }
    }
}
