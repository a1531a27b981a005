//! From what a model named to a plan: layout, references, stages and checks, in pure code.
//!
//! A small model names things well and places them badly, so that it writes a [`Draft`] and everything else follows from it here:
//! `elements` splits counts and finds pictures, [`layout`] finds the boxes, `stages` the stages, `checks` what the critique asks.

mod caption;
mod checks;
pub mod coverage;
pub mod draft;
mod elements;
pub mod layout;
mod place;
mod stages;

use atelier_proto::plan::{PLAN_VERSION, Plan};

pub use draft::{Draft, DraftElement};
pub use elements::PREDICATES;
pub use place::{PLACES, Place};

/// What a planner must know beside the prompt.
pub struct Studio<'a> {
    /// Names of the pictures that the user sent.
    pub reference_names: &'a [String],
    /// The library's thing that a noun means, by its name; none when it has no such thing.
    pub prop_of: &'a dyn Fn(&str) -> Option<String>,
    /// The library's thing that a noun is a kind of, asked only when no words match; none when nothing can stand for it.
    pub stand_in: &'a dyn Fn(&str) -> Option<String>,
}

/// Makes the plan of a draft. The plan is valid whatever the draft says; what had to be left out is said in the notes.
pub fn make_plan(
    prompt: &str,
    draft: &Draft,
    studio: &Studio<'_>,
    seed: u64,
) -> (Plan, Vec<String>) {
    let mut notes = Vec::new();
    let cast = elements::cast(draft, studio, &mut notes);
    let boxes = layout::solve(&cast.wishes, seed);
    let background = caption::background(draft);
    let lighting = caption::lighting(draft);
    let mut elements = cast.elements;
    for (element, bbox) in elements.iter_mut().zip(&boxes) {
        element.bbox = Some(*bbox);
    }
    let mut plan = Plan {
        version: PLAN_VERSION,
        reasoning: String::new(),
        caption: caption::caption(&cast.groups, &background, &lighting),
        style: String::new(),
        lighting,
        background,
        elements,
        relations: cast.relations,
        stages: Vec::new(),
        checks: Vec::new(),
    };
    plan.stages = stages::stages(prompt, &plan);
    plan.checks = checks::checks(&plan, &cast.groups);
    plan.reasoning = caption::reasoning(&plan, &cast.groups);
    let missing = coverage::uncited(prompt, &plan);
    if !missing.is_empty() {
        notes.push(format!("not in the plan: {}", missing.join(", ")));
    }
    debug_assert_eq!(plan.validate(), Ok(()));
    (plan, notes)
}

#[cfg(test)]
mod tests;
