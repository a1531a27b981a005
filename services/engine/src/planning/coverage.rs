//! Which words of the prompt nothing in the plan cites.

use std::collections::HashSet;

use atelier_proto::plan::Plan;

/// Words that carry no thing, colour or place.
const EMPTY: [&str; 62] = [
    "a",
    "an",
    "the",
    "and",
    "or",
    "of",
    "in",
    "on",
    "at",
    "by",
    "to",
    "with",
    "from",
    "for",
    "is",
    "are",
    "its",
    "it",
    "this",
    "that",
    "there",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "photo",
    "picture",
    "image",
    "drawing",
    "illustration",
    "painting",
    "render",
    "draw",
    "show",
    "me",
    "please",
    "i",
    "want",
    "some",
    "very",
    "next",
    "near",
    "nearby",
    "over",
    "under",
    "above",
    "below",
    "behind",
    "front",
    "left",
    "right",
    "top",
    "bottom",
    "side",
    "corner",
    "background",
];

/// The prompt's words, lower case, in order, that stand nowhere in the plan.
pub fn uncited(prompt: &str, plan: &Plan) -> Vec<String> {
    let cited: HashSet<String> = plan
        .elements
        .iter()
        .flat_map(|element| {
            let texts = [element.noun.as_str()].into_iter();
            texts
                .chain(element.attributes.iter().map(String::as_str))
                .chain(element.colors.iter().map(String::as_str))
        })
        .chain([
            plan.background.as_str(),
            plan.lighting.as_str(),
            plan.style.as_str(),
        ])
        .flat_map(words)
        .map(|word| stem(&word))
        .collect();
    let mut seen = HashSet::new();
    words(prompt)
        .filter(|word| {
            word.len() > 1
                && !word.chars().all(|c| c.is_ascii_digit())
                && !EMPTY.contains(&word.as_str())
        })
        .filter(|word| !cited.contains(&stem(word)) && seen.insert(word.clone()))
        .take(32)
        .collect()
}

fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

/// Rough: the first five letters tell `cats` from `dogs` and join `snow` with `snowy`.
fn stem(word: &str) -> String {
    let bare = word
        .strip_suffix('s')
        .filter(|bare| bare.len() > 2)
        .unwrap_or(word);
    bare.chars().take(5).collect()
}
