//! Pictures as the vision tower reads them (transformers 5.23 `qwen2_vl/image_processing_pil_qwen2_vl.py`): sides that are multiples of a
//! merged patch, normalised, cut into patches in the order in which they are merged.

use std::path::Path;

use atelier_pictures::{Filter, resize};
use image::RgbImage;
use serde::Deserialize;
use tch::{Kind, Tensor};

use super::{Qwen3VlError, VisionConfig};
use crate::bounded;

/// Largest preprocessor_config.json, in bytes.
const MAX_CONFIG: u64 = 1 << 20;
/// How many times longer one side may be than the other.
const MOST_STRETCHED: f64 = 200.0;

/// How pictures are prepared.
#[derive(Debug, Clone, PartialEq)]
pub struct Preprocess {
    /// Fewest and most pixels that are looked at.
    pub pixels: [f64; 2],
    /// Per channel, of values in 0..1.
    pub mean: [f64; 3],
    /// Per channel, of values in 0..1.
    pub deviation: [f64; 3],
    /// Side of a patch, in pixels.
    patch: i64,
    /// Patches along a side that become one token.
    merge: i64,
    /// Pictures of a film that share a patch; a still picture is shown so many times.
    temporal: i64,
}

/// Patches of one picture, before they are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Patches from top to bottom.
    pub rows: i64,
    /// Patches from left to right.
    pub columns: i64,
    /// Patches along a side that become one token.
    pub merge: i64,
}

impl Grid {
    /// Tokens in the decoder, as rows and columns.
    pub const fn merged(self) -> (i64, i64) {
        (self.rows / self.merge, self.columns / self.merge)
    }

    /// Tokens in the decoder.
    pub const fn tokens(self) -> usize {
        let (rows, columns) = self.merged();
        (rows * columns) as usize
    }
}

/// What is read of preprocessor_config.json.
#[derive(Deserialize)]
struct File {
    size: Option<Size>,
    min_pixels: Option<f64>,
    max_pixels: Option<f64>,
    patch_size: Option<i64>,
    temporal_patch_size: Option<i64>,
    merge_size: Option<i64>,
    image_mean: Option<[f64; 3]>,
    image_std: Option<[f64; 3]>,
}

/// Numbers of pixels, whatever the names say.
#[derive(Deserialize)]
struct Size {
    shortest_edge: Option<f64>,
    longest_edge: Option<f64>,
}

impl Preprocess {
    /// Reads `preprocessor_config.json`.
    pub fn read(dir: &Path, vision: &VisionConfig) -> Result<Self, Qwen3VlError> {
        let path = dir.join("preprocessor_config.json");
        let wrong = |what: String| Qwen3VlError::Config(path.clone(), what);
        let bytes = bounded::read(&path, MAX_CONFIG).map_err(|error| wrong(error.to_string()))?;
        Self::parse(&bytes, vision).map_err(wrong)
    }

    /// The same from the file's bytes.
    pub fn parse(bytes: &[u8], vision: &VisionConfig) -> Result<Self, String> {
        let file: File = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let sizes = [
            ("patch_size", file.patch_size, vision.patch),
            ("merge_size", file.merge_size, vision.merge),
            (
                "temporal_patch_size",
                file.temporal_patch_size,
                vision.temporal,
            ),
        ];
        for (name, found, wanted) in sizes {
            if let Some(found) = found.filter(|found| *found != wanted) {
                return Err(format!("{name} is {found}, config.json says {wanted}"));
            }
        }
        let (least, most) = match &file.size {
            Some(size) => (size.shortest_edge, size.longest_edge),
            None => (None, None),
        };
        let side = (vision.patch * vision.merge) as f64;
        let least = least.or(file.min_pixels).unwrap_or(4.0 * side * side);
        let most = most.or(file.max_pixels).unwrap_or(16_384.0 * side * side);
        if !(least >= 1.0 && most >= least && most >= side * side && most <= 1e9) {
            return Err(format!("pictures of {least} to {most} pixels"));
        }
        let [mean, deviation] =
            [file.image_mean, file.image_std].map(|value| value.unwrap_or([0.5; 3]));
        if !deviation.iter().all(|one| *one > 0.0 && one.is_finite())
            || !mean.iter().all(|one| one.is_finite())
        {
            return Err(format!(
                "a mean of {mean:?} and a deviation of {deviation:?}"
            ));
        }
        Ok(Self {
            pixels: [least, most],
            mean,
            deviation,
            patch: vision.patch,
            merge: vision.merge,
            temporal: vision.temporal,
        })
    }

    /// Width and height that a picture is looked at in: multiples of a merged patch, near its own, within the bounds.
    pub fn size(&self, width: u32, height: u32) -> Result<(u32, u32), String> {
        let (w, h) = (f64::from(width), f64::from(height));
        if w < 1.0 || h < 1.0 || w.max(h) / w.min(h) > MOST_STRETCHED {
            return Err(format!(
                "of {width} x {height} pixels is no picture to look at"
            ));
        }
        let side = (self.patch * self.merge) as f64;
        // Halves to the even neighbour, as Python rounds.
        let near = |x: f64| (x / side).round_ties_even() * side;
        let (mut to_w, mut to_h) = (near(w), near(h));
        let [least, most] = self.pixels;
        if to_w * to_h > most {
            let shrink = (w * h / most).sqrt();
            let fitted = |x: f64| ((x / shrink / side).floor() * side).max(side);
            (to_w, to_h) = (fitted(w), fitted(h));
        } else if to_w * to_h < least {
            let grow = (least / (w * h)).sqrt();
            let fitted = |x: f64| (x * grow / side).ceil() * side;
            (to_w, to_h) = (fitted(w), fitted(h));
        }
        Ok((to_w as u32, to_h as u32))
    }

    /// The picture in that size.
    pub fn sized(&self, picture: &RgbImage) -> Result<RgbImage, String> {
        let (width, height) = self.size(picture.width(), picture.height())?;
        Ok(resize(picture, width, height, Filter::Bicubic))
    }

    /// Patches `(rows * columns, 3 * temporal * patch * patch)` in f32 of a picture in its size. Those that are merged stand together.
    pub fn patches(&self, picture: &RgbImage) -> (Tensor, Grid) {
        let (patch, merge) = (self.patch, self.merge);
        let (width, height) = (i64::from(picture.width()), i64::from(picture.height()));
        let grid = Grid {
            rows: height / patch,
            columns: width / patch,
            merge,
        };
        let channels = |numbers: &[f64; 3]| {
            Tensor::from_slice(&numbers.map(|number| number as f32)).view([3, 1, 1])
        };
        let pixels = Tensor::from_slice(picture.as_raw())
            .view([height, width, 3])
            .permute([2, 0, 1])
            .to_kind(Kind::Float);
        let pixels = (pixels / 255.0 - channels(&self.mean)) / channels(&self.deviation);
        let (rows, columns) = grid.merged();
        let patches = pixels
            .reshape([3, rows, merge, patch, columns, merge, patch])
            .permute([1, 4, 2, 5, 0, 3, 6])
            .unsqueeze(5)
            .expand([-1, -1, -1, -1, -1, self.temporal, -1, -1], false)
            .reshape([grid.rows * grid.columns, 3 * self.temporal * patch * patch]);
        (patches, grid)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn preprocess() -> Preprocess {
        Preprocess {
            pixels: [65_536.0, 16_777_216.0],
            mean: [0.5; 3],
            deviation: [0.5; 3],
            patch: 16,
            merge: 2,
            temporal: 2,
        }
    }

    #[test]
    fn sizes_are_those_of_the_reference() {
        for (size, wanted) in [
            ((256, 256), (256, 256)),
            ((300, 200), (320, 224)),
            ((416, 288), (416, 288)),
            // 48 is between 32 and 64: to the even multiple.
            ((432, 464), (448, 448)),
            ((128, 128), (256, 256)),
            ((8_000, 4_000), (5_792, 2_880)),
        ] {
            assert_eq!(
                preprocess().size(size.0, size.1).unwrap(),
                wanted,
                "{size:?}"
            );
        }
        assert!(preprocess().size(1, 201).is_err());
        assert!(preprocess().size(0, 5).is_err());
    }

    #[test]
    fn patches_that_are_merged_stand_together() {
        let picture =
            RgbImage::from_fn(64, 64, |x, y| image::Rgb([(x / 16 * 4 + y / 16) as u8; 3]));
        let (patches, grid) = preprocess().patches(&picture);
        assert_eq!(patches.size(), [16, 1536]);
        assert_eq!(grid.tokens(), 4);
        let first = ((patches.select(1, 0) * 0.5 + 0.5) * 255.0).round();
        let order = Vec::<f64>::try_from(first).unwrap();
        assert_eq!(order[..6], [0.0, 4.0, 1.0, 5.0, 8.0, 12.0]);
    }

    proptest! {
        #[test]
        fn every_size_is_within_bounds(width in 1_u32..5_000, height in 1_u32..5_000) {
            let preprocess = preprocess();
            if let Ok((w, h)) = preprocess.size(width, height) {
                prop_assert!(w % 32 == 0 && h % 32 == 0 && w > 0 && h > 0);
                let pixels = f64::from(w) * f64::from(h);
                // A side never falls below one merged patch, so that very long pictures may have some more.
                prop_assert!((65_536.0..=16_777_216.0 * 1.05).contains(&pixels));
            }
        }

        #[test]
        fn rubbish_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(Preprocess::parse(&bytes, &super::super::config::tests::vision()).is_err());
        }
    }
}
