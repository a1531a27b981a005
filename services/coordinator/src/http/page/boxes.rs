//! The picture with what was wanted where and what was found, drawn over it.

use atelier_proto::{
    http::{RequestState, RequestView},
    plan::{BBox, Plan},
    review::{Review, Sighting},
    trace::Trace,
};
use maud::{Markup, html};

/// Width of the drawing's own units.
const WIDE: f32 = 1_000.0;
/// Colours that the style has for elements.
pub const COLOURS: usize = 8;
/// Most boxes of one kind over a picture.
const MOST_BOXES: usize = 64;

/// One box with its name.
struct Named<'a> {
    name: &'a str,
    bbox: BBox,
    class: String,
}

/// The picture, or the empty sheet it will be drawn on, with its boxes.
pub fn figure(view: &RequestView, trace: &Trace, review: Option<&Review>) -> Markup {
    let size = trace.submitted.size;
    let tall = size.map_or(WIDE, |size| {
        WIDE * size.height as f32 / size.width.max(1) as f32
    });
    let wanted = trace.plan.as_ref().map(wanted).unwrap_or_default();
    let found = review.map(|review| found(review, trace.plan.as_ref()));
    let found = found.unwrap_or_default();
    // What is there already is not drawn over until somebody asks for it.
    let is_over = view.state.is_terminal() && view.image.is_some();
    let view_box = format!("0 0 {WIDE} {tall}");
    let address = format!("/v1/requests/{}/image", view.id);
    let keep = view.image.map(|image| format!("picture-{}", image.sha256));
    html! {
        figure.easel {
            div.canvas {
                svg.sizer viewBox=(view_box) aria-hidden="true" {}
                @if view.image.is_some() {
                    img.picture src=(address) alt=(alt(view)) data-keep=[keep];
                } @else {
                    span class=(if view.state == RequestState::Active { "blank busy" } else { "blank" }) {}
                }
                img #preview .picture hidden alt="";
                (layer("wanted", &view_box, tall, &wanted))
                (layer("found", &view_box, tall, &found))
            }
            figcaption {
                @if !wanted.is_empty() { (switch("wanted", "Planned boxes", !is_over)) }
                @if !found.is_empty() { (switch("found", "Found boxes", false)) }
                @if wanted.is_empty() && found.is_empty() && view.state == RequestState::Active {
                    span.hint { "Boxes appear with the plan." }
                }
            }
        }
    }
}

fn alt(view: &RequestView) -> String {
    let best = if view.state == RequestState::Active {
        "The best picture so far of: "
    } else {
        "The picture of: "
    };
    format!("{best}{}", view.prompt)
}

fn switch(name: &str, words: &str, on: bool) -> Markup {
    html! {
        label.switch {
            input #(format!("show-{name}")) type="checkbox" data-shows=(name) checked[on];
            span class=(format!("swatch {name}")) aria-hidden="true" {}
            (words)
        }
    }
}

/// Everything that an element stands for, in the plan's order.
fn wanted(plan: &Plan) -> Vec<Named<'_>> {
    let elements = plan.elements.iter().enumerate();
    elements
        .filter_map(|(index, element)| {
            Some(Named {
                name: &element.noun,
                bbox: element.bbox?,
                class: format!("c{}", index % COLOURS),
            })
        })
        .collect()
}

/// What was seen, in the colour of the element that it was matched with, else of one with its name.
fn found<'a>(review: &'a Review, plan: Option<&Plan>) -> Vec<Named<'a>> {
    let elements = plan
        .map(|plan| plan.elements.as_slice())
        .unwrap_or_default();
    let colour = |sighting: &Sighting| {
        let id = sighting.element.as_ref();
        let by_id = elements.iter().position(|element| Some(&element.id) == id);
        by_id.or_else(|| {
            elements
                .iter()
                .position(|element| element.noun == sighting.name)
        })
    };
    let seen = review.seen.iter();
    seen.map(|sighting| Named {
        name: &sighting.name,
        bbox: sighting.bbox,
        class: colour(sighting)
            .map_or_else(|| "other".into(), |index| format!("c{}", index % COLOURS)),
    })
    .collect()
}

fn layer(name: &str, view_box: &str, tall: f32, boxes: &[Named<'_>]) -> Markup {
    html! {
        @if !boxes.is_empty() {
            svg class=(format!("boxes {name}")) viewBox=(view_box) aria-hidden="true" {
                @for Named { name, bbox, class } in boxes.iter().take(MOST_BOXES) {
                    @let [x0, y0, x1, y1] = bbox.0.map(|side| side.clamp(0.0, 1.0));
                    g class=(class) {
                        rect x=(x0 * WIDE) y=(y0 * tall) width=((x1 - x0).max(0.0) * WIDE) height=((y1 - y0).max(0.0) * tall) rx="8" {}
                        text x=(x0 * WIDE + 14.0) y=(y0 * tall + 44.0) { (name) }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_picture_is_hidden_under_its_boxes() {
        let one = |_| Named {
            name: "cat",
            bbox: BBox([0.0, 0.0, 1.0, 1.0]),
            class: "c0".to_owned(),
        };
        let many: Vec<Named<'_>> = (0..2 * MOST_BOXES).map(one).collect();
        let drawn = layer("found", "0 0 1000 1000", WIDE, &many).0;
        assert_eq!(drawn.matches("<rect").count(), MOST_BOXES);
    }
}
