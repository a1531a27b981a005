//! A thing that shows something of its own: what it shows goes into its box.

use atelier_proto::plan::{BBox, Element};

use super::{elements::Cast, evidence::Witness, stages::Scenes};

/// What of a frame's side is left around what it shows.
const RIM: f32 = 0.2;

/// Elements of a picture in a picture.
pub struct Inner {
    frame: usize,
    /// What is shown, as far as the draft names it.
    shown: Vec<usize>,
}

/// Finds the frame among the cast and makes it large. What it shows asks nothing of the layout beside it any more.
pub fn find(scenes: &Scenes, witness: &Witness<'_>, cast: &mut Cast) -> Option<Inner> {
    let Scenes::Nested { frame, inner } = scenes else {
        return None;
    };
    let mut taken = Vec::new();
    let mut found: Vec<std::ops::Range<usize>> = Vec::with_capacity(cast.groups.len());
    for group in &cast.groups {
        let words = witness.find(&group.noun, &taken);
        taken.extend(words.clone());
        found.push(words.map_or(0..0, |words| witness.span(words)));
    }
    let within = |outer: &std::ops::Range<usize>, span: &std::ops::Range<usize>| {
        !span.is_empty() && outer.start <= span.start && span.end <= outer.end
    };
    let holds_frame =
        |span: &std::ops::Range<usize>| span.start <= frame.start && frame.end <= span.end;
    let group = found.iter().position(holds_frame)?;
    let frame = cast.groups[group].instances.start;
    let shown: Vec<usize> = (0..cast.groups.len())
        .filter(|other| *other != group && within(inner, &found[*other]))
        .flat_map(|other| cast.groups[other].instances.clone())
        .collect();
    if cast.elements.len() - shown.len() <= 4 {
        cast.wishes[frame].large = Some(true);
    }
    for wish in &mut cast.wishes {
        wish.relations.retain(|(_, other)| !shown.contains(other));
    }
    for thing in &shown {
        cast.wishes[*thing].relations.clear();
        cast.wishes[*thing].shown = true;
    }
    let kept: Vec<&str> = cast
        .elements
        .iter()
        .enumerate()
        .filter(|(thing, _)| !shown.contains(thing))
        .map(|(_, element)| element.id.as_str())
        .collect();
    cast.relations.retain(|relation| {
        kept.contains(&relation.subject.as_str()) && kept.contains(&relation.object.as_str())
    });
    Some(Inner { frame, shown })
}

impl Inner {
    /// Puts what is shown into the frame, side by side; the box that it is painted into.
    pub fn place(&self, elements: &mut [Element]) -> BBox {
        let BBox([x0, y0, x1, y1]) = elements[self.frame]
            .bbox
            .unwrap_or(BBox([0.25, 0.25, 0.75, 0.75]));
        let rim = RIM * (x1 - x0).min(y1 - y0);
        let (left, top, right, bottom) = (x0 + rim, y0 + rim, x1 - rim, y1 - rim);
        let width = (right - left) / self.shown.len().max(1) as f32;
        for (number, thing) in self.shown.iter().enumerate() {
            let from = left + number as f32 * width;
            elements[*thing].bbox = Some(BBox([from, top, from + width, bottom]));
        }
        BBox([left, top, right, bottom])
    }
}
