//! From what a model named to a plan: layout, references, stages and checks, in pure code.
//!
//! A small model names things well and places them badly, so that it writes a [`Draft`] and everything else follows from it here:
//! `colors` finds those behind their nouns, `counts` the numbers in front of them, `relations` those that it missed, `scenery` takes places for what is behind, `elements` splits counts and finds pictures, [`layout`] finds the boxes, `stages` the stages, `checks` what the critique asks, `evidence` the
//! words that each part comes from, `coverage` the words that nothing comes from, `demands` the numbers, sides, sizes and relations that nothing keeps.
//! [`mend`] goes the other way: from what was found in the picture to what would mend it.

mod caption;
mod checks;
mod colors;
mod counts;
mod coverage;
mod demands;
pub mod draft;
mod elements;
mod evidence;
pub mod layout;
pub mod mend;
mod nested;
mod place;
mod relations;
mod scenery;
mod stages;
mod words;

use atelier_proto::{
    plan::{Element, PLAN_VERSION, Plan, sent_picture},
    report::Cited,
};

pub use caption::of_element;
pub use coverage::Uncited;
pub use draft::{Draft, DraftElement};
pub use elements::PREDICATES;
use evidence::{Means, Witness};
use layout::{Broken, Layout};
pub use place::{PLACES, Place};
use stages::{Half, Scenes, Sketch, Staged};
pub use words::{IRREGULAR_PLURALS, NUMBERS};

/// What a planner must know beside the prompt.
pub struct Studio<'a> {
    /// Names of the pictures that the user sent.
    pub reference_names: &'a [String],
    /// The library's thing that a noun means, by its name; none when it has no such thing.
    pub prop_of: &'a dyn Fn(&str) -> Option<String>,
    /// The library's thing that a noun is a kind of, asked only when no words match; none when nothing can stand for it.
    pub stand_in: &'a dyn Fn(&str) -> Option<String>,
    /// What a word of a prompt is called in plans: `golden` is `yellow`, `sunny` is `day`; none for words that are called nothing else.
    pub means: Means<'a>,
    /// The colour that a word of a prompt names, as plans call it.
    pub color_of: &'a dyn Fn(&str) -> Option<String>,
    /// What is behind things of some colours where the prompt names nothing.
    pub ground: &'a dyn Fn(&[&str]) -> &'static str,
}

/// A plan and what is known of how it follows from its prompt.
#[derive(Clone, Debug)]
pub struct Made {
    /// Valid whatever the draft says.
    pub plan: Plan,
    /// What had to be left out or could not be kept.
    pub notes: Vec<String>,
    /// The words that what stands in the plan comes from.
    pub evidence: Vec<Cited>,
    /// What of the prompt is not in the plan.
    pub uncited: Uncited,
}

/// Makes the plan of a draft.
pub fn make_plan(prompt: &str, draft: &Draft, studio: &Studio<'_>, seed: u64) -> Made {
    let mut notes = Vec::new();
    let witness = Witness::new(prompt, studio.means);
    let scenes = stages::scenes(prompt);
    // What a painting shows is in it: there the painting is a thing.
    let cleaned = match scenes {
        stages::Scenes::Nested { .. } => None,
        _ => Some(without_introductions(draft, &witness)),
    };
    let draft = without_repeats(cleaned.as_ref().unwrap_or(draft), &witness);
    let draft = colors::bound(&draft, &witness, studio.color_of);
    let draft = counts::bound(&draft, &witness);
    let draft = relations::bound(&draft, &witness);
    let draft = &scenery::behind(&draft, &scenes, studio);
    let mut cast = elements::cast(draft, studio, &mut notes);
    let halves = halves(&scenes, &witness, &mut cast);
    let inner = nested::find(&scenes, &witness, &mut cast);
    let Layout { boxes, broken } = layout::solve(&cast.wishes, seed);
    let mut elements = cast.elements;
    for (element, bbox) in elements.iter_mut().zip(&boxes) {
        element.bbox = Some(*bbox);
    }
    let shown = inner.map(|inner| inner.place(&mut elements));
    notes.extend(unused(studio, &elements));
    notes.extend(broken.iter().map(|one| told(*one, &elements)));
    let background = caption::background(draft, studio.ground);
    let lighting = caption::lighting(draft);
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
    let sketch = Sketch {
        prompt,
        scenes: &scenes,
        groups: &cast.groups,
        halves: &halves,
        inner: shown,
    };
    let Staged { stages, cited } = stages::stages(&sketch, &plan);
    plan.stages = stages;
    plan.checks = checks::checks(&plan, &cast.groups);
    plan.reasoning = caption::reasoning(&plan, &cast.groups);
    let mut evidence = witness.cited(&plan);
    evidence.extend(demands::cited(&witness, &plan, &cast.groups, &evidence));
    evidence.extend(
        cited
            .into_iter()
            .map(|(stage, span)| witness.cite(format!("stages.{stage}"), span)),
    );
    let said = evidence.iter().any(|cited| cited.what == "lighting");
    if said && !draft.time.is_empty() && scenes.have_one_light() {
        plan.checks.extend(checks::light(&plan));
    }
    let knows = |noun: &str| (studio.prop_of)(noun).is_some();
    let ground = |word: &str| {
        let means = (studio.means)(word).is_some() && (studio.color_of)(word).is_none();
        means || stages::LANDSCAPES.contains(&word) || stages::is_said_of_light(word)
    };
    let split = matches!(scenes, Scenes::Split { .. });
    let ground = split.then_some(&ground as &dyn Fn(&str) -> bool);
    let mut uncited = coverage::uncited(&witness, &plan, &evidence, &knows, ground);
    if !uncited.words.is_empty() {
        notes.push(format!("not in the plan: {}", uncited.words.join(", ")));
    }
    uncited.unkept = demands::unkept(&witness, &evidence, &scenes);
    if !uncited.unkept.is_empty() {
        notes.push(format!("not kept: {}", uncited.unkept.join(", ")));
    }
    debug_assert_eq!(plan.validate(), Ok(()));
    Made {
        plan,
        notes,
        evidence,
        uncited,
    }
}

/// A draft without the words of number, of pictures and of joining that it took for things, unless it has nothing else.
fn without_introductions(draft: &Draft, witness: &Witness<'_>) -> Draft {
    let mut draft = draft.clone();
    let is_thing =
        |noun: &str| !coverage::names_nothing(noun) && !coverage::introduces(witness, noun);
    if draft.elements.iter().any(|thing| is_thing(&thing.noun)) {
        draft.elements.retain(|thing| is_thing(&thing.noun));
        let named = |noun: &String| is_thing(noun);
        draft.relations.retain(|(a, _, b)| named(a) && named(b));
    }
    draft
}

/// A draft that names every thing once: small planners come back to `two horses` when they have said `horses`.
fn without_repeats(draft: &Draft, witness: &Witness<'_>) -> Draft {
    let mut draft = draft.clone();
    let mut kept: Vec<DraftElement> = Vec::with_capacity(draft.elements.len());
    for thing in draft.elements {
        let said = |other: &&DraftElement| {
            let about = |one: &DraftElement| {
                let DraftElement {
                    color,
                    place,
                    size,
                    with,
                    ..
                } = one.clone();
                (color, place, size, with)
            };
            let counted = other.count.is_some_and(|count| count > 1);
            let says_nothing = about(&thing) == about(&DraftElement::default());
            counted
                && evidence::same_words(&other.noun, &thing.noun)
                && (says_nothing || about(other) == about(&thing))
        };
        // `waves`, and only then that they are two.
        let uncounted = kept.iter().position(|other| {
            let about = (
                &other.color,
                &other.place,
                &other.size,
                other.with.as_slice(),
            );
            other.count.is_none()
                && about == (&None, &None, &None, [].as_slice())
                && evidence::same_words(&other.noun, &thing.noun)
        });
        if let Some(at) =
            uncounted.filter(|_| thing.count > Some(1) && witness.times(&thing.noun) == 1)
        {
            kept[at] = thing;
            continue;
        }
        let before = kept.iter().filter(said).count();
        if before == 0 || before < witness.times(&thing.noun) {
            kept.push(thing);
        }
    }
    draft.elements = kept;
    draft
}

/// The things of a draft and `more` of them, in the order in which the prompt names them.
pub fn merged(prompt: &str, draft: &Draft, more: &[String]) -> Vec<String> {
    let witness = Witness::new(prompt, &|_| None);
    let mut taken = Vec::new();
    let mut found: Vec<(usize, String)> = Vec::new();
    let drafted = draft.elements.iter().map(|thing| &thing.noun);
    for name in drafted.chain(more) {
        let words = witness.find(name, &taken);
        // What the prompt does not name stays behind what it names.
        let at = words.as_ref().map_or(usize::MAX, |words| words.start);
        taken.extend(words);
        found.push((at, name.clone()));
    }
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, name)| name).collect()
}

/// Which half of a divided picture each group is in; their wishes are told.
fn halves(scenes: &Scenes, witness: &Witness<'_>, cast: &mut elements::Cast) -> Vec<Option<Half>> {
    let Scenes::Split { stacked, .. } = scenes else {
        return vec![None; cast.groups.len()];
    };
    let mut taken = Vec::new();
    let mut halves = Vec::with_capacity(cast.groups.len());
    for group in &cast.groups {
        let words = witness.find(&group.noun, &taken);
        let half = words
            .clone()
            .and_then(|words| scenes.half_of(&witness.span(words)));
        taken.extend(words);
        for thing in group.instances.clone() {
            cast.wishes[thing].half = half.map(|half| (half, *stacked));
        }
        halves.push(half);
    }
    halves
}

/// Pictures that the user sent and nothing is drawn after, for the notes.
fn unused(studio: &Studio<'_>, elements: &[Element]) -> Vec<String> {
    let used = |name: &String| {
        let mut sent = elements
            .iter()
            .filter_map(|element| sent_picture(element.reference.as_deref()?));
        sent.any(|sent| sent == name)
    };
    let unused = studio.reference_names.iter().filter(|name| !used(name));
    unused
        .map(|name| format!("nothing is drawn after the picture of {name} that was sent"))
        .collect()
}

/// What the layout does not keep, for the notes.
fn told(broken: Broken, elements: &[Element]) -> String {
    match broken {
        Broken::Place(thing) => {
            format!(
                "{} is not in its place: others leave no room",
                elements[thing].id
            )
        }
        Broken::Relation(subject, predicate, object) => {
            let words = predicate.words();
            let (subject, object) = (&elements[subject].id, &elements[object].id);
            format!("contradicts the rest and is not so in the layout: {subject} {words} {object}")
        }
    }
}

#[cfg(test)]
mod tests;
