//! Many pictures of one size on one sheet, for looking at.

use image::{RgbImage, imageops};

/// Lays pictures out in rows of `columns`, two pixels apart; all have the size of the first.
pub fn sheet(pictures: &[RgbImage], columns: u32) -> RgbImage {
    let Some(first) = pictures.first() else {
        return RgbImage::new(1, 1);
    };
    let (w, h) = (first.width() + 2, first.height() + 2);
    let columns = columns.clamp(1, pictures.len() as u32);
    let rows = (pictures.len() as u32).div_ceil(columns);
    let mut sheet = RgbImage::from_pixel(columns * w, rows * h, image::Rgb([255; 3]));
    for (index, picture) in (0_u32..).zip(pictures) {
        imageops::replace(
            &mut sheet,
            picture,
            i64::from(index % columns * w),
            i64::from(index / columns * h),
        );
    }
    sheet
}
