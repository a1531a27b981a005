//! From the pictures of an edit to a plan: which picture is changed, at which size, and which part of it.

use atelier_pictures::{Bounds, Filter, Format, on_white, read, resize, write};
use atelier_proto::{
    http::MAX_REFERENCE_BYTES,
    job::Size,
    openai::Fidelity,
    plan::{BBox, Element, Plan, Stage, StageOp},
};
use bytes::Bytes;
use image::{RgbImage, Rgba, RgbaImage, imageops};

use super::{Refusal, form::File};
use crate::operations::pictures::MAX_SIDE;

const BOUNDS: Bounds = Bounds::of(MAX_SIDE, MAX_REFERENCE_BYTES);
/// A picture keeps its own size up to sides of this many pixels, unless the call names a size.
const OWN_SIDE: u32 = 1_024;
/// Shortest side, and what sides are multiples of, in pixels.
const SHORTEST: u32 = 64;
const STEP: u32 = 16;
/// How far an edit goes from its picture.
const CLOSE: f32 = 0.6;
const FREE: f32 = 0.85;
/// Names of files that say nothing about what is in them.
const EMPTY_NAMES: [&str; 6] = ["image", "upload", "file", "blob", "picture", "photo"];

/// An edit, ready to be submitted.
#[derive(Clone, Debug)]
pub struct Retouch {
    /// PNG files by the names that the plan has for them.
    pub pictures: Vec<(String, Bytes)>,
    /// What is done with them.
    pub plan: Plan,
    /// The size of the result.
    pub size: Size,
    /// Sizes of all pictures that came, the mask not among them.
    pub sizes: Vec<(u32, u32)>,
}

/// Decodes and plans. Takes processor time; call it where blocking is allowed.
pub fn retouch(
    prompt: &str,
    images: &[File],
    mask: Option<&File>,
    size: Option<Size>,
    fidelity: Fidelity,
) -> Result<Retouch, Refusal> {
    let Some((first, others)) = images.split_first() else {
        return Err(Refusal::field(
            "image",
            "is missing: send the picture to change",
        ));
    };
    let decoded = read(&first.bytes, &BOUNDS).map_err(|error| wrong("image", &error))?;
    let picture = on_white(&decoded);
    let came = picture.dimensions();
    let size = size.unwrap_or_else(|| own_size(came));
    let fitted = fit(&picture, size);
    let mut plan = Plan::direct(prompt);
    let input = "refs/image-1".to_owned();
    let (changed, op) = match mask {
        Some(mask) => {
            let mask = fit(&open_parts(mask, came)?, size);
            let (cut, bbox) = cut(&fitted, &mask)?;
            let op = StageOp::Repair {
                input,
                bbox,
                instruction: prompt.to_owned(),
            };
            (cut.into(), op)
        }
        None => {
            let op = StageOp::Edit {
                input,
                instruction: prompt.to_owned(),
                strength: match fidelity {
                    Fidelity::High => CLOSE,
                    Fidelity::Low => FREE,
                },
            };
            (image::DynamicImage::from(fitted), op)
        }
    };
    plan.stages = vec![Stage {
        id: "out".to_owned(),
        op,
    }];
    let png = |picture: &image::DynamicImage| {
        write(picture, Format::Png, &[]).map_err(|error| wrong("image", &error))
    };
    let mut pictures = vec![("image-1".to_owned(), png(&changed)?.into())];
    let mut sizes = vec![came];
    for (index, other) in others.iter().enumerate() {
        let name = format!("image-{}", index + 2);
        let picture = read(&other.bytes, &BOUNDS).map_err(|error| wrong("image", &error))?;
        sizes.push((picture.width(), picture.height()));
        plan.elements.push(shown(&name, &other.name));
        pictures.push((name, png(&picture)?.into()));
    }
    Ok(Retouch {
        pictures,
        plan,
        size,
        sizes,
    })
}

fn wrong(field: &str, error: &dyn std::fmt::Display) -> Refusal {
    Refusal::field(field, error.to_string())
}

/// A thing that a picture shows, called as its file is.
fn shown(id: &str, file: &str) -> Element {
    let stem = file.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = stem.split('.').next().unwrap_or_default();
    let words: String = stem
        .chars()
        .map(|c| if c.is_alphabetic() { c } else { ' ' })
        .take(40)
        .collect();
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let says_nothing = words.len() < 2 || EMPTY_NAMES.contains(&words.to_lowercase().as_str());
    Element {
        id: id.to_owned(),
        noun: if says_nothing {
            "thing".to_owned()
        } else {
            words
        },
        count: 1,
        attributes: Vec::new(),
        colors: Vec::new(),
        bbox: None,
        reference: Some(format!("refs/{id}")),
    }
}

/// The size nearest to a picture's own that can be drawn.
fn own_size((width, height): (u32, u32)) -> Size {
    let longer = width.max(height).max(1);
    let shrink = (f64::from(OWN_SIDE) / f64::from(longer)).min(1.0);
    let side = |side: u32| {
        let steps = (f64::from(side) * shrink / f64::from(STEP)).round() as u32;
        (steps * STEP).clamp(SHORTEST, OWN_SIDE)
    };
    Size {
        width: side(width),
        height: side(height),
    }
}

/// The middle of a picture at another size; one that has the size is left as it is, to the bit. It is cut before it is scaled: scaled first, a
/// picture of one pixel's height would be as large as the scale is.
fn fit(picture: &RgbImage, size: Size) -> RgbImage {
    let Size { width, height } = size;
    let (wide, high) = picture.dimensions();
    if (wide, high) == (width, height) {
        return picture.clone();
    }
    let scale = |to: u32, from: u32| f64::from(to) / f64::from(from.max(1));
    let scale = scale(width, wide).max(scale(height, high));
    let side = |to: u32, from: u32| ((f64::from(to) / scale).round() as u32).clamp(1, from.max(1));
    let (w, h) = (side(width, wide), side(height, high));
    let middle = imageops::crop_imm(picture, (wide - w) / 2, (high - h) / 2, w, h).to_image();
    resize(&middle, width, height, Filter::Bicubic)
}

/// White where a mask is transparent, black elsewhere.
fn open_parts(mask: &File, picture: (u32, u32)) -> Result<RgbImage, Refusal> {
    let mask = read(&mask.bytes, &BOUNDS).map_err(|error| wrong("mask", &error))?;
    if !mask.color().has_alpha() {
        let message = "has no transparency: what is transparent in it is painted anew";
        return Err(Refusal::field("mask", message));
    }
    let mask = mask.into_rgba8();
    if mask.dimensions() != picture {
        let (width, height) = picture;
        let message = format!(
            "has {} x {} pixels, the picture has {width} x {height}: they must be the same",
            mask.width(),
            mask.height()
        );
        return Err(Refusal::field("mask", message));
    }
    Ok(RgbImage::from_fn(mask.width(), mask.height(), |x, y| {
        let open = mask.get_pixel(x, y).0[3] == 0;
        image::Rgb([if open { 255 } else { 0 }; 3])
    }))
}

/// The picture, transparent where the mask is white, and the box around these parts.
fn cut(picture: &RgbImage, mask: &RgbImage) -> Result<(RgbaImage, BBox), Refusal> {
    let (width, height) = picture.dimensions();
    let open = |x, y| mask.get_pixel(x, y).0[0] >= 128;
    let cut = RgbaImage::from_fn(width, height, |x, y| {
        let [r, g, b] = picture.get_pixel(x, y).0;
        Rgba([r, g, b, if open(x, y) { 0 } else { 255 }])
    });
    let mut found: Option<(u32, u32, u32, u32)> = None;
    for (x, y, pixel) in cut.enumerate_pixels() {
        if pixel.0[3] == 0 {
            let (x0, y0, x1, y1) = found.unwrap_or((x, y, x, y));
            found = Some((x0.min(x), y0.min(y), x1.max(x), y1.max(y)));
        }
    }
    let Some((x0, y0, x1, y1)) = found else {
        return Err(Refusal::field(
            "mask",
            "nothing in it is transparent: nothing would be painted",
        ));
    };
    let share = |at: u32, of: u32| at as f32 / of as f32;
    let bbox = BBox([
        share(x0, width),
        share(y0, height),
        share(x1 + 1, width),
        share(y1 + 1, height),
    ]);
    Ok((cut, bbox))
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, Rgb};

    use super::*;

    fn file(picture: impl Into<DynamicImage>, name: &str) -> File {
        let bytes = write(&picture.into(), Format::Png, &[]).unwrap();
        File {
            name: name.to_owned(),
            bytes: bytes.into(),
        }
    }

    fn picture(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, 9]))
    }

    fn mask(width: u32, height: u32, open: impl Fn(u32, u32) -> bool) -> RgbaImage {
        RgbaImage::from_fn(width, height, |x, y| {
            Rgba([0, 0, 0, if open(x, y) { 0 } else { 255 }])
        })
    }

    fn field_of(result: Result<Retouch, Refusal>) -> Option<String> {
        result.unwrap_err().detail().param
    }

    #[test]
    fn a_mask_becomes_a_repair_of_its_open_part() {
        let image = [file(picture(64, 96), "a.png")];
        let open = mask(64, 96, |x, y| {
            (16..32).contains(&x) && (48..96).contains(&y)
        });
        let made = retouch(
            "a hat",
            &image,
            Some(&file(open, "m.png")),
            None,
            Fidelity::Low,
        )
        .unwrap();
        made.plan.validate().unwrap();
        assert_eq!((made.size.width, made.size.height), (64, 96));
        let StageOp::Repair { input, bbox, .. } = &made.plan.stages[0].op else {
            panic!("{:?}", made.plan)
        };
        assert_eq!(
            (input.as_str(), bbox.0),
            ("refs/image-1", [0.25, 0.5, 0.5, 1.0])
        );
        let cut = read(&made.pictures[0].1, &BOUNDS).unwrap().into_rgba8();
        // What is under the mask is still there for the renderer to look at.
        assert_eq!(cut.get_pixel(20, 50).0, [20, 50, 9, 0]);
        assert_eq!(cut.get_pixel(20, 40).0, [20, 40, 9, 255]);
    }

    #[test]
    fn without_a_mask_it_is_an_edit_and_the_others_are_things() {
        let images = [
            file(picture(100, 50), ""),
            file(picture(9, 9), "dir/red_mug.v2.png"),
            file(picture(9, 9), "image.png"),
        ];
        let made = retouch("a cat", &images, None, None, Fidelity::High).unwrap();
        made.plan.validate().unwrap();
        assert_eq!((made.size.width, made.size.height), (96, 64));
        assert!(
            matches!(&made.plan.stages[0].op, StageOp::Edit { strength, .. } if *strength == CLOSE)
        );
        let things: Vec<_> = made
            .plan
            .elements
            .iter()
            .map(|e| (e.noun.as_str(), e.reference.as_deref()))
            .collect();
        assert_eq!(
            things,
            [
                ("red mug", Some("refs/image-2")),
                ("thing", Some("refs/image-3"))
            ]
        );
        let names: Vec<_> = made
            .pictures
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["image-1", "image-2", "image-3"]);
        assert_eq!(made.sizes, [(100, 50), (9, 9), (9, 9)]);
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let image = [file(picture(64, 64), "")];
        let edit = |mask: Option<File>| retouch("x", &image, mask.as_ref(), None, Fidelity::Low);
        assert_eq!(
            field_of(retouch("x", &[], None, None, Fidelity::Low)).as_deref(),
            Some("image")
        );
        let rubbish = File {
            name: String::new(),
            bytes: Bytes::from_static(b"GIF89a"),
        };
        let bad = retouch(
            "x",
            std::slice::from_ref(&rubbish),
            None,
            None,
            Fidelity::Low,
        );
        assert_eq!(field_of(bad).as_deref(), Some("image"));
        for mask in [
            rubbish,
            file(picture(64, 64), ""),
            file(mask(32, 64, |_, _| true), ""),
            file(mask(64, 64, |_, _| false), ""),
        ] {
            assert_eq!(field_of(edit(Some(mask))).as_deref(), Some("mask"));
        }
    }

    #[test]
    fn the_middle_is_taken_and_nothing_larger_than_both_is_made() {
        // Scaled before it is cut, the first would take 51 GB.
        for (came, size) in [
            ((4_096, 1), (64, 2_048)),
            ((1, 4_096), (2_048, 64)),
            ((1, 1), (2_048, 2_048)),
        ] {
            let (width, height) = size;
            let fitted = fit(&picture(came.0, came.1), Size { width, height });
            assert_eq!(fitted.dimensions(), size, "{came:?}");
        }
        // Its left and right thirds are outside.
        let wide = RgbImage::from_fn(192, 64, |x, _| {
            Rgb([if (64..128).contains(&x) { 200 } else { 10 }; 3])
        });
        let (width, height) = (128, 128);
        let middle = fit(&wide, Size { width, height });
        assert!(middle.pixels().all(|pixel| pixel.0 == [200; 3]));
    }

    #[test]
    fn sizes_are_what_can_be_drawn() {
        for (came, size) in [
            ((64, 64), (64, 64)),
            ((1, 1), (64, 64)),
            ((4_000, 2_000), (1_024, 512)),
            ((100, 4_000), (64, 1_024)),
        ] {
            let own = own_size(came);
            assert_eq!((own.width, own.height), size, "{came:?}");
            let fitted = fit(&picture(came.0.min(256), came.1.min(256)), own);
            assert_eq!(fitted.dimensions(), size);
        }
        assert_eq!(
            fit(
                &picture(64, 80),
                Size {
                    width: 64,
                    height: 80
                }
            ),
            picture(64, 80)
        );
    }
}
