//! What is behind, when it is, and whether the light goes from one time to another.

use atelier_proto::judging::{Finding, Truth};
use image::{RgbImage, imageops};

use crate::{
    critic::detector::{Detector, Seen},
    props::vocabulary::{Background, TimeOfDay},
};

/// Adds what of background, time and transition is so.
pub fn grade(
    truth: &Truth,
    seen: &Seen,
    detector: &Detector,
    picture: &RgbImage,
    findings: &mut Vec<Finding>,
) {
    let mut add = |kind: &str, about: String, ok: bool, found: &str| {
        findings.push(Finding {
            kind: kind.to_owned(),
            about,
            ok,
            found: if ok { String::new() } else { found.to_owned() },
        });
    };
    if let Some(wanted) = &truth.background {
        let name = Background::find(wanted).map_or(wanted.as_str(), |known| known.name());
        add(
            "background",
            wanted.clone(),
            seen.background.0 == name,
            &seen.background.0,
        );
    }
    if let Some(wanted) = &truth.time {
        add(
            "time",
            wanted.clone(),
            seen.time.0 == time(wanted),
            &seen.time.0,
        );
    }
    if let Some([left, right]) = &truth.transition {
        let found = [false, true].map(|right| detector.see(&half(picture, right)).time.0);
        let ok = found[0] == time(left) && found[1] == time(right);
        let told = format!("{} to {}", found[0], found[1]);
        add("transition", format!("{left} to {right}"), ok, &told);
    }
}

fn time(word: &str) -> &str {
    TimeOfDay::find(word).map_or(word, |known| known.name())
}

/// One half of a picture beside its mirror image: a whole picture in the light of that half.
fn half(picture: &RgbImage, right: bool) -> RgbImage {
    let (width, height) = picture.dimensions();
    let part = (width / 2).max(1);
    let from = if right { width - part.min(width) } else { 0 };
    let side = imageops::crop_imm(picture, from, 0, part.min(width), height).to_image();
    let mut whole = RgbImage::new(2 * side.width(), height);
    let mirrored = imageops::flip_horizontal(&side);
    imageops::replace(&mut whole, &side, 0, 0);
    imageops::replace(&mut whole, &mirrored, i64::from(side.width()), 0);
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_and_its_mirror_image_are_a_whole() {
        let mut picture = RgbImage::new(6, 2);
        for x in 0..6 {
            picture.put_pixel(x, 0, image::Rgb([x as u8, 0, 0]));
        }
        let row = |right| -> Vec<u8> {
            (0..6)
                .map(|x| half(&picture, right).get_pixel(x, 0).0[0])
                .collect()
        };
        assert_eq!(row(false), [0, 1, 2, 2, 1, 0]);
        assert_eq!(row(true), [3, 4, 5, 5, 4, 3]);
        assert_eq!(half(&RgbImage::new(1, 1), true).dimensions(), (2, 1));
        assert_eq!(half(&RgbImage::new(0, 0), true).dimensions(), (0, 0));
    }
}
