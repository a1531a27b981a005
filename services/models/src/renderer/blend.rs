//! Composes two finished pictures at full resolution.

use atelier_proto::plan::Mask;
use image::{Rgb, RgbImage};

/// The pictures differ in size.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot blend a picture of {first:?} with one of {second:?} pixels")]
pub struct SizesDiffer {
    /// Width and height of the first.
    pub first: (u32, u32),
    /// Width and height of the second.
    pub second: (u32, u32),
}

/// `first` where the mask is 0, `second` where it is 1, mixed between.
pub fn blend(first: &RgbImage, second: &RgbImage, mask: &Mask) -> Result<RgbImage, SizesDiffer> {
    if first.dimensions() != second.dimensions() {
        return Err(SizesDiffer {
            first: first.dimensions(),
            second: second.dimensions(),
        });
    }
    let (width, height) = first.dimensions();
    let shares = mask.shares_of_pixels((width, height));
    Ok(RgbImage::from_fn(width, height, |x, y| {
        let share = shares(x, y);
        let (Rgb(a), Rgb(b)) = (first.get_pixel(x, y), second.get_pixel(x, y));
        Rgb([0, 1, 2].map(|i| {
            let (a, b) = (f32::from(a[i]), f32::from(b[i]));
            (a + (b - a) * share).round() as u8
        }))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(angle: f32) -> RgbImage {
        let (black, white) = (
            RgbImage::new(20, 10),
            RgbImage::from_pixel(20, 10, Rgb([255; 3])),
        );
        blend(
            &black,
            &white,
            &Mask::Linear {
                angle,
                from: 0.25,
                to: 0.75,
            },
        )
        .unwrap()
    }

    #[test]
    fn a_ramp_goes_along_its_angle() {
        let right = ramp(0.0);
        assert_eq!(right.get_pixel(4, 3).0, [0; 3]);
        assert_eq!(right.get_pixel(15, 3).0, [255; 3]);
        assert_eq!(right.get_pixel(10, 0), right.get_pixel(10, 9));
        assert_eq!(right.get_pixel(10, 0).0, [140; 3]);
        let down = ramp(90.0);
        assert_eq!(
            (down.get_pixel(3, 1).0, down.get_pixel(3, 8).0),
            ([0; 3], [255; 3])
        );
        let left = ramp(180.0);
        assert_eq!(
            (left.get_pixel(1, 3).0, left.get_pixel(18, 3).0),
            ([255; 3], [0; 3])
        );
        let diagonal = ramp(45.0);
        assert_eq!(
            (diagonal.get_pixel(0, 0).0, diagonal.get_pixel(19, 9).0),
            ([0; 3], [255; 3])
        );
    }

    #[test]
    fn an_edge_without_width_is_a_cut() {
        let (black, white) = (
            RgbImage::new(8, 4),
            RgbImage::from_pixel(8, 4, Rgb([255; 3])),
        );
        let cut = blend(
            &black,
            &white,
            &Mask::Linear {
                angle: 0.0,
                from: 0.5,
                to: 0.5,
            },
        )
        .unwrap();
        assert_eq!(
            (cut.get_pixel(3, 0).0, cut.get_pixel(4, 0).0),
            ([0; 3], [255; 3])
        );
    }

    #[test]
    fn pictures_of_two_sizes_are_refused() {
        let error = blend(
            &RgbImage::new(8, 4),
            &RgbImage::new(4, 8),
            &Mask::Linear {
                angle: 0.0,
                from: 0.0,
                to: 1.0,
            },
        );
        assert_eq!(error.unwrap_err().second, (4, 8));
    }
}
