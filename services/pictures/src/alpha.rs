//! Pictures with transparency, for readers that know none.

use image::{DynamicImage, Rgb, RgbImage};

/// The picture on a ground of one colour. What lies under transparent pixels of a file is often rubbish and never shows.
pub fn on(picture: &DynamicImage, ground: Rgb<u8>) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.to_rgb8();
    }
    let picture = picture.to_rgba8();
    let mut flat = RgbImage::new(picture.width(), picture.height());
    for (from, to) in picture.pixels().zip(flat.pixels_mut()) {
        let alpha = u32::from(from.0[3]);
        for channel in 0..3 {
            let (over, under) = (u32::from(from.0[channel]), u32::from(ground.0[channel]));
            to.0[channel] = ((over * alpha + under * (255 - alpha) + 127) / 255) as u8;
        }
    }
    flat
}

/// On white, as the reference code of Qwen's vision models does it.
pub fn on_white(picture: &DynamicImage) -> RgbImage {
    on(picture, Rgb([255; 3]))
}

#[cfg(test)]
mod tests {
    use image::{Rgba, RgbaImage};

    use super::*;

    #[test]
    fn transparent_pixels_show_the_ground_and_opaque_ones_themselves() {
        let pixels = [[9, 8, 7, 0], [9, 8, 7, 255], [0, 0, 0, 128]];
        let picture = RgbaImage::from_fn(3, 1, |x, _| Rgba(pixels[x as usize]));
        let flat = on_white(&picture.into());
        let found: Vec<_> = flat.pixels().map(|pixel| pixel.0).collect();
        assert_eq!(found, [[255; 3], [9, 8, 7], [127; 3]]);
    }
}
