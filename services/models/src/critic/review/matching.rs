//! Which found thing is which element: by name first, by place where names are equal.

use atelier_proto::plan::Plan;

use super::MAYBE;
use crate::critic::detector::Detection;

/// What was found for an element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// Index of the found thing.
    pub thing: Option<usize>,
    /// Thing there x name right, 0..1.
    pub evidence: f32,
}

/// Gives every element at most one found thing and every thing to at most one element, the best pairs first.
pub fn assign(plan: &Plan, names: &[Option<String>], things: &[Detection]) -> Vec<Match> {
    let mut pairs: Vec<(f32, f32, usize, usize)> = Vec::new();
    for (element, name) in names.iter().enumerate() {
        let Some(name) = name else { continue };
        for (index, thing) in things.iter().enumerate() {
            let evidence = thing.score * thing.likelihood(name);
            if evidence < MAYBE {
                continue;
            }
            // Two cats are told apart by their places; a place alone never makes a cat.
            let close = plan.elements[element].bbox.map_or(0.0, |wanted| {
                let ((ax, ay), (bx, by)) = (wanted.center(), thing.place().center());
                1.0 - (ax - bx).hypot(ay - by).min(1.0)
            });
            pairs.push((evidence + close, evidence, element, index));
        }
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut matches = vec![
        Match {
            thing: None,
            evidence: 0.0
        };
        names.len()
    ];
    let mut taken = vec![false; things.len()];
    for (_, evidence, element, thing) in pairs {
        if matches[element].thing.is_none() && !taken[thing] {
            matches[element] = Match {
                thing: Some(thing),
                evidence,
            };
            taken[thing] = true;
        }
    }
    matches
}

/// Indices of the things that no element has.
pub fn free(matches: &[Match], things: usize) -> impl Iterator<Item = usize> {
    let taken: Vec<usize> = matches.iter().filter_map(|found| found.thing).collect();
    (0..things).filter(move |index| !taken.contains(index))
}
