//! What of its inputs a picture has to leave as it was: a repair everything outside its box, a blend everything outside its seam. Whatever the
//! engine is, it is held to it on the pixels of what it made.

use atelier_proto::{
    Sha256,
    job::Work,
    plan::{BBox, Mask, StageOp, sent_picture},
    report::Kept,
};
use image::{GrayImage, RgbImage};

use super::StageError;
use crate::device::Task;

/// The inputs of a picture, and where it may differ from them.
#[derive(Debug)]
pub struct Promise {
    part: Part,
    inputs: Vec<RgbImage>,
    names: Vec<Sha256>,
}

#[derive(Debug)]
enum Part {
    Box(BBox),
    /// Only what is not black in it, within the box.
    Holes(BBox, GrayImage),
    Mask(Mask),
}

/// A promise that was kept, on so many pixels.
#[derive(Debug)]
pub struct Held {
    bbox: Option<BBox>,
    pixels: u64,
    names: Vec<Sha256>,
}

impl Promise {
    /// What a task has to keep; none where it draws something new.
    pub fn of(work: &Work, task: &Task) -> Option<Self> {
        let (Work::Render(work), Task::Render(input)) = (work, task) else {
            return None;
        };
        let op = &input.plan.stage(&input.stage)?.op;
        let part = match op {
            StageOp::Repair { bbox, .. } => match input.mask() {
                Some(holes) => Part::Holes(*bbox, holes),
                None => Part::Box(*bbox),
            },
            StageOp::Blend { mask, .. } => Part::Mask(*mask),
            StageOp::Generate { .. } | StageOp::Edit { .. } => return None,
        };
        let mut drawn = work.inputs.iter();
        let names = op.reads().into_iter().filter_map(|read| {
            let Some(name) = sent_picture(read) else {
                return drawn.next().map(|input| input.sha256);
            };
            let sent = work.references.iter().find(|sent| sent.name == name)?;
            Some(sent.picture.sha256)
        });
        Some(Self {
            part,
            inputs: input.inputs.clone(),
            names: names.collect(),
        })
    }

    /// Compares; a picture that changed what had to stay is none.
    pub(super) fn held(self, made: &RgbImage) -> Result<Held, StageError> {
        let size = made.dimensions();
        if self.inputs.iter().any(|input| input.dimensions() != size) {
            return Err(StageError::Output(
                "it has another size than its inputs".into(),
            ));
        }
        let (pixels, difference) = self.part.compare(made, &self.inputs);
        if difference > 0 {
            let reason = format!("one of {pixels} pixels that had to stay differs by {difference}");
            return Err(StageError::Output(reason));
        }
        let bbox = match self.part {
            Part::Box(bbox) | Part::Holes(bbox, _) => Some(bbox),
            Part::Mask(_) => None,
        };
        Ok(Held {
            bbox,
            pixels,
            names: self.names,
        })
    }
}

impl Part {
    /// How many pixels had to stay, and the largest difference of a channel among them.
    fn compare(&self, made: &RgbImage, inputs: &[RgbImage]) -> (u64, u8) {
        let size = made.dimensions();
        match self {
            Self::Box(bbox) => {
                let (columns, rows) = bbox.pixels(size.0, size.1);
                compare(made, inputs, |x, y| {
                    let inside = columns.contains(&x) && rows.contains(&y);
                    (!inside).then_some(0)
                })
            }
            Self::Holes(_, holes) => compare(made, inputs, |x, y| {
                let hole = holes.get_pixel_checked(x, y);
                hole.is_none_or(|hole| hole.0[0] == 0).then_some(0)
            }),
            Self::Mask(mask) => {
                let shares = mask.shares_of_pixels(size);
                compare(made, inputs, |x, y| match shares(x, y) {
                    0.0 => Some(0),
                    1.0 => Some(1),
                    _ => None,
                })
            }
        }
    }
}

/// The same for what `stays` says of each pixel: the input that it is taken from as it is.
fn compare(
    made: &RgbImage,
    inputs: &[RgbImage],
    stays: impl Fn(u32, u32) -> Option<usize>,
) -> (u64, u8) {
    let (mut pixels, mut difference) = (0, 0);
    for (x, y, pixel) in made.enumerate_pixels() {
        let Some(input) = stays(x, y).and_then(|input| inputs.get(input)) else {
            continue;
        };
        pixels += 1;
        let before = input.get_pixel(x, y);
        if pixel != before {
            let channels = pixel.0.iter().zip(before.0);
            let largest = channels.map(|(new, old)| new.abs_diff(old)).max();
            difference = difference.max(largest.unwrap_or(0));
        }
    }
    (pixels, difference)
}

impl Held {
    /// What is reported, once the picture has a name.
    pub(super) fn kept(self, output: Sha256) -> Kept {
        Kept {
            bbox: self.bbox,
            pixels: self.pixels,
            difference: 0,
            inputs: self.names,
            output,
        }
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    fn promise(part: Part) -> Promise {
        let picture = |shade| RgbImage::from_pixel(20, 10, Rgb([shade; 3]));
        Promise {
            part,
            inputs: vec![picture(10), picture(200)],
            names: Vec::new(),
        }
    }

    #[test]
    fn one_pixel_outside_of_the_box_is_noticed() {
        let bbox = BBox([0.25, 0.25, 0.5, 0.5]);
        let mut made = RgbImage::from_pixel(20, 10, Rgb([10; 3]));
        made.put_pixel(5, 2, Rgb([99; 3]));
        made.put_pixel(9, 4, Rgb([99; 3]));
        let held = promise(Part::Box(bbox)).held(&made).unwrap();
        assert_eq!(held.pixels, 200 - 5 * 3);
        made.put_pixel(10, 4, Rgb([10, 10, 11]));
        let error = promise(Part::Box(bbox)).held(&made).unwrap_err();
        assert!(error.to_string().contains("differs by 1"), "{error}");
        let other = RgbImage::new(10, 10);
        assert!(promise(Part::Box(bbox)).held(&other).is_err());
    }

    #[test]
    fn a_blend_is_held_to_both_sides_of_its_seam() {
        let mask = Mask::Linear {
            angle: 0.0,
            from: 0.25,
            to: 0.75,
        };
        let shade = |x: u32| match x {
            0..5 => 10,
            5..15 => 77,
            _ => 200,
        };
        let mut made = RgbImage::from_fn(20, 10, |x, _| Rgb([shade(x); 3]));
        let held = promise(Part::Mask(mask)).held(&made).unwrap();
        assert_eq!(held.pixels, 100);
        made.put_pixel(15, 0, Rgb([200, 201, 200]));
        assert!(promise(Part::Mask(mask)).held(&made).is_err());
    }
}
