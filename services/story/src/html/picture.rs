//! A picture with what was wanted and what was found drawn over it.

use std::fmt::Write as _;

use atelier_proto::{Sha256, job::JobKind, plan::BBox, review::Review, trace::Trace};
use base64::{Engine, prelude::BASE64_STANDARD};

use super::{Pictures, text::Esc};
use crate::words::{line, plan_of};

/// Sides of a picture that are drawn over; what says to be larger is shown without boxes.
const SIDES: std::ops::RangeInclusive<u32> = 1..=65_535;
/// Most boxes of one kind over a picture.
const MOST_BOXES: usize = 64;

/// The picture, its boxes, and what they mean.
pub fn figure(out: &mut String, trace: &Trace, digest: Sha256, pictures: &Pictures) {
    let short: String = digest.to_string().chars().take(12).collect();
    let Some(file) = pictures.get(&digest) else {
        let _ = writeln!(
            out,
            "<p class=\"gap\">The picture <code>{short}</code> is not on this page: it is not stored any more, or there was no room.</p>"
        );
        return;
    };
    let drawn = trace.jobs.iter().find(|job| {
        job.kind == JobKind::Render && job.artifact.is_some_and(|made| made.sha256 == digest)
    });
    let round = drawn.map_or(u32::MAX, |job| job.round);
    let wanted: Vec<(String, BBox)> = plan_of(trace, round)
        .into_iter()
        .flat_map(|plan| &plan.elements)
        .filter_map(|element| Some((line(&element.id), element.bbox?)))
        .collect();
    let looked = trace
        .jobs
        .iter()
        .find(|job| job.inputs.first() == Some(&digest) && job.review.is_some());
    let found = looked
        .and_then(|job| job.review.as_ref())
        .map(found)
        .unwrap_or_default();
    let what = drawn.map_or("The picture".to_owned(), |job| {
        format!(
            "What stage {} drew",
            line(job.stage.as_deref().unwrap_or("?"))
        )
    });
    let boxes = size(file).filter(|_| !wanted.is_empty() || !found.is_empty());
    let _ = writeln!(out, "<figure>");
    let switch = format!("boxes-{short}");
    if boxes.is_some() {
        let _ = writeln!(
            out,
            "<input type=\"checkbox\" class=\"switch\" id=\"{switch}\" checked><label for=\"{switch}\">Boxes</label>"
        );
    }
    let _ = write!(
        out,
        "<div class=\"picture\"><img src=\"data:image/png;base64,{}\" alt=\"{}\">",
        BASE64_STANDARD.encode(file),
        Esc(&format!("{what}: {}", line(&trace.submitted.prompt)))
    );
    if let Some(size) = boxes {
        overlay(out, size, &wanted, &found);
    }
    let _ = writeln!(out, "</div>");
    if boxes.is_some() {
        let _ = writeln!(
            out,
            "<figcaption><span class=\"key wanted\"></span> wanted by the plan <span class=\"key found\"></span> found by the critique</figcaption>"
        );
    }
    let _ = writeln!(out, "</figure>");
}

/// Everything that was seen; where nothing says what was seen, the places of the answers.
fn found(review: &Review) -> Vec<(String, BBox)> {
    if review.seen.is_empty() {
        let places = review.verdicts.iter();
        return places
            .flat_map(|verdict| {
                verdict
                    .boxes
                    .iter()
                    .map(|place| (line(&verdict.check), *place))
            })
            .collect();
    }
    let seen = review.seen.iter().map(|seen| {
        let color = seen
            .color
            .as_deref()
            .map(|color| format!("{} ", line(color)));
        (
            format!("{}{}", color.unwrap_or_default(), line(&seen.name)),
            seen.bbox,
        )
    });
    seen.collect()
}

/// Width and height as the first chunk of a PNG says.
fn size(png: &[u8]) -> Option<(u32, u32)> {
    let side = |at: usize| Some(u32::from_be_bytes(png.get(at..at + 4)?.try_into().ok()?));
    let (width, height) = side(16).zip(side(20))?;
    (SIDES.contains(&width) && SIDES.contains(&height)).then_some((width, height))
}

fn overlay(
    out: &mut String,
    (width, height): (u32, u32),
    wanted: &[(String, BBox)],
    found: &[(String, BBox)],
) {
    let _ = write!(
        out,
        "<svg viewBox=\"0 0 {width} {height}\" aria-hidden=\"true\">"
    );
    let letters = f64::from(width.max(height)) / 26.0;
    for (class, boxes) in [("wanted", wanted), ("found", found)] {
        for (name, bbox) in boxes.iter().take(MOST_BOXES) {
            let [x0, y0, x1, y1] = bbox.0.map(|part| f64::from(part.clamp(0.0, 1.0)));
            let (x, y) = (x0 * f64::from(width), y0 * f64::from(height));
            let (w, h) = (
                (x1 - x0).max(0.0) * f64::from(width),
                (y1 - y0).max(0.0) * f64::from(height),
            );
            // The names of what was wanted stand at the top, those of what was found at the bottom.
            let line = if class == "wanted" {
                y + letters
            } else {
                y + h - letters * 0.35
            };
            let _ = write!(
                out,
                "<g class=\"{class}\"><rect class=\"under\" x=\"{x:.2}\" y=\"{y:.2}\" width=\"{w:.2}\" height=\"{h:.2}\"/>\
                 <rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{w:.2}\" height=\"{h:.2}\"/>\
                 <text x=\"{:.2}\" y=\"{line:.2}\" font-size=\"{letters:.2}\">{}</text></g>",
                x + letters * 0.3,
                Esc(name)
            );
        }
    }
    let _ = write!(out, "</svg>");
}
