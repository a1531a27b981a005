//! Words that ask for a number, a side, a size or a relation: which of them the plan keeps, and which of them nothing does.

use std::{collections::HashSet, ops::Range};

use atelier_proto::{plan::Plan, report::Cited};

use super::{
    coverage,
    elements::Group,
    evidence::Witness,
    place::Place,
    relations::BEFORE_NOUN,
    stages::{LANDSCAPES, Scenes},
    words::number,
};

const LARGE: &[&str] = &["large", "big", "huge", "giant"];
const SMALL: &[&str] = &["small", "tiny", "little"];

/// Parts of the picture.
const SIDES: &[&str] = &[
    "left",
    "right",
    "top",
    "bottom",
    "upper",
    "lower",
    "center",
    "centre",
    "middle",
    "background",
    "foreground",
    "front",
    "distance",
];

/// Words of how things stand to each other, beside [`SIDES`].
const RELATIONS: &[&str] = &[
    "above", "below", "under", "over", "behind", "beside", "next", "near", "nearby", "between",
    "inside",
];

/// What stands before such a word and only says how much: `right behind`, `a little above`.
const HOW_MUCH: &[&str] = &["right", "little"];

/// Numbers that are said of no things: `both a cat and a dog`.
const JOINING: &[&str] = &["both", "twin"];

/// How far from its noun a word may stand that is said of it.
const NEAR: usize = 6;

/// Whether a word says how large something is.
pub fn is_size(word: &str) -> bool {
    LARGE.contains(&word) || SMALL.contains(&word)
}

/// The words that places and sizes of the plan's things come from, beside what is `cited` already.
pub fn cited(witness: &Witness<'_>, plan: &Plan, groups: &[Group], cited: &[Cited]) -> Vec<Cited> {
    let words = &witness.words;
    let mut taken: Vec<bool> = within(witness, cited);
    let mut found = Vec::new();
    for group in groups {
        let Some(element) = plan.elements.get(group.instances.start) else {
            continue;
        };
        let what = format!("elements.{}", element.id);
        let Some(noun) = cited.iter().find(|one| one.what == what) else {
            continue;
        };
        let noun = words_of(witness, noun);
        let mut take = |name: &str, fits: &dyn Fn(&str) -> bool, near: usize| {
            let free = |at: usize| words.get(at).is_some_and(|word| fits(&word.text)) && !taken[at];
            let distance = |at: usize| match at < noun.start {
                true => noun.start - at,
                false => at + 1 - noun.end,
            };
            let first = (0..words.len())
                .filter(|at| !noun.contains(at) && free(*at) && distance(*at) <= near)
                .min_by_key(|at| distance(*at));
            let Some(first) = first else { return };
            let from = (0..first).rev().take_while(|at| free(*at)).last();
            let range = from.unwrap_or(first)
                ..(first..words.len())
                    .find(|at| !free(*at))
                    .unwrap_or(words.len());
            taken[range.clone()].fill(true);
            found.push(witness.cite(format!("{what}.{name}"), witness.span(range)));
        };
        if group.place != Place::default() {
            let place = group.place;
            let says = |word: &str| {
                let said = Place::parse(word);
                let same = |a: Option<u8>, b: Option<u8>| a.is_some() && a == b;
                SIDES.contains(&word)
                    && (same(said.column, place.column)
                        || same(said.row, place.row)
                        || (said.depth.is_some() && said.depth == place.depth))
            };
            take("place", &says, words.len());
        }
        if let Some(large) = group.large {
            let said = if large { LARGE } else { SMALL };
            take("size", &|word| said.contains(&word), NEAR);
        }
    }
    found
}

/// Words of number, side, size and relation that nothing in the plan comes from, each once.
pub fn unkept(witness: &Witness<'_>, cited: &[Cited], scenes: &Scenes) -> Vec<String> {
    let words = &witness.words;
    let split = matches!(scenes, Scenes::Split { .. });
    let changes = matches!(scenes, Scenes::Changes { .. });
    let of = |is_one: &dyn Fn(&str) -> bool| {
        within(witness, cited.iter().filter(|one| is_one(&one.what)))
    };
    let kept = of(&|what| !(split && what.starts_with("stages.")));
    let (behind, things) = (
        of(&|what| what == "background"),
        of(&|what| what.starts_with("elements.")),
    );
    let text = |at: usize| words.get(at).map_or("", |word| word.text.as_str());
    let is_relation = |word: &str| RELATIONS.contains(&word);
    // `over a city`: what is behind all is where it is whatever stands before it.
    let of_ground = |at: usize| {
        let is_thing = |at: &usize| things[*at];
        let is_ground = |at: &usize| behind[*at] || LANDSCAPES.contains(&text(*at));
        let about = (at + 1..words.len().min(at + 2 + BEFORE_NOUN))
            .take_while(|next| text(*next).chars().any(char::is_alphanumeric))
            .find(|next| is_thing(next) || is_ground(next));
        about.is_some_and(|about| !is_thing(&about))
    };
    let asks = |at: usize| {
        let word = text(at);
        let side = SIDES.contains(&word);
        if coverage::is_content(word) || kept[at] {
            return false;
        }
        if HOW_MUCH.contains(&word) && (is_relation(text(at + 1)) || text(at + 1) == "in") {
            return false;
        }
        let far = ["background", "foreground", "distance"].contains(&word);
        let in_the = || at > 1 && text(at - 1) == "the" && text(at - 2) == "in";
        if far && !in_the() {
            // `on a plain background` names what is behind.
            return false;
        }
        if side {
            // The halves of a picture and the ends of a change are its stages.
            let named = split && scenes.half_of(&words[at].span).is_none();
            let middle = ["middle", "center", "centre"].contains(&word);
            return !(changes || named || middle && of_ground(at));
        }
        (number(word).is_some() && !JOINING.contains(&word))
            || is_size(word)
            || (is_relation(word) && !of_ground(at))
    };
    let mut seen = HashSet::new();
    (0..words.len())
        .filter(|at| asks(*at) && seen.insert(text(*at)))
        .map(|at| text(at).to_owned())
        .collect()
}

/// Which words are cited.
fn within<'a>(witness: &Witness<'_>, cited: impl IntoIterator<Item = &'a Cited>) -> Vec<bool> {
    let mut within = vec![false; witness.words.len()];
    for one in cited {
        within[words_of(witness, one)].fill(true);
    }
    within
}

/// Which words a citation is of.
fn words_of(witness: &Witness<'_>, cited: &Cited) -> Range<usize> {
    let (from, to) = (cited.at as usize, cited.at as usize + cited.words.len());
    let inside = |word: &&super::words::Word| from <= word.span.start && word.span.end <= to;
    let first = witness.words.iter().position(|word| inside(&word));
    let count = witness.words.iter().filter(inside).count();
    let first = first.unwrap_or_default();
    first..first + count
}
