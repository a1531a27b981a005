//! Words for places, and for how things stand to each other.

use atelier_proto::plan::Predicate;

/// Places of a draft with their phrases.
pub const PLACES: [(&str, &[&str]); 11] = [
    (
        "left",
        &[
            "on the left",
            "at the left",
            "on the left side",
            "to the left",
            "on the left-hand side",
            "in the left half",
            "at the left edge",
        ],
    ),
    (
        "right",
        &[
            "on the right",
            "at the right",
            "on the right side",
            "to the right",
            "on the right-hand side",
            "in the right half",
            "at the right edge",
        ],
    ),
    (
        "top",
        &[
            "in the sky",
            "at the top",
            "up in the air",
            "in the upper part",
            "at the top of the picture",
            "along the top",
        ],
    ),
    (
        "bottom",
        &[
            "at the bottom",
            "in the lower part",
            "at the bottom of the picture",
            "along the bottom",
        ],
    ),
    (
        "top left",
        &[
            "in the top left corner",
            "at the top left",
            "in the upper left",
            "in the upper left corner",
            "top left",
        ],
    ),
    (
        "top right",
        &[
            "in the top right corner",
            "at the top right",
            "in the upper right",
            "in the upper right corner",
            "top right",
        ],
    ),
    (
        "bottom left",
        &[
            "in the bottom left corner",
            "at the bottom left",
            "in the lower left",
            "in the lower left corner",
            "bottom left",
        ],
    ),
    (
        "bottom right",
        &[
            "in the bottom right corner",
            "at the bottom right",
            "in the lower right",
            "in the lower right corner",
            "bottom right",
        ],
    ),
    (
        "center",
        &[
            "in the middle",
            "in the center",
            "in the centre",
            "in the middle of the picture",
            "at the center of the image",
        ],
    ),
    (
        "background",
        &[
            "in the background",
            "in the distance",
            "far away",
            "on the horizon",
            "far in the back",
        ],
    ),
    (
        "foreground",
        &[
            "in the foreground",
            "up close",
            "at the front",
            "in the front",
        ],
    ),
];

/// A predicate between two things (`a cat on a chair`), and after the second one (`a chair with a cat on it`).
pub type Words = (Predicate, &'static [&'static str], &'static [&'static str]);

/// Every predicate with its words.
pub const RELATIONS: [Words; 9] = [
    (
        Predicate::LeftOf,
        &[
            "to the left of",
            "left of",
            "on the left of",
            "on the left side of",
            "standing to the left of",
        ],
        &["to its left", "on its left", "to the left of it"],
    ),
    (
        Predicate::RightOf,
        &[
            "to the right of",
            "right of",
            "on the right of",
            "on the right side of",
            "sitting to the right of",
        ],
        &["to its right", "on its right", "to the right of it"],
    ),
    (
        Predicate::Above,
        &[
            "above",
            "over",
            "flying over",
            "floating above",
            "hovering above",
            "hanging over",
            "high above",
        ],
        &[
            "above it",
            "over it",
            "floating above it",
            "hovering over it",
            "overhead",
        ],
    ),
    (
        Predicate::Below,
        &["below", "under", "underneath", "beneath", "sitting under"],
        &[
            "below it",
            "under it",
            "underneath",
            "beneath it",
            "underneath it",
        ],
    ),
    (
        Predicate::On,
        &[
            "on",
            "on top of",
            "sitting on",
            "standing on",
            "lying on",
            "perched on",
            "balancing on",
            "riding on",
            "sleeping on",
        ],
        &[
            "on it",
            "on top",
            "on top of it",
            "sitting on it",
            "standing on top",
        ],
    ),
    (
        Predicate::In,
        &[
            "in",
            "inside",
            "sitting in",
            "inside of",
            "hiding in",
            "sleeping in",
        ],
        &["in it", "inside", "inside it", "sitting inside"],
    ),
    (
        Predicate::Near,
        &[
            "next to",
            "near",
            "beside",
            "by",
            "close to",
            "alongside",
            "standing next to",
            "sitting beside",
            "sitting next to",
            "lying next to",
        ],
        &[
            "next to it",
            "beside it",
            "nearby",
            "close by",
            "near it",
            "at its side",
            "by its side",
        ],
    ),
    (
        Predicate::Behind,
        &[
            "behind",
            "hiding behind",
            "standing behind",
            "sitting behind",
            "peeking out from behind",
        ],
        &["behind it", "behind", "standing behind it"],
    ),
    (
        Predicate::InFrontOf,
        &[
            "in front of",
            "standing in front of",
            "parked in front of",
            "sitting in front of",
        ],
        &["in front of it", "in front", "standing before it"],
    ),
];

/// What one thing does to another; the draft names both.
pub const DEEDS: &[&str] = &[
    "chasing",
    "fighting",
    "talking to",
    "looking at",
    "feeding",
    "following",
    "kicking",
    "pulling",
    "hugging",
    "washing",
    "selling",
    "building",
    "fixing",
    "pushing",
    "kissing",
    "attacking",
    "protecting",
    "visiting",
    "finding",
    "pointing at",
    "running away from",
    "meeting",
    "surrounded by",
    "throwing",
    "catching",
    "sharing",
    "waving at",
    "orbiting",
    "circling",
    "cutting",
    "guarding",
    "watching",
    "dreaming of",
    "made friends with",
    "admiring",
];
