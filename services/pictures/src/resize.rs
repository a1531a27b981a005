//! Sizes as Pillow makes them (<https://pillow.readthedocs.io/en/stable/handbook/concepts.html#filters>, `src/libImaging/Resample.c`): filters
//! that widen when a picture shrinks, two passes, fixed-point sums rounded to 8 bits after each. Checkpoints that were trained behind
//! Pillow see the same pixels here, to the last bit.

use image::RgbImage;

/// How pixels are weighted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// The mean of what a pixel covers.
    Box,
    /// Linear.
    Bilinear,
    /// Cubic with a = -0.5.
    Bicubic,
    /// A sinc of three lobes.
    Lanczos,
}

impl Filter {
    /// Half its width in pixels of the larger picture.
    const fn support(self) -> f64 {
        match self {
            Self::Box => 0.5,
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    fn weight(self, x: f64) -> f64 {
        let distance = x.abs();
        match self {
            // Half open, so that no pixel counts twice.
            Self::Box => f64::from(x > -0.5 && x <= 0.5),
            Self::Bilinear => (1.0 - distance).max(0.0),
            Self::Bicubic => {
                const A: f64 = -0.5;
                if distance < 1.0 {
                    ((A + 2.0) * distance - (A + 3.0)) * distance * distance + 1.0
                } else if distance < 2.0 {
                    (((distance - 5.0) * distance + 8.0) * distance - 4.0) * A
                } else {
                    0.0
                }
            }
            Self::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
            Self::Lanczos => 0.0,
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 {
        return 1.0;
    }
    let x = x * std::f64::consts::PI;
    x.sin() / x
}

/// Bits behind the point of a weight: 8 for the value, 2 for what a filter overshoots, the rest of 32.
const PRECISION: u32 = 32 - 8 - 2;

/// The pixels of the source that one pixel of the result is made of.
struct Window {
    first: usize,
    /// Fixed-point; their sum is about one.
    weights: Vec<i32>,
}

/// One window for each of `to` pixels along a side of `from`.
fn windows(from: u32, to: u32, filter: Filter) -> Vec<Window> {
    let scale = f64::from(from) / f64::from(to);
    let stretch = scale.max(1.0);
    let support = filter.support() * stretch;
    (0..to)
        .map(|index| {
            let center = (f64::from(index) + 0.5) * scale;
            // Pillow truncates towards zero after adding a half, and cuts at the edges.
            let first = ((center - support + 0.5) as i64).max(0);
            let end = ((center + support + 0.5) as i64).min(i64::from(from));
            let weights: Vec<f64> = (first..end)
                .map(|at| filter.weight((at as f64 - center + 0.5) / stretch))
                .collect();
            let sum: f64 = weights.iter().sum();
            let fixed = |weight: &f64| {
                let weight = if sum == 0.0 { *weight } else { weight / sum };
                let scaled = weight * f64::from(1_u32 << PRECISION);
                (scaled + 0.5_f64.copysign(scaled)) as i32
            };
            Window {
                first: first as usize,
                weights: weights.iter().map(fixed).collect(),
            }
        })
        .collect()
}

/// A sum of products with weights, rounded and cut to 8 bits.
fn value(sum: i32) -> u8 {
    (sum >> PRECISION).clamp(0, 255) as u8
}

/// The picture in another size, in pixels; sides are at least one.
pub fn resize(picture: &RgbImage, width: u32, height: u32, filter: Filter) -> RgbImage {
    let (width, height) = (width.max(1), height.max(1));
    if picture.width() == 0 || picture.height() == 0 {
        return RgbImage::new(width, height);
    }
    let wide = if width == picture.width() {
        picture.clone()
    } else {
        across(picture, width, filter)
    };
    if height == picture.height() {
        wide
    } else {
        down(&wide, height, filter)
    }
}

const HALF: i32 = 1 << (PRECISION - 1);

fn across(picture: &RgbImage, width: u32, filter: Filter) -> RgbImage {
    let windows = windows(picture.width(), width, filter);
    let mut out = Vec::with_capacity(width as usize * picture.height() as usize * 3);
    for row in picture.as_raw().chunks_exact(picture.width() as usize * 3) {
        for window in &windows {
            let mut sums = [HALF; 3];
            let pixels = row[window.first * 3..].chunks_exact(3);
            for (pixel, weight) in pixels.zip(&window.weights) {
                for (sum, channel) in sums.iter_mut().zip(pixel) {
                    *sum += i32::from(*channel) * weight;
                }
            }
            out.extend(sums.map(value));
        }
    }
    image(width, picture.height(), out)
}

fn down(picture: &RgbImage, height: u32, filter: Filter) -> RgbImage {
    let row = picture.width() as usize * 3;
    let mut out = Vec::with_capacity(row * height as usize);
    let mut sums = vec![HALF; row];
    for window in windows(picture.height(), height, filter) {
        sums.fill(HALF);
        let rows = picture.as_raw()[window.first * row..].chunks_exact(row);
        for (pixels, weight) in rows.zip(&window.weights) {
            for (sum, channel) in sums.iter_mut().zip(pixels) {
                *sum += i32::from(*channel) * weight;
            }
        }
        out.extend(sums.iter().map(|sum| value(*sum)));
    }
    image(picture.width(), height, out)
}

/// As many bytes as a picture of that size has.
fn image(width: u32, height: u32, bytes: Vec<u8>) -> RgbImage {
    RgbImage::from_raw(width, height, bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use image::Rgb;
    use proptest::prelude::*;

    use super::*;

    const ALL: [Filter; 4] = [
        Filter::Box,
        Filter::Bilinear,
        Filter::Bicubic,
        Filter::Lanczos,
    ];

    #[test]
    fn a_picture_of_no_pixels_becomes_black() {
        let black = resize(&RgbImage::new(0, 4), 3, 2, Filter::Bicubic);
        assert_eq!(black, RgbImage::new(3, 2));
    }

    proptest! {
        #[test]
        fn one_colour_stays_that_colour_at_every_size(
            color in any::<[u8; 3]>(), from in (1_u32..60, 1_u32..60), to in (1_u32..60, 1_u32..60), which in 0..4_usize,
        ) {
            let picture = RgbImage::from_pixel(from.0, from.1, Rgb(color));
            let resized = resize(&picture, to.0, to.1, ALL[which]);
            prop_assert_eq!(resized.dimensions(), to);
            prop_assert!(resized.pixels().all(|pixel| pixel.0 == color));
        }

        #[test]
        fn the_same_size_is_the_same_picture(bytes in prop::collection::vec(any::<u8>(), 60), which in 0..4_usize) {
            let picture = RgbImage::from_raw(5, 4, bytes).unwrap();
            prop_assert_eq!(&resize(&picture, 5, 4, ALL[which]), &picture);
        }
    }
}
