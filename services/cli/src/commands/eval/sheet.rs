//! All pictures side by side: a prompt's arms stand beside each other, as many prompts in a row as fit.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use image::{Rgb, RgbImage, imageops};

use crate::show::DRAWN;

/// Side of a picture on the sheet.
const SIDE: u32 = 128;
/// Pixels between two.
const GAP: u32 = 2;
/// Most prompts.
const MOST: usize = 100;
/// Pictures in a row, where a prompt has no more.
const IN_A_ROW: usize = 8;

/// Writes the sheet of each prompt's pictures; one that is not there leaves its place white.
pub fn write(file: &Path, prompts: &[Vec<PathBuf>]) -> Result<()> {
    let prompts = &prompts[..prompts.len().min(MOST)];
    let arms = prompts.iter().map(Vec::len).max().unwrap_or(0).max(1);
    let together = (IN_A_ROW / arms).max(1);
    let size = |number: usize| (number as u32 * (SIDE + GAP)).max(1);
    let across = together.min(prompts.len().max(1)) * arms;
    let down = prompts.len().div_ceil(together);
    let mut sheet = RgbImage::from_pixel(size(across), size(down), Rgb([255; 3]));
    for (index, pictures) in prompts.iter().enumerate() {
        let (y, left) = (index / together, index % together * arms);
        for (arm, picture) in pictures.iter().enumerate() {
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
            imageops::replace(&mut sheet, &small, at(left + arm), at(y));
        }
    }
    sheet
        .save(file)
        .with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_stand_in_rows_with_their_arms_together() {
        let dir = tempfile::tempdir().unwrap();
        let picture = dir.path().join("red.png");
        RgbImage::from_pixel(4, 4, Rgb([200, 0, 0]))
            .save(&picture)
            .unwrap();
        let file = dir.path().join("sheet.png");
        let prompt = |number: usize| vec![picture.clone(); number];
        write(&file, &[vec![prompt(3); 2], vec![prompt(1)]].concat()).unwrap();
        let sheet = image::open(&file).unwrap().into_rgb8();
        assert_eq!(sheet.dimensions(), (6 * 130, 2 * 130));
        let at = |column: u32, row: u32| sheet.get_pixel(column * 130 + 64, row * 130 + 64).0;
        assert_eq!([at(0, 0), at(5, 0), at(0, 1)], [[200, 0, 0]; 3]);
        assert_eq!(at(1, 1), [255; 3]);
    }
}
