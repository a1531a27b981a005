//! Which found thing is which element: by name first, by place where names are equal.

use atelier_proto::plan::Plan;

use super::{FOUND, NOT_SO};
use crate::critic::detector::{Detection, Line};

/// Overlap from which a thing stands in an element's place.
const IN_PLACE: f32 = 0.4;

/// What was found for an element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// Index of the found thing.
    pub thing: Option<usize>,
    /// Probability that it is the element's, 0..1.
    pub likely: f32,
}

/// Gives every element at most one found thing and every thing to at most one element, the best pairs first; none that are said not to be so.
pub fn assign(
    plan: &Plan,
    names: &[Option<String>],
    things: &[Detection],
    sure: &Line,
) -> Vec<Match> {
    let mut pairs: Vec<(f32, f32, usize, usize)> = Vec::new();
    for (element, name) in names.iter().enumerate() {
        let Some(name) = name else { continue };
        for (index, thing) in things.iter().enumerate() {
            let likely = sure.likely(thing.evidence(name));
            if likely <= NOT_SO {
                continue;
            }
            // Two cats are told apart by their places; a place alone never makes a cat.
            let close = plan.elements[element].bbox.map_or(0.0, |wanted| {
                let ((ax, ay), (bx, by)) = (wanted.center(), thing.place().center());
                1.0 - (ax - bx).hypot(ay - by).min(1.0)
            });
            pairs.push((likely + close, likely, element, index));
        }
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut matches = vec![
        Match {
            thing: None,
            likely: 0.0
        };
        names.len()
    ];
    let mut taken = vec![false; things.len()];
    for (_, likely, element, thing) in pairs {
        if matches[element].thing.is_none() && !taken[thing] {
            matches[element] = Match {
                thing: Some(thing),
                likely,
            };
            taken[thing] = true;
        }
    }
    by_place(plan, names, things, &mut matches, &mut taken);
    matches
}

/// Elements that the detector has no name for take what stands in their place, without any evidence that it is theirs.
fn by_place(
    plan: &Plan,
    names: &[Option<String>],
    things: &[Detection],
    matches: &mut [Match],
    taken: &mut [bool],
) {
    for (element, found) in matches.iter_mut().enumerate() {
        let (None, Some(wanted)) = (&names[element], plan.elements[element].bbox) else {
            continue;
        };
        let best = (0..things.len())
            .filter(|index| !taken[*index] && things[*index].score >= FOUND)
            .map(|index| (index, things[index].place().iou(&wanted)))
            .filter(|(_, overlap)| *overlap >= IN_PLACE)
            .max_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((index, _)) = best {
            found.thing = Some(index);
            taken[index] = true;
        }
    }
}

/// Indices of the things that no element has.
pub fn free(matches: &[Match], things: usize) -> impl Iterator<Item = usize> {
    let taken: Vec<usize> = matches.iter().filter_map(|found| found.thing).collect();
    (0..things).filter(move |index| !taken.contains(index))
}
