//! The double's answers: what is asked for passes when its colour is in the picture, unless the prompt says otherwise.

use std::hash::{DefaultHasher, Hash, Hasher};

use atelier_proto::{
    plan::{Element, Question},
    review::{Answer, Review, Sighting, Verdict},
};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Directive, directive, directives, picture};
use crate::{CritiqueInput, planning::mend};

pub(super) fn review(input: &CritiqueInput) -> Review {
    let wishes = directives(&input.plan.caption);
    let allowed = |check: &str| {
        wishes.iter().all(|wish| match wish {
            Directive::Hopeless => false,
            Directive::Misses => coin(input, check),
            _ => true,
        })
    };
    let verdicts = input.plan.checks.iter().map(|check| {
        let element = match &check.question {
            Question::Presence { element } => input.plan.element(element),
            _ => None,
        };
        let dark = picture::is_dark(&input.image);
        let lit = !matches!(check.question, Question::Light { .. }) || dark;
        let there = element.is_none_or(|element| shows(input, element));
        let pass = allowed(&check.id) && there && lit;
        Verdict {
            check: check.id.clone(),
            answer: if pass { Answer::Pass } else { Answer::Fail },
            confidence: 0.9,
            found: if pass { "as wanted" } else { "not as wanted" }.into(),
            boxes: Vec::new(),
        }
    });
    let seen = input.plan.elements.iter().filter_map(|element| {
        let asked = input.plan.checks.iter().filter(|check| {
            matches!(&check.question, Question::Presence { element: id } if *id == element.id)
        });
        let there = shows(input, element) && asked.map(|check| &check.id).all(|id| allowed(id));
        there.then_some(())?;
        Some(Sighting {
            name: element.noun.clone(),
            color: element.colors.first().cloned(),
            confidence: 0.9,
            bbox: element.bbox?,
            element: Some(element.id.clone()),
        })
    });
    let mut verdicts: Vec<Verdict> = verdicts.collect();
    if let Some(first) = verdicts.first_mut() {
        first.found.push_str(&padding(input));
    }
    let mut review = Review {
        verdicts,
        seen: seen.collect(),
        ..Review::default()
    };
    mend::advise(&input.plan, &mut review);
    review
}

/// Whether the middle of the thing's box has its colour; a thing without a box is taken to be there, and so is everything in mere noise.
fn shows(input: &CritiqueInput, element: &Element) -> bool {
    let Some(bbox) = element.bbox else {
        return true;
    };
    let (x, y) = bbox.center();
    let (width, height) = input.image.dimensions();
    let at = |share: f32, side: u32| ((share * side as f32) as u32).min(side.saturating_sub(1));
    let pixel = input.image.get_pixel_checked(at(x, width), at(y, height));
    let noise = directive::bytes(&input.plan.caption).is_some();
    noise || pixel == Some(&picture::color_of(&element.noun))
}

/// As many random digits of base 64 as the prompt wants bytes; the same for one picture.
fn padding(input: &CritiqueInput) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes = directive::bytes(&input.plan.caption).unwrap_or(0);
    let mut hasher = DefaultHasher::new();
    input.image.as_raw().hash(&mut hasher);
    let mut rng = ChaCha8Rng::seed_from_u64(hasher.finish());
    let mut digits = vec![0; bytes as usize];
    rng.fill(&mut digits[..]);
    let digits = digits
        .into_iter()
        .map(|byte: u8| DIGITS[usize::from(byte) % DIGITS.len()]);
    String::from_utf8(digits.collect()).unwrap_or_default()
}

/// Heads or tails, always the same for one picture and check.
fn coin(input: &CritiqueInput, check: &str) -> bool {
    let mut hasher = DefaultHasher::new();
    (input.image.as_raw(), check).hash(&mut hasher);
    hasher.finish().is_multiple_of(2)
}
