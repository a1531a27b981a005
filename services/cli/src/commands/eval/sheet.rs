//! All pictures side by side: a row a prompt, a column an arm.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use image::{Rgb, RgbImage, imageops};

use crate::show::DRAWN;

/// Side of a picture on the sheet.
const SIDE: u32 = 128;
/// Pixels between two.
const GAP: u32 = 2;
/// Most rows.
const MOST: usize = 100;

/// Writes the sheet; a picture that is not there leaves its place white.
pub fn write(file: &Path, rows: &[Vec<PathBuf>]) -> Result<()> {
    let rows = &rows[..rows.len().min(MOST)];
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0) as u32;
    let size = |number: u32| (number * (SIDE + GAP)).max(1);
    let mut sheet = RgbImage::from_pixel(size(columns), size(rows.len() as u32), Rgb([255; 3]));
    for (y, row) in rows.iter().enumerate() {
        for (x, picture) in row.iter().enumerate() {
            let read = std::fs::read(picture).ok();
            let picture = read.and_then(|file| atelier_pictures::read(&file, &DRAWN).ok());
            let Some(picture) = picture else {
                continue;
            };
            let small = imageops::resize(
                &picture.into_rgb8(),
                SIDE,
                SIDE,
                imageops::FilterType::Triangle,
            );
            let at = |index: usize| i64::from(index as u32 * (SIDE + GAP));
            imageops::replace(&mut sheet, &small, at(x), at(y));
        }
    }
    sheet
        .save(file)
        .with_context(|| format!("cannot write {}", file.display()))
}
