//! Two scenes in one picture, beside or above each other.

use std::ops::Range;

use super::{
    super::words::{Word, span_of},
    reading::{Scenes, content, is},
};

/// Words that part a picture in two.
const PARTED: &[&str] = &["split", "diptych", "divided", "halves"];

/// Places that a picture or half of it can be: `half desert, half ocean`.
pub const LANDSCAPES: &[&str] = &[
    "beach",
    "forest",
    "woods",
    "city",
    "desert",
    "ocean",
    "sea",
    "mountain",
    "mountains",
    "snow",
    "jungle",
    "space",
    "village",
    "meadow",
    "field",
    "lake",
    "river",
    "moon",
    "mars",
    "island",
    "tundra",
    "swamp",
    "valley",
    "volcano",
    "garden",
    "town",
    "countryside",
    "underwater",
    "heaven",
    "hell",
    "glacier",
    "savanna",
    "savannah",
    "canyon",
    "cityscape",
    "ruins",
    "wasteland",
    "farmland",
    "slum",
    "ice",
    "fire",
    "lava",
    "street",
    "farm",
];

/// Two scenes with a border between them.
pub(super) fn split(words: &[Word]) -> Option<Scenes> {
    halves_named(words, "left", "right", false)
        .or_else(|| halves_named(words, "top", "bottom", true))
        .or_else(|| halves_named(words, "upper", "lower", true))
        .or_else(|| half_and_half(words))
        .or_else(|| split_into(words))
}

/// `left half a beach, right half a forest`; `a beach in the left half and a forest in the right half`.
fn halves_named(words: &[Word], one: &str, other: &str, stacked: bool) -> Option<Scenes> {
    let parted = words.iter().any(|word| is(Some(word), PARTED));
    // Without a word that parts the picture, `left side` is only where things are.
    let part = |at: usize, side: &str| {
        words[at].text == side
            && (is(words.get(at + 1), &["half"])
                || parted && (is(words.get(at + 1), &["side", "part", "is", ":"])))
    };
    let first = (0..words.len()).find(|at| part(*at, one))?;
    let second = (0..words.len()).find(|at| part(*at, other))?;
    // The words of a half end before the next half begins.
    let head = |at: usize| {
        let led = (0..at).rev().take_while(|before| {
            is(
                words.get(*before),
                &[
                    "the", "on", "in", "its", "at", "and", ",", ";", "with", "while", ".",
                    "whereas",
                ],
            )
        });
        at - led.count()
    };
    let tail = |at: usize| at + 1 + usize::from(is(words.get(at + 1), &["half", "side", "part"]));
    let (early, late) = (first.min(second), first.max(second));
    let before = content(words, 0..head(early));
    let between = content(words, tail(early)..head(late));
    let behind = content(words, tail(late)..words.len());
    let introduces = |range: &Range<usize>| {
        words[range.clone()]
            .iter()
            .any(|word| is(Some(word), PARTED))
    };
    let (a, b) = match (before, between, behind) {
        (_, Some(a), Some(b)) => (a, b),
        (Some(a), Some(b), None) if !introduces(&a) => (a, b),
        _ => return None,
    };
    let (first, second) = if first < second { (a, b) } else { (b, a) };
    Some(Scenes::Split {
        stacked,
        first: span_of(words, first),
        second: span_of(words, second),
    })
}

/// `half desert, half ocean`, where both are places; half a robot and half a cat is one thing.
fn half_and_half(words: &[Word]) -> Option<Scenes> {
    let halves: Vec<usize> = (0..words.len())
        .filter(|at| is(words.get(*at), &["half"]) && !is(words.get(at + 1), &["a", "an"]))
        .collect();
    let [first, second] = halves[..] else {
        return None;
    };
    let lead = (first + 1..second)
        .rev()
        .take_while(|at| is(words.get(*at), &["and", ",", "the", "other", "one"]))
        .count();
    let a = content(words, first + 1..second - lead)?;
    let end = (second + 1..words.len())
        .find(|at| is(words.get(*at), &[",", ".", ";"]))
        .unwrap_or(words.len());
    let b = content(words, second + 1..end)?;
    let place = |range: &Range<usize>| {
        words[range.clone()]
            .iter()
            .any(|word| is(Some(word), LANDSCAPES))
    };
    (place(&a) && place(&b) && a.len() <= 6).then(|| Scenes::Split {
        stacked: false,
        first: span_of(words, a),
        second: span_of(words, b),
    })
}

/// `split screen of a beach and a forest`, `diptych: a beach | a forest`.
fn split_into(words: &[Word]) -> Option<Scenes> {
    let at = words
        .iter()
        .enumerate()
        .position(|(at, word)| match word.text.as_str() {
            "diptych" => true,
            "split" => is(
                words.get(at + 1),
                &[
                    "screen", "scene", "image", "view", "picture", "into", "between", "in",
                ],
            ),
            "divided" => is(words.get(at + 1), &["into", "between", "in"]),
            _ => false,
        })?;
    let begin = (at + 1..words.len()).find(|at| {
        !is(
            words.get(*at),
            &[
                "screen", "scene", "image", "view", "picture", "of", "into", "in", ":", "between",
                "showing", "with", "two", ",", "halves", "half", "down", "the", "middle",
            ],
        )
    })?;
    let border = (begin + 1..words.len())
        .find(|at| is(words.get(*at), &["|", "/", "versus", "vs"]))
        .or_else(|| (begin + 1..words.len()).find(|at| is(words.get(*at), &["and"])))?;
    let first = content(words, begin..border)?;
    let second = content(words, border + 1..words.len())?;
    Some(Scenes::Split {
        stacked: false,
        first: span_of(words, first),
        second: span_of(words, second),
    })
}
