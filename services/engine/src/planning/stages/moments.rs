//! Words for times of day and seasons, and how prompts say that one becomes the other.

use super::super::words::{Word, read};

/// A time of day or a season.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// In the plan: the stage's id and the light or season of its words.
    pub name: &'static str,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Light,
    Season,
}

const LIGHTS: [(&str, &[&str]); 8] = [
    ("day", &["day", "daytime", "daylight", "midday", "noon"]),
    ("night", &["night", "nighttime", "nightfall", "midnight"]),
    ("sunset", &["sunset", "sundown"]),
    ("sunrise", &["sunrise", "daybreak"]),
    ("dusk", &["dusk", "twilight"]),
    ("dawn", &["dawn"]),
    ("evening", &["evening"]),
    ("morning", &["morning"]),
];

const SEASONS: [(&str, &[&str]); 4] = [
    ("spring", &["spring", "springtime"]),
    ("summer", &["summer", "summertime"]),
    ("autumn", &["autumn", "fall"]),
    ("winter", &["winter", "wintertime"]),
];

/// All seasons, in their order.
pub fn seasons() -> Vec<Moment> {
    SEASONS
        .map(|(name, _)| Moment {
            name,
            kind: Kind::Season,
        })
        .to_vec()
}

/// The moment that a word means.
pub fn moment(word: &str) -> Option<Moment> {
    let among = |table: &'static [(&'static str, &'static [&'static str])], kind| {
        let known = table.iter().find(|(_, words)| words.contains(&word));
        known.map(|(name, _)| Moment { name, kind })
    };
    among(&LIGHTS, Kind::Light).or_else(|| among(&SEASONS, Kind::Season))
}

/// Words that say that what is before them becomes what is after them.
const BECOMES: &[&str] = &[
    "to",
    "into",
    "turning",
    "turns",
    "turned",
    "fading",
    "fades",
    "becoming",
    "becomes",
    "blending",
    "blends",
    "transitioning",
    "transitions",
    "transition",
    "morphing",
    "morphs",
    "melting",
    "melts",
    "changing",
    "changes",
    "shifting",
    "shifts",
    "merging",
    "merges",
    "dissolving",
    "passing",
    "passes",
    "slipping",
    "slips",
    "through",
    "versus",
    "vs",
    "meets",
    "meeting",
    ">",
    "/",
];

/// Words that may stand between two moments without saying anything of their own.
const FILL: &[&str] = &[
    "a",
    "an",
    "the",
    "and",
    "then",
    "slowly",
    "gradually",
    "smoothly",
    "it",
    "that",
    "which",
    "is",
    "in",
    "sky",
    "scene",
    "at",
    "of",
    "side",
    "bright",
    "dark",
    "full",
    "deep",
    "late",
    "early",
    "warm",
    "cold",
    "golden",
    "snowy",
    "sunny",
    "blue",
    "time",
    "light",
    "from",
    "with",
    ",",
    "on",
    "over",
    "its",
    "clear",
    "starry",
    "lush",
    "giving",
    "gives",
    "way",
];

/// Words before or behind two moments that make a change of a mere list.
const CHANGE: &[&str] = &[
    "transition",
    "transitioning",
    "transitions",
    "gradient",
    "timelapse",
    "lapse",
    "change",
    "changing",
    "changes",
    "shift",
    "progression",
    "blend",
    "blending",
    "split",
    "halfway",
    "morph",
    "cycle",
    "passage",
    "contrast",
    "seasons",
    "diptych",
    "triptych",
    "between",
    "turning",
];

/// Words before a change that make it a matter of opening hours.
const HOURS: &[&str] = &[
    "open",
    "opens",
    "opening",
    "works",
    "working",
    "available",
    "hours",
];

/// What a moment is only the first word of.
const COMPOUND: &[&str] = &[
    "camp", "market", "club", "coat", "care", "bag", "gown", "owl", "lamp", "stand", "shift",
    "bus", "train", "school", "clothes", "boots", "jacket", "olympics", "games", "spa", "job",
    "trip", "dress", "light", "lights", "watch", "guard", "dream", "roll", "rolls", "onion",
    "onions", "water", "star", "bird",
];

/// Whether words only name what a change of light is seen in: `the sky going`.
pub fn is_said_of_light(noun: &str) -> bool {
    let mut words = read(noun).into_iter();
    words.all(|word| {
        let word = word.text.as_str();
        let changes = [FILL, BECOMES, CHANGE, &["going", "goes"]];
        moment(word).is_some() || changes.iter().any(|list| list.contains(&word))
    })
}

/// Moments that follow each other in one picture, each with the number of its word; whether they stand side by side rather than flow.
pub fn changes(words: &[Word]) -> Option<(Vec<(usize, Moment)>, bool)> {
    let named: Vec<(usize, Moment)> = words
        .iter()
        .enumerate()
        .filter_map(|(at, word)| Some((at, moment(&word.text)?)))
        .filter(|(at, _)| {
            let next = words.get(at + 1);
            next.is_none_or(|next| !COMPOUND.contains(&next.text.as_str()))
        })
        .collect();
    let mut best: Vec<(usize, Moment)> = Vec::new();
    let mut side_by_side = false;
    let mut chain: Vec<(usize, Moment)> = Vec::new();
    for pair in named.windows(2) {
        match joined(words, pair[0], pair[1], !chain.is_empty()) {
            Some(halves) => {
                if chain.is_empty() {
                    chain.push(pair[0]);
                }
                chain.push(pair[1]);
                side_by_side |= halves;
            }
            None => chain.clear(),
        }
        if chain.len() > best.len() {
            best.clone_from(&chain);
        }
    }
    let mut seen: Vec<&str> = Vec::new();
    best.retain(|(_, moment)| {
        let new = !seen.contains(&moment.name);
        seen.push(moment.name);
        new
    });
    (best.len() >= 2).then(|| (in_order(words, best, side_by_side), side_by_side))
}

/// The left one first where the prompt says which is left.
fn in_order(
    words: &[Word],
    mut moments: Vec<(usize, Moment)>,
    halves: bool,
) -> Vec<(usize, Moment)> {
    if let ([(first, _), (second, _)], true) = (&moments[..], halves) {
        let right = |from: usize, to: usize| {
            words[from..to.min(words.len())]
                .iter()
                .any(|word| word.text == "right")
        };
        if right(first.saturating_sub(3), *first)
            || right(*first, *second) && !right(*second, second + 5)
        {
            moments.reverse();
        }
    }
    moments
}

/// Whether one moment becomes the other: `Some(true)` when each has its half of the picture.
fn joined(words: &[Word], a: (usize, Moment), b: (usize, Moment), goes_on: bool) -> Option<bool> {
    let (from, to) = (a.0, b.0);
    if a.1.kind != b.1.kind || a.1.name == b.1.name {
        return None;
    }
    let before = &words[from.saturating_sub(5)..from];
    let between = &words[from + 1..to];
    let after = &words[to + 1..words.len().min(to + 6)];
    let any =
        |range: &[Word], of: &[&str]| range.iter().any(|word| of.contains(&word.text.as_str()));
    let only = |also: &[&str]| {
        between.iter().all(|word| {
            let word = word.text.as_str();
            FILL.contains(&word) || also.contains(&word)
        })
    };
    if any(before, HOURS) {
        return None;
    }
    let halves = &[
        "half", "other", "one", "left", "right", "halves", "part", "top", "bottom",
    ];
    let near = &before[before.len().saturating_sub(3)..];
    if any(near, &["half"]) && any(between, &["half"]) && only(halves) {
        return Some(true);
    }
    let sides = |range: &[Word]| any(range, &["left"]) || any(range, &["right"]);
    if sides(between) && (sides(after) || sides(near)) && only(halves) {
        return Some(true);
    }
    if !between.is_empty()
        && any(between, BECOMES)
        && between.iter().all(|word| {
            let word = word.text.as_str();
            FILL.contains(&word) || BECOMES.contains(&word)
        })
    {
        return Some(false);
    }
    let said = any(before, CHANGE) || any(&after[..after.len().min(2)], CHANGE) || goes_on;
    (said && only(&[])).then_some(false)
}
