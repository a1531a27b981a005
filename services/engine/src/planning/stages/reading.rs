//! What a prompt says about the making of its picture: one scene, one that changes, two side by side, or a picture in a picture.

use std::ops::Range;

use super::{
    super::words::{Word, read, span_of},
    moments::{Moment, changes, moment, seasons},
    split::split,
};

/// A piece of the prompt, in bytes.
pub type Span = Range<usize>;

/// How a picture is made, with the words that say so.
#[derive(Clone, Debug, PartialEq)]
pub enum Scenes {
    /// One scene.
    One,
    /// The same scene at several times of day or in several seasons, from left to right; `hard`: side by side rather than flowing.
    Changes {
        moments: Vec<(Moment, Span)>,
        hard: bool,
    },
    /// The same scene before something and after it.
    BeforeAfter {
        /// The words that say so.
        said: Span,
        /// What happens in between, when the prompt says.
        event: Option<Span>,
    },
    /// Two scenes beside or above each other.
    Split {
        /// The second one is below the first, not right of it.
        stacked: bool,
        first: Span,
        second: Span,
    },
    /// A thing that shows something of its own.
    Nested {
        /// The thing: a painting, a screen.
        frame: Span,
        /// What it shows.
        inner: Span,
    },
}

/// Reads a prompt.
pub fn scenes(prompt: &str) -> Scenes {
    let words = read(prompt);
    if let Some(split) = split(&words) {
        // `left half day, right half night` is one scene, also where the second is followed by what the scene is.
        let side = |span: &Span, most: usize| {
            let inside: Vec<&Word> = words
                .iter()
                .filter(|word| span.contains(&word.span.start))
                .collect();
            let at = inside
                .iter()
                .position(|word| moment(&word.text).is_some())?;
            (at <= 1 && inside.len() <= most)
                .then(|| moment(&inside[at].text))
                .flatten()
        };
        if let Scenes::Split {
            stacked: false,
            first,
            second,
        } = &split
            && let (Some(a), Some(b)) = (side(first, 3), side(second, usize::MAX))
            && a.kind == b.kind
            && a.name != b.name
        {
            return Scenes::Changes {
                moments: vec![(a, first.clone()), (b, second.clone())],
                hard: true,
            };
        }
        return split;
    }
    if let Some((moments, hard)) = changes(&words) {
        let span = |at: usize| words[at].span.clone();
        let moments = moments.into_iter().take(MOST_MOMENTS);
        return Scenes::Changes {
            moments: moments.map(|(at, moment)| (moment, span(at))).collect(),
            hard,
        };
    }
    all_seasons(&words)
        .or_else(|| before_after(&words))
        .or_else(|| nested(&words))
        .unwrap_or(Scenes::One)
}

/// Most moments of one picture: seven stages.
const MOST_MOMENTS: usize = 4;

pub(super) fn is(word: Option<&Word>, among: &[&str]) -> bool {
    word.is_some_and(|word| among.contains(&word.text.as_str()))
}

/// `a tree in all four seasons`.
fn all_seasons(words: &[Word]) -> Option<Scenes> {
    let at = words
        .windows(2)
        .position(|pair| pair[0].text == "four" && pair[1].text == "seasons")?;
    let led = at > 0
        && is(
            words.get(at - 1),
            &["all", "the", "in", "through", "across"],
        );
    let named = is(
        words.get(at + 2),
        &[
            "hotel",
            "resort",
            "pizza",
            "restaurant",
            "album",
            "concert",
            "by",
        ],
    );
    let span = span_of(words, at..at + 2);
    (led && !named).then(|| Scenes::Changes {
        moments: seasons()
            .into_iter()
            .map(|season| (season, span.clone()))
            .collect(),
        hard: false,
    })
}

/// `a house before and after the storm`.
fn before_after(words: &[Word]) -> Option<Scenes> {
    let at = words.iter().position(|word| word.text == "before")?;
    let joint = words[at + 1..]
        .iter()
        .take_while(|word| is(Some(word), &["and", "/", ",", "vs", "versus", ">"]));
    let after = at + 1 + joint.count();
    if !is(words.get(after), &["after"]) {
        return None;
    }
    let tail = &words[after + 1..];
    let stop = tail.iter().position(|word| {
        is(
            Some(word),
            &[
                ",",
                ";",
                ".",
                ":",
                "of",
                "photo",
                "picture",
                "shot",
                "comparison",
            ],
        )
    });
    let event = after + 1..after + 1 + stop.unwrap_or(tail.len());
    Some(Scenes::BeforeAfter {
        said: span_of(words, at..after + 1),
        event: (!event.is_empty()).then(|| span_of(words, event)),
    })
}

/// The range without words that only lead in or out; none when nothing is left.
pub(super) fn content(words: &[Word], range: Range<usize>) -> Option<Range<usize>> {
    let empty = |at: &usize| {
        is(
            words.get(*at),
            &[
                ",", ";", ":", ".", "is", "shows", "showing", "has", "of", "the", "picture",
                "image", "and", "with", "in", "on", "being", "are", "while", "it", "as",
            ],
        )
    };
    let (mut from, mut to) = (range.start, range.end);
    while from < to && empty(&from) {
        from += 1;
    }
    while from < to && empty(&(to - 1)) {
        to -= 1;
    }
    (from < to).then_some(from..to)
}

/// Things that show something, and those of them that a whole picture can be, too.
const SCREENS: &[&str] = &[
    "tv",
    "television",
    "screen",
    "monitor",
    "laptop",
    "phone",
    "tablet",
    "globe",
    "billboard",
    "mural",
];
const PAINTINGS: &[&str] = &[
    "painting",
    "poster",
    "portrait",
    "photo",
    "photograph",
    "picture",
    "drawing",
    "postcard",
    "tapestry",
];
const SHOWS: &[&str] = &["of", "showing", "shows", "displaying", "depicting", "with"];
/// What says that a painting is a thing among others.
const HANGS: &[&str] = &[
    "wall",
    "easel",
    "hanging",
    "frame",
    "framed",
    "desk",
    "room",
    "museum",
    "gallery",
    "above",
    "beside",
    "next",
    "holding",
    "holds",
    "under",
    "fireplace",
    "sofa",
    "table",
    "looking",
    "bedroom",
    "kitchen",
    "fridge",
];

/// `a room with a painting of a ship on the wall`, `a tv showing a cat`.
fn nested(words: &[Word]) -> Option<Scenes> {
    for (at, word) in words.iter().enumerate() {
        let screen = is(Some(word), SCREENS);
        if !screen && !is(Some(word), PAINTINGS) {
            continue;
        }
        let mut shows = at + 1;
        while is(words.get(shows), &["that", "which", "is"]) {
            shows += 1;
        }
        let verbs = match word.text.as_str() {
            "globe" => SHOWS,
            _ if screen => &SHOWS[1..5],
            _ => &SHOWS[..5],
        };
        if !is(words.get(shows), verbs) {
            continue;
        }
        let end = (shows + 1..words.len()).find(|end| {
            is(
                words.get(*end),
                &[
                    ",", ";", ".", ":", "on", "in", "above", "beside", "next", "hanging", "and",
                    "under", "over", "near", "inside",
                ],
            )
        });
        let Some(inner) = content(words, shows + 1..end.unwrap_or(words.len())) else {
            continue;
        };
        let first = is(
            words.get(inner.start),
            &["a", "an", "two", "three", "some", "my"],
        );
        // A whole picture can be a painting of something.
        let among_others = words[..at]
            .iter()
            .chain(&words[inner.end..])
            .any(|word| is(Some(word), HANGS));
        if inner.len() <= 8 && (first || screen) && (screen || among_others) {
            return Some(Scenes::Nested {
                frame: span_of(words, at..at + 1),
                inner: span_of(words, inner),
            });
        }
    }
    None
}
