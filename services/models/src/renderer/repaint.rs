//! Repainting a part of a picture: which tokens are drawn anew, and which pixels are taken over.

use atelier_proto::plan::BBox;
use image::{GrayImage, Rgb, RgbImage};
use tch::{Device, Kind, Tensor};

use super::{
    regions::{Cells, Grid},
    scene::{RenderError, check_box},
};

/// What of a picture is repainted. Every pixel outside stays as it is, to the bit.
#[derive(Clone, Copy)]
pub enum Area<'a> {
    /// A rectangle `[x0, y0, x1, y1]` in 0..1.
    Box([f32; 4]),
    /// As much as a mask of the picture's size says: 0 stays, 255 is new, what is between is mixed.
    Mask(&'a GrayImage),
}

/// The part of a picture that stays as it is, on the way to the new one.
pub(super) struct Kept {
    /// Tokens `(N, channels)` of the picture.
    pub picture: Tensor,
    /// `(N, 1)`: 1 where it is repainted.
    pub mask: Tensor,
}

impl Area<'_> {
    /// Whether it is an area of this picture.
    pub(super) fn check(self, picture: &RgbImage) -> Result<(), RenderError> {
        match self {
            Self::Box(bbox) => check_box(bbox),
            Self::Mask(mask) if mask.dimensions() == picture.dimensions() => Ok(()),
            Self::Mask(mask) => Err(RenderError::Mask {
                mask: mask.dimensions(),
                picture: picture.dimensions(),
            }),
        }
    }

    /// How much of each token is repainted, `(N, 1)` in 0..=1, f32: all tokens that a box touches; a mask in the middle of each.
    pub(super) fn tokens(self, grid: Grid, device: Device) -> Tensor {
        let shares = match self {
            Self::Box(bbox) => {
                let cells = Cells::touched(bbox, grid);
                let inside = |token| cells.contains(token / grid.columns, token % grid.columns);
                let shares: Vec<f32> = (0..grid.tokens())
                    .map(|token| f32::from(u8::from(inside(token))))
                    .collect();
                Tensor::from_slice(&shares)
            }
            Self::Mask(mask) => {
                let (width, height) = mask.dimensions();
                let pixels = Tensor::from_slice(mask.as_raw())
                    .view([1, 1, i64::from(height), i64::from(width)])
                    .to_kind(Kind::Float)
                    / 255.0;
                // Between the pixels in a token's middle, as the reference's pipeline does it.
                let sides = [grid.rows as i64, grid.columns as i64];
                pixels.upsample_bilinear2d(sides, false, None, None)
            }
        };
        shares.view([-1, 1]).to_device(device)
    }

    /// `picture` with the area taken from `drawn`, a picture of the same size.
    pub(super) fn compose(self, picture: &RgbImage, drawn: &RgbImage) -> RgbImage {
        let (width, height) = picture.dimensions();
        match self {
            Self::Box(bbox) => {
                let (columns, rows) = BBox(bbox).pixels(width, height);
                RgbImage::from_fn(width, height, |x, y| {
                    let source = if columns.contains(&x) && rows.contains(&y) {
                        drawn
                    } else {
                        picture
                    };
                    *source.get_pixel(x, y)
                })
            }
            Self::Mask(mask) => RgbImage::from_fn(width, height, |x, y| {
                let share = u32::from(mask.get_pixel(x, y).0[0]);
                let (Rgb(old), Rgb(new)) = (picture.get_pixel(x, y), drawn.get_pixel(x, y));
                Rgb([0, 1, 2].map(|i| {
                    let mixed = u32::from(old[i]) * (255 - share) + u32::from(new[i]) * share;
                    ((mixed + 127) / 255) as u8
                }))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use image::Luma;

    use super::*;

    #[test]
    fn a_mask_mixes_and_its_black_leaves_every_bit() {
        let old = RgbImage::from_fn(32, 16, |x, y| Rgb([x as u8 * 7, y as u8 * 9, 3]));
        let new = RgbImage::from_pixel(32, 16, Rgb([200, 100, 0]));
        let mask = GrayImage::from_fn(32, 16, |x, _| Luma([[0, 255, 128][x as usize / 11]]));
        let area = Area::Mask(&mask);
        let mixed = area.compose(&old, &new);
        for (x, y, pixel) in mixed.enumerate_pixels() {
            match x / 11 {
                0 => assert_eq!(pixel, old.get_pixel(x, y)),
                1 => assert_eq!(pixel, new.get_pixel(x, y)),
                _ => assert!(pixel != old.get_pixel(x, y) && pixel != new.get_pixel(x, y)),
            }
        }
        let tokens = area.tokens(Grid::of(32, 16), Device::Cpu);
        assert_eq!(tokens.size(), [2, 1]);
        // Between the pixels 7 and 8, and between 23 and 24.
        assert_eq!(tokens.double_value(&[0, 0]), 0.0);
        assert!((tokens.double_value(&[1, 0]) - 128.0 / 255.0).abs() < 1e-6);
        let other = GrayImage::new(16, 16);
        assert!(matches!(
            Area::Mask(&other).check(&old),
            Err(RenderError::Mask { .. })
        ));
    }
}
