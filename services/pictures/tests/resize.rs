//! Sizes against Pillow, bit for bit; `tests/fixtures/resize.py` made the file.

use atelier_pictures::{Filter, resize};
use image::{Rgb, RgbImage};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    filter: String,
    width: u32,
    height: u32,
    bytes: String,
}

/// The same formula as in the script.
fn picture() -> RgbImage {
    RgbImage::from_fn(31, 19, |x, y| {
        let red = (x * x * 7 + y * 31) % 256;
        let green = (x * y * 13 + 5) % 256;
        let blue = ((x / 4 + y / 3) % 2) * 255;
        Rgb([red as u8, green as u8, blue as u8])
    })
}

#[test]
fn every_filter_makes_what_pillow_makes() {
    let cases: Vec<Case> =
        serde_json::from_str(include_str!("fixtures/resize.json")).expect("the fixture is whole");
    assert_eq!(cases.len(), 24);
    for case in cases {
        let filter = match case.filter.as_str() {
            "box" => Filter::Box,
            "bilinear" => Filter::Bilinear,
            "bicubic" => Filter::Bicubic,
            "lanczos" => Filter::Lanczos,
            other => panic!("no filter {other}"),
        };
        let made = resize(&picture(), case.width, case.height, filter);
        let hex: String = made
            .as_raw()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            hex, case.bytes,
            "{} to {} x {}",
            case.filter, case.width, case.height
        );
    }
}
