//! How the suite says things: forms that no prompt of the planner's training has.

use atelier_proto::judging::Side;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// One of a list.
pub fn pick(list: &[&'static str], rng: &mut ChaCha8Rng) -> &'static str {
    list.choose(rng).copied().unwrap_or_default()
}

/// Before a phrase, or nothing.
const LEADS: &[&str] = &[
    "",
    "",
    "",
    "render",
    "depict",
    "visualise",
    "let me see",
    "compose an image showing",
    "I'd love to see",
    "design",
    "could I get",
];

/// The phrase as somebody asks for it.
pub fn asked(phrase: &str, rng: &mut ChaCha8Rng) -> String {
    let lead = pick(LEADS, rng);
    let text = format!("{lead} {phrase}");
    let text = text.trim();
    let mut chars = text.chars();
    match rand::RngExt::random_range(rng, 0..3) {
        0 => chars
            .next()
            .map(|first| first.to_uppercase().chain(chars).collect())
            .unwrap_or_default(),
        _ => text.to_owned(),
    }
}

/// How several things are said together; `{a}` and `{b}`.
pub const TOGETHER: &[&str] = &[
    "both {a} and {b}",
    "{a}, also {b}",
    "{a} in one frame with {b}",
    "{b} and, besides, {a}",
    "{a} joined by {b}",
    "{a}; and {b} too",
];

/// A number of things; `{n}` is `three red foxes`.
pub const COUNTED: &[&str] = &[
    "exactly {n}",
    "{n}, no more",
    "{n} and nothing else",
    "a total of {n}",
    "precisely {n}",
    "{n} all told",
];

/// A coloured thing; `{noun}` and `{color}`.
pub const COLORED: &[&str] = &[
    "a {noun} painted {color}",
    "a {noun} in {color}",
    "a {noun}, {color} all over",
    "one {noun}, coloured {color}",
    "a {noun} of {color} colour",
    "a completely {color} {noun}",
];

/// One thing to a side of another; `{a}` and `{b}`.
pub const fn sides(side: Side) -> &'static [&'static str] {
    match side {
        Side::LeftOf => &[
            "{a} placed left of {b}",
            "{a} further left than {b}",
            "{b} with {a} over to the left of it",
            "{a} immediately left of {b}",
        ],
        Side::RightOf => &[
            "{a} placed right of {b}",
            "{a} further right than {b}",
            "{b} with {a} over to the right of it",
            "{a} immediately right of {b}",
        ],
        Side::Above => &[
            "{a} placed above {b}",
            "{a} directly above {b}",
            "{a} somewhere above {b}",
            "{a} higher up than {b}",
        ],
        Side::Below => &[
            "{a} placed below {b}",
            "{a} directly below {b}",
            "{a} somewhere below {b}",
            "{a} lower down than {b}",
        ],
    }
}

/// Places, as the truth names them and as they are said.
pub const PLACES: &[(&str, &[&str])] = &[
    ("left", &["near the left border", "over on the left"]),
    ("right", &["near the right border", "over on the right"]),
    ("top", &["near the top edge", "high up in the frame"]),
    ("bottom", &["near the bottom edge", "low down in the frame"]),
    (
        "top left",
        &["tucked into the top left corner", "in the upper left area"],
    ),
    (
        "top right",
        &[
            "tucked into the top right corner",
            "in the upper right area",
        ],
    ),
    (
        "bottom left",
        &[
            "tucked into the bottom left corner",
            "in the lower left area",
        ],
    ),
    (
        "bottom right",
        &[
            "tucked into the bottom right corner",
            "in the lower right area",
        ],
    ),
    (
        "center",
        &["right in the center of the frame", "dead center"],
    ),
];

/// From one time to another, said of a thing and a place; `{a}` and `{place}`.
pub const TURNS: &[(&str, &str, &[&str])] = &[
    (
        "day",
        "night",
        &[
            "{a} {place}, the scene turning from day to night",
            "{a} {place} as day gives way to night",
            "from day to night: {a} {place}",
        ],
    ),
    (
        "day",
        "dusk",
        &[
            "{a} {place}, the light going from day to dusk",
            "{a} {place} as day becomes dusk",
        ],
    ),
    (
        "night",
        "day",
        &[
            "{a} {place}, turning from night to day",
            "from night to day: {a} {place}",
        ],
    ),
    (
        "dusk",
        "night",
        &[
            "{a} {place} as dusk becomes night",
            "{a} {place}, the sky going from dusk to night",
        ],
    ),
];
