//! Pictures of things as the renderer is shown them: fitted into a square, standing on its bottom edge, on flat grey.

use image::{RgbImage, Rgba, RgbaImage, imageops};

use super::vocabulary::Color;

/// The grey behind reference pictures.
pub const REFERENCE_GREY: u8 = 128;

/// Longest side that sprites were kept at in training, in pixels; references pass through it, so that they look the same when drawing.
pub const SPRITE_SIDE: u32 = 128;

/// Longest side that [`fit`] makes, in pixels: more is never asked for by a model.
pub const MAX_SIDE: u32 = 4096;

/// `picture` scaled so that its longest side is `side` pixels, with colours multiplied by alpha.
///
/// Transparent pixels have colours too, often odd ones; multiplied first they cannot bleed into the edge.
pub fn fit(picture: &RgbaImage, side: u32) -> RgbaImage {
    let side = side.clamp(1, MAX_SIDE);
    let (w, h) = picture.dimensions();
    if w == 0 || h == 0 {
        return RgbaImage::new(1, 1);
    }
    let scale = f64::from(side) / f64::from(w.max(h));
    let scaled = |length: u32| ((f64::from(length) * scale).round() as u32).clamp(1, side);
    let mut flat = picture.clone();
    for Rgba([r, g, b, a]) in flat.pixels_mut() {
        let alpha = u16::from(*a);
        for channel in [r, g, b] {
            *channel = ((u16::from(*channel) * alpha + 127) / 255) as u8;
        }
    }
    if scaled(w) == w && scaled(h) == h {
        return flat;
    }
    let mut fitted = imageops::resize(
        &flat,
        scaled(w),
        scaled(h),
        imageops::FilterType::CatmullRom,
    );
    for Rgba([r, g, b, a]) in fitted.pixels_mut() {
        // The filter overshoots at edges; a channel above its alpha would glow.
        for channel in [r, g, b] {
            *channel = (*channel).min(*a);
        }
    }
    fitted
}

/// A picture (colours not multiplied by alpha) of the same thing in another colour.
pub fn painted(picture: &RgbaImage, color: Color) -> RgbaImage {
    let mut painted = picture.clone();
    for Rgba([r, g, b, _]) in painted.pixels_mut() {
        let own = [*r, *g, *b].map(|channel| f32::from(channel) / 255.0);
        [*r, *g, *b] = color
            .paint(own, 1.0)
            .map(|channel| (channel * 255.0).round().clamp(0.0, 255.0) as u8);
    }
    painted
}

/// What [`fit`] made, in the middle of the bottom edge of a grey square of `side` pixels.
pub fn on_grey(fitted: &RgbaImage, side: u32) -> RgbImage {
    let mut square = RgbImage::from_pixel(side, side, image::Rgb([REFERENCE_GREY; 3]));
    let (w, h) = fitted.dimensions();
    let (left, top) = (side.saturating_sub(w) / 2, side.saturating_sub(h));
    for (x, y, &Rgba([r, g, b, a])) in fitted.enumerate_pixels() {
        if left + x < side && top + y < side {
            let behind = (u16::from(REFERENCE_GREY) * u16::from(255 - a) + 127) / 255;
            let over = |channel: u8| (u16::from(channel) + behind).min(255) as u8;
            square.put_pixel(left + x, top + y, image::Rgb([over(r), over(g), over(b)]));
        }
    }
    square
}

/// The picture of a thing that the renderer is shown for a box of `side` pixels: cropped to its content, fitted, bottom-aligned, on flat grey.
pub fn reference_picture(picture: &RgbaImage, side: u32) -> RgbImage {
    on_grey(
        &fit(&shrink(&crop(picture), SPRITE_SIDE.max(side)), side),
        side,
    )
}

/// All of a picture on white, for published checkpoints: scaled down to at most `tokens` squares of `side` pixels, then cut evenly to whole
/// squares, as diffusers' FLUX.2 pipelines do.
pub fn whole_picture(picture: &RgbaImage, tokens: usize, side: u32) -> RgbImage {
    let flat = RgbImage::from_fn(picture.width().max(1), picture.height().max(1), |x, y| {
        let Rgba([r, g, b, a]) = *picture.get_pixel_checked(x, y).unwrap_or(&Rgba([255; 4]));
        let over = |channel: u8| {
            ((u32::from(channel) * u32::from(a) + 255 * u32::from(255 - a) + 127) / 255) as u8
        };
        image::Rgb([over(r), over(g), over(b)])
    });
    let (w, h) = flat.dimensions();
    let most = tokens as f64 * f64::from(side) * f64::from(side);
    let scale = (most / (f64::from(w) * f64::from(h))).sqrt().min(1.0);
    let whole = |length: u32| {
        let squares = ((f64::from(length) * scale) as u32 / side) as usize;
        squares.clamp(1, tokens) as u32 * side
    };
    let (width, height) = (whole(w), whole(h));
    // What stands out on the longer sides is left out first.
    let cover = (f64::from(width) / f64::from(w)).max(f64::from(height) / f64::from(h));
    let kept = |length: u32, all: u32| ((f64::from(length) / cover).round() as u32).clamp(1, all);
    let (kw, kh) = (kept(width, w), kept(height, h));
    let cut = imageops::crop_imm(&flat, (w - kw) / 2, (h - kh) / 2, kw, kh).to_image();
    if (kw, kh) == (width, height) {
        cut
    } else {
        imageops::resize(&cut, width, height, imageops::FilterType::Lanczos3)
    }
}

/// `picture` with a longest side of at most `side`, colours not multiplied by alpha.
pub fn shrink(picture: &RgbaImage, side: u32) -> RgbaImage {
    if picture.width().max(picture.height()) <= side {
        return picture.clone();
    }
    let mut fitted = fit(picture, side);
    for Rgba([r, g, b, a]) in fitted.pixels_mut() {
        if *a > 0 {
            for channel in [r, g, b] {
                *channel = (u32::from(*channel) * 255 / u32::from(*a)).min(255) as u8;
            }
        }
    }
    fitted
}

/// `picture` without its transparent margin; all of it when nothing is visible.
pub fn crop(picture: &RgbaImage) -> RgbaImage {
    let visible = || {
        picture
            .enumerate_pixels()
            .filter(|(_, _, pixel)| pixel[3] > 16)
    };
    let (Some(x0), Some(x1)) = (visible().map(|p| p.0).min(), visible().map(|p| p.0).max()) else {
        return picture.clone();
    };
    let y0 = visible().map(|p| p.1).min().unwrap_or(0);
    let y1 = visible().map(|p| p.1).max().unwrap_or(0);
    imageops::crop_imm(picture, x0, y0, x1 - x0 + 1, y1 - y0 + 1).to_image()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_picture_is_cut_to_squares_and_never_enlarged_beyond_them() {
        let shown = |w, h, tokens| {
            let picture = RgbaImage::from_fn(w, h, |x, _| Rgba([x as u8, 9, 9, 255]));
            whole_picture(&picture, tokens, 16)
        };
        assert_eq!(shown(96, 64, 4096).dimensions(), (96, 64));
        assert_eq!(shown(96, 64, 4096).get_pixel(95, 3).0, [95, 9, 9]);
        assert_eq!(shown(100, 70, 4096).dimensions(), (96, 64));
        assert_eq!(shown(4000, 1000, 4096).dimensions(), (2048, 512));
        assert_eq!(shown(96, 64, 6).dimensions(), (48, 32));
        assert_eq!(shown(1, 300, 4096).dimensions(), (16, 288));
        let clear = whole_picture(&RgbaImage::new(16, 16), 4, 16);
        assert_eq!(clear.get_pixel(3, 3).0, [255; 3]);
    }

    #[test]
    fn a_painted_thing_keeps_its_shape_and_shades() {
        let pixels = [
            [200, 40, 40, 255],
            [100, 20, 20, 128],
            [0, 0, 0, 255],
            [90, 90, 90, 0],
        ];
        let picture = RgbaImage::from_fn(4, 1, |x, _| Rgba(pixels[x as usize]));
        let blue = painted(&picture, Color::Blue);
        for (before, after) in picture.pixels().zip(blue.pixels()) {
            assert_eq!(before.0[3], after.0[3]);
            // As bright as it was.
            let brightest = |pixel: &Rgba<u8>| *pixel.0[..3].iter().max().unwrap();
            assert_eq!(brightest(before), brightest(after));
        }
        let [r, g, b, _] = blue.get_pixel(0, 0).0;
        assert!(b > 2 * r && b > g, "{r} {g} {b}");
    }

    #[test]
    fn a_reference_stands_on_the_bottom_edge_without_its_margin() {
        let mut picture = RgbaImage::new(40, 40);
        for y in 10..30 {
            for x in 15..25 {
                picture.put_pixel(x, y, Rgba([200, 10, 10, 255]));
            }
        }
        let square = reference_picture(&picture, 64);
        assert_eq!(square.dimensions(), (64, 64));
        assert_eq!(square.get_pixel(32, 63).0, [200, 10, 10]);
        assert_eq!(square.get_pixel(32, 1).0, [200, 10, 10]);
        assert_eq!(square.get_pixel(4, 40).0, [REFERENCE_GREY; 3]);
    }

    #[test]
    fn an_invisible_picture_is_all_grey() {
        let square = reference_picture(&RgbaImage::new(3, 5), 16);
        assert!(square.pixels().all(|pixel| pixel.0 == [REFERENCE_GREY; 3]));
    }
}
