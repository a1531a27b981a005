//! The double's pictures: a seeded gradient with a box for every element in the colour of its noun; edits, blends and repairs of such pictures.

use std::hash::{DefaultHasher, Hash, Hasher};

use atelier_proto::{
    job::Size,
    plan::{BBox, StageOp},
    report::UsedReference,
};
use image::{Rgb, RgbImage, imageops};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Directive, directive};
use crate::{EngineError, RenderInput};

/// Size of a picture whose job names none.
const DEFAULT_SIZE: Size = Size {
    width: 64,
    height: 64,
};

/// What the first pixel of a picture at night is.
const NIGHT: Rgb<u8> = Rgb([0, 0, 1]);

/// Longer edge of a preview in pixels.
const PREVIEW: u32 = 32;

pub(super) fn draw(input: &RenderInput) -> Result<RgbImage, EngineError> {
    let stage = input
        .plan
        .stage(&input.stage)
        .ok_or_else(|| EngineError::Impossible(format!("no stage {:?}", input.stage)))?;
    let Size { width, height } = input.size.unwrap_or(DEFAULT_SIZE);
    let fresh = || scene(input, width, height);
    let read = |index: usize| {
        input.inputs.get(index).ok_or_else(|| {
            EngineError::Impossible(format!("stage {:?} lacks an input", input.stage))
        })
    };
    Ok(match &stage.op {
        StageOp::Generate { .. } => fresh(),
        StageOp::Edit { strength, .. } => {
            let from = read(0)?;
            let to = scene(input, from.width(), from.height());
            let mut edited = mix(from, &to, |_, _| *strength);
            if wishes(input).contains(&Directive::Dark)
                && let Some(corner) = edited.get_pixel_mut_checked(0, 0)
            {
                *corner = NIGHT;
            }
            edited
        }
        StageOp::Blend { mask, .. } => {
            let (one, two) = (read(0)?, read(1)?);
            if one.dimensions() != two.dimensions() {
                return Err(EngineError::Impossible("inputs of different size".into()));
            }
            mix(one, two, mask.shares())
        }
        StageOp::Repair { bbox, .. } => {
            let from = read(0)?;
            let new = scene(input, from.width(), from.height());
            if let Some(mask) = input.mask() {
                return Ok(RgbImage::from_fn(from.width(), from.height(), |x, y| {
                    let share = f32::from(mask.get_pixel(x, y).0[0]) / 255.0;
                    blend_pixel(*from.get_pixel(x, y), *new.get_pixel(x, y), share)
                }));
            }
            let (columns, rows) = bbox.pixels(from.width(), from.height());
            RgbImage::from_fn(from.width(), from.height(), |x, y| {
                let inside = columns.contains(&x) && rows.contains(&y);
                let source = if inside { &new } else { from };
                *source.get_pixel(x, y)
            })
        }
    })
}

/// Whether an edit made it night.
pub(super) fn is_dark(image: &RgbImage) -> bool {
    image.get_pixel_checked(0, 0) == Some(&NIGHT)
}

fn wishes(input: &RenderInput) -> Vec<Directive> {
    directive::directives(&input.plan.caption)
}

/// How the picture looks after `done` of `steps`: from grey to itself.
pub(super) fn preview(image: &RgbImage, done: u32, steps: u32) -> RgbImage {
    let small = imageops::thumbnail(image, PREVIEW, PREVIEW);
    let grey = RgbImage::from_pixel(small.width(), small.height(), Rgb([128; 3]));
    let share = done as f32 / steps as f32;
    mix(&grey, &small, |_, _| share)
}

pub(super) fn used_references(input: &RenderInput) -> Vec<UsedReference> {
    let mut used = Vec::new();
    for element in &input.plan.elements {
        let Some(name) = element
            .reference
            .as_deref()
            .and_then(|reference| reference.strip_prefix("refs/"))
        else {
            continue;
        };
        let sent = input
            .references
            .iter()
            .find(|reference| reference.name == name);
        used.extend(sent.map(|reference| UsedReference {
            element: element.id.clone(),
            reference: format!("refs/{name}"),
            sha256: reference.sha256,
        }));
    }
    used
}

fn scene(input: &RenderInput, width: u32, height: u32) -> RgbImage {
    let mut rng = ChaCha8Rng::seed_from_u64(input.seed);
    if let Some(bytes) = directive::bytes(&input.plan.caption) {
        let side = (f64::from(bytes) / 3.0).sqrt().ceil().max(1.0) as u32;
        let mut noise = RgbImage::new(side, side);
        rng.fill(noise.as_flat_samples_mut().samples);
        return noise;
    }
    let mut color = || Rgb([rng.random::<u8>(), rng.random(), rng.random()]);
    let (from, to) = (color(), color());
    let mut image = RgbImage::from_fn(width, height, |_, y| {
        let share = y as f32 / height.max(1) as f32;
        blend_pixel(from, to, share)
    });
    for (index, element) in input.plan.elements.iter().enumerate() {
        if let Some(bbox) = element.bbox
            && !lacks(input, index)
        {
            fill(&mut image, bbox, color_of(&element.noun));
        }
    }
    image
}

/// Whether the prompt wants the thing at this place left out; a repair paints it all the same.
fn lacks(input: &RenderInput, index: usize) -> bool {
    let repairs = input
        .plan
        .stage(&input.stage)
        .is_some_and(|stage| matches!(stage.op, StageOp::Repair { .. }));
    let lacking =
        |wish: &Directive| matches!(wish, Directive::Lacks(nth) if usize::from(*nth) == index + 1);
    !repairs && wishes(input).iter().any(lacking)
}

/// The colour of a thing, the same in every picture.
pub(super) fn color_of(noun: &str) -> Rgb<u8> {
    let mut hasher = DefaultHasher::new();
    noun.hash(&mut hasher);
    let [red, green, blue, ..] = hasher.finish().to_le_bytes();
    Rgb([red, green, blue])
}

fn fill(image: &mut RgbImage, bbox: BBox, color: Rgb<u8>) {
    let (width, height) = (image.width() as f32, image.height() as f32);
    let [x0, y0, x1, y1] = bbox.0;
    let columns = (x0 * width) as u32..((x1 * width) as u32).min(image.width());
    for y in (y0 * height) as u32..((y1 * height) as u32).min(image.height()) {
        for x in columns.clone() {
            image.put_pixel(x, y, color);
        }
    }
}

/// `one` where `share` is 0, `two` where it is 1; `share` sees the pixel's centre in 0..1.
fn mix(one: &RgbImage, two: &RgbImage, share: impl Fn(f32, f32) -> f32) -> RgbImage {
    let (width, height) = one.dimensions();
    RgbImage::from_fn(width, height, |x, y| {
        let share = share(
            (x as f32 + 0.5) / width as f32,
            (y as f32 + 0.5) / height as f32,
        );
        blend_pixel(*one.get_pixel(x, y), *two.get_pixel(x, y), share)
    })
}

fn blend_pixel(one: Rgb<u8>, two: Rgb<u8>, share: f32) -> Rgb<u8> {
    let channel = |index: usize| {
        let (a, b) = (f32::from(one.0[index]), f32::from(two.0[index]));
        (a + (b - a) * share + 0.5) as u8
    };
    match share {
        0.0 => one,
        1.0 => two,
        _ => Rgb([channel(0), channel(1), channel(2)]),
    }
}
