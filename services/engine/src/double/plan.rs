//! The double's plans: the first words of the prompt side by side, one presence check each.

use std::collections::HashSet;

use atelier_proto::{
    plan::{BBox, Check, Element, Mask, Plan, Question, Stage, StageOp},
    report::{Coverage, Thought},
};

use super::{
    Directive,
    directive::{directives, without},
};
use crate::{PlanInput, PlanOutput};

/// Words that are no things.
const SMALL_WORDS: [&str; 14] = [
    "the", "and", "with", "from", "into", "over", "under", "near", "left", "right", "above",
    "below", "for", "its",
];

/// Most elements of a plan of the double.
const MOST_ELEMENTS: usize = 4;

pub(super) fn make(input: &PlanInput) -> PlanOutput {
    let (nouns, words) = nouns(&input.prompt);
    let number = |words: usize| u32::try_from(words).unwrap_or(u32::MAX);
    let coverage = Coverage {
        words: number(words),
        uncited: number(words.saturating_sub(MOST_ELEMENTS)),
    };
    let mut plan = Plan::direct(&input.prompt);
    plan.reasoning = "test double: the first words side by side".into();
    plan.elements = nouns
        .iter()
        .enumerate()
        .map(|(index, noun)| Element {
            id: noun.clone(),
            noun: noun.clone(),
            count: 1,
            attributes: Vec::new(),
            colors: Vec::new(),
            bbox: Some(column(index, nouns.len())),
            reference: input
                .reference_names
                .contains(noun)
                .then(|| format!("refs/{noun}")),
        })
        .collect();
    plan.checks = nouns
        .iter()
        .map(|noun| Check {
            id: format!("{noun}-is-there"),
            question: Question::Presence {
                element: noun.clone(),
            },
        })
        .collect();
    let wishes = directives(&input.prompt);
    if wishes.contains(&Directive::Blend) {
        plan.stages = blend_stages();
    }
    if wishes.contains(&Directive::Dark) {
        plan.lighting = "night".into();
        plan.checks.push(Check {
            id: "it-is-night".into(),
            question: Question::Light {
                expect: plan.lighting.clone(),
            },
        });
    }
    let thought = Thought {
        text: nouns.join(" "),
        tokens_sampled: number(nouns.len()),
        tokens_forced: 0,
        notes: input
            .findings
            .iter()
            .map(|finding| format!("told: {finding}"))
            .collect(),
        coverage: Some(coverage),
        ..Thought::default()
    };
    PlanOutput {
        plan,
        thought,
        kept: None,
    }
}

/// The first things of a prompt, and how many there are.
fn nouns(prompt: &str) -> (Vec<String>, usize) {
    let mut text = without(prompt);
    text.make_ascii_lowercase();
    // Words are rarely shorter than that.
    let mut known = HashSet::with_capacity(text.len() / 4);
    let mut first: Vec<String> = Vec::new();
    for word in text.split(|c: char| !c.is_ascii_lowercase()) {
        let thing = (3..=24).contains(&word.len()) && !SMALL_WORDS.contains(&word);
        if thing && known.insert(word) && first.len() < MOST_ELEMENTS {
            first.push(word.to_owned());
        }
    }
    if first.is_empty() {
        return (vec!["thing".into()], 1);
    }
    (first, known.len())
}

fn column(index: usize, of: usize) -> BBox {
    let width = 1.0 / of as f32;
    let left = index as f32 * width;
    BBox([left + 0.1 * width, 0.2, left + 0.9 * width, 0.8])
}

fn blend_stages() -> Vec<Stage> {
    let drawn = |id: &str| Stage {
        id: id.into(),
        op: StageOp::Generate {
            caption: String::new(),
        },
    };
    let blend = StageOp::Blend {
        inputs: vec!["one".into(), "two".into()],
        mask: Mask::Linear {
            angle: 0.0,
            from: 0.35,
            to: 0.65,
        },
    };
    let out = Stage {
        id: "out".into(),
        op: blend,
    };
    vec![drawn("one"), drawn("two"), out]
}
