//! The double's answers: every check passes unless the prompt says otherwise.

use std::hash::{DefaultHasher, Hash, Hasher};

use atelier_proto::{
    plan::{Question, StageOp},
    review::{Answer, Review, Sighting, Verdict},
};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Directive, directive, directives};
use crate::CritiqueInput;

pub(super) fn review(input: &CritiqueInput) -> Review {
    let wishes = directives(&input.plan.caption);
    let repaired = || {
        let is_repair = |op: &StageOp| matches!(op, StageOp::Repair { .. });
        input.plan.stages.iter().any(|stage| is_repair(&stage.op))
    };
    let passes = |check: &str| {
        wishes.iter().all(|wish| match wish {
            Directive::Hopeless => false,
            Directive::Misses => coin(input, check),
            Directive::Mends => repaired(),
            _ => true,
        })
    };
    let verdicts = input.plan.checks.iter().map(|check| {
        let pass = passes(&check.id);
        Verdict {
            check: check.id.clone(),
            answer: if pass { Answer::Pass } else { Answer::Fail },
            confidence: 0.9,
            found: if pass { "as wanted" } else { "not as wanted" }.into(),
            boxes: Vec::new(),
        }
    });
    let seen = input.plan.elements.iter().filter_map(|element| {
        let missing = input.plan.checks.iter().any(|check| {
            matches!(&check.question, Question::Presence { element: id } if *id == element.id)
                && !passes(&check.id)
        });
        (!missing).then_some(())?;
        Some(Sighting {
            name: element.noun.clone(),
            color: element.colors.first().cloned(),
            confidence: 0.9,
            bbox: element.bbox?,
            element: None,
        })
    });
    let mut verdicts: Vec<Verdict> = verdicts.collect();
    if let Some(first) = verdicts.first_mut() {
        first.found.push_str(&padding(input));
    }
    Review {
        verdicts,
        seen: seen.collect(),
        fixes: Vec::new(),
        findings: Vec::new(),
        contradictory: Vec::new(),
    }
}

/// As many random digits of base 64 as the prompt wants bytes; the same for one picture.
fn padding(input: &CritiqueInput) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes = directive::bytes(&input.plan.caption).unwrap_or(0);
    let mut hasher = DefaultHasher::new();
    input.image.as_raw().hash(&mut hasher);
    let mut rng = ChaCha8Rng::seed_from_u64(hasher.finish());
    (0..bytes)
        .map(|_| char::from(DIGITS[rng.random_range(0..DIGITS.len())]))
        .collect()
}

/// Heads or tails, always the same for one picture and check.
fn coin(input: &CritiqueInput, check: &str) -> bool {
    let mut hasher = DefaultHasher::new();
    (input.image.as_raw(), check).hash(&mut hasher);
    hasher.finish().is_multiple_of(2)
}
