//! Relations that the prompt says outright: `a cat further left than a dog`, `a dog with a cat on its left`. Small planners know a few ways to say a
//! side and miss the others, or take `over to the left of` for `over`.

use std::ops::Range;

use atelier_proto::plan::Predicate;

use super::{
    Draft, DraftElement,
    elements::{phrases, predicate},
    evidence::{Witness, same_words},
    words::{Word, starts},
};

/// What the words of a prompt say of two things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Number of the thing that stands so.
    pub subject: usize,
    pub predicate: Predicate,
    /// Number of the thing that it stands so to.
    pub object: usize,
    /// The words that say it.
    pub words: Range<usize>,
    /// These words are about no other things: `to the left of it`.
    pub of_it: bool,
}

/// Words before a relation that say nothing of where.
const PLACED: &[&str] = &[
    ",",
    "that",
    "which",
    "is",
    "are",
    "stands",
    "sits",
    "lies",
    "hangs",
    "floats",
    "hovers",
    "placed",
    "positioned",
    "located",
    "situated",
    "standing",
    "sitting",
    "seated",
    "lying",
    "resting",
    "hanging",
    "floating",
    "hovering",
    "parked",
    "set",
    "put",
    "somewhere",
    "directly",
    "immediately",
    "just",
    "exactly",
    "straight",
    "clearly",
    "slightly",
    "right",
    "a",
    "bit",
    "little",
    "well",
    "far",
    "way",
    "high",
    "down",
    "up",
];

/// Words before `left` and `right`.
const LEAD: &[&str] = &[
    "to", "on", "at", "off", "over", "the", "more", "further", "farther", "far",
];

/// Words that end what is said of a thing.
const PARTING: &[&str] = &[
    ",", ";", ":", ".", "/", "|", ">", "and", "or", "with", "plus", "also", "besides", "but",
    "while", "it", "them",
];

/// The thing that was named before.
const IT: &[&str] = &["it", "them", "him", "her", "that", "this"];

/// Of what was named before.
const ITS: &[&str] = &["its", "his", "her", "their"];

/// Most words between a relation and the noun of its object: `a very big old brown`.
pub const BEFORE_NOUN: usize = 5;

/// Ways to say the other relations; the longest that stands there is meant.
const PHRASES: &[(Predicate, &[&str])] = &[
    (
        Predicate::Above,
        &[
            "above",
            "up above",
            "higher than",
            "higher up than",
            "further up than",
            "farther up than",
        ],
    ),
    (
        Predicate::Below,
        &[
            "below",
            "down below",
            "beneath",
            "underneath",
            "under",
            "lower than",
            "lower down than",
            "further down than",
            "farther down than",
        ],
    ),
    (Predicate::On, &["on top of", "atop"]),
    (
        Predicate::Near,
        &[
            "next to",
            "beside",
            "close to",
            "near",
            "near to",
            "alongside",
            "adjacent to",
            "close by",
        ],
    ),
    (Predicate::Behind, &["behind", "in back of"]),
    (Predicate::InFrontOf, &["in front of"]),
];

/// The draft with the relations that the prompt says of its things and the draft does not.
pub fn bound(draft: &Draft, witness: &Witness<'_>) -> Draft {
    let mut draft = with_things_beside(draft, witness);
    let mut taken = Vec::new();
    let named: Vec<Option<Range<usize>>> = draft
        .elements
        .iter()
        .map(|thing| {
            let words = witness.find(&thing.noun, &taken);
            taken.extend(words.clone());
            words
        })
        .collect();
    let noun = |thing: usize| draft.elements[thing].noun.clone();
    let all = said(&witness.words, &named);
    for said in &all {
        let (subject, object) = (noun(said.subject), noun(said.object));
        // Relations know their things by noun.
        let is_one = |noun: &String| {
            let same = draft.elements.iter().filter(|thing| thing.noun == *noun);
            same.count() == 1
        };
        if !is_one(&subject) || !is_one(&object) {
            continue;
        }
        let about = |(a, _, b): &(String, String, String)| {
            (*a == subject && *b == object) || (*a == object && *b == subject)
        };
        // What the draft says by words of its own stays; what it took from the midst of these words goes.
        let stands = |(a, words, b): &(String, String, String)| {
            let Some(known) = predicate(words) else {
                return false;
            };
            let same = (a, known) == (&subject, said.predicate)
                || (b, known) == (&subject, opposite(said.predicate));
            same || is_said_elsewhere(witness, known, &said.words)
        };
        if draft.relations.iter().any(|one| about(one) && stands(one)) {
            continue;
        }
        draft.relations.retain(|one| !about(one));
        let plainest = phrases(said.predicate).first().copied().unwrap_or_default();
        draft.relations.push((subject, plainest.to_owned(), object));
    }
    for said in all.iter().filter(|said| said.of_it) {
        let nouns = [noun(said.subject), noun(said.object)];
        draft.relations.retain(|(a, words, b)| {
            let others = !nouns.contains(a) || !nouns.contains(b);
            let taken = predicate(words).is_some_and(|known| {
                is_said_at(witness, known, said.words.clone())
                    && !is_said_elsewhere(witness, known, &said.words)
            });
            !(others && taken)
        });
    }
    draft
}

/// The draft with a thing of its own for what it took for a word about another: `a cat with a scarf over to the left of it`.
fn with_things_beside(draft: &Draft, witness: &Witness<'_>) -> Draft {
    let mut draft = draft.clone();
    let mut beside = Vec::new();
    for (number, thing) in draft.elements.iter_mut().enumerate() {
        thing.with.retain(|words| {
            let noun = words.strip_prefix("with ").map(|rest| {
                let bare = ["a ", "an ", "the "];
                bare.iter()
                    .find_map(|article| rest.strip_prefix(article))
                    .unwrap_or(rest)
            });
            let found = noun.and_then(|_| witness.find(words, &[]));
            let told = found.is_some_and(|found| {
                of_it(&witness.words, found.end..witness.words.len()).is_some()
            });
            if let (Some(noun), true) = (noun, told) {
                beside.push((number + 1 + beside.len(), noun.to_owned()));
            }
            !told
        });
    }
    for (at, noun) in beside {
        if draft
            .elements
            .iter()
            .all(|thing| !same_words(&thing.noun, &noun))
        {
            let thing = DraftElement {
                noun,
                ..DraftElement::default()
            };
            draft.elements.insert(at.min(draft.elements.len()), thing);
        }
    }
    draft
}

/// What the other thing is to the first.
const fn opposite(predicate: Predicate) -> Predicate {
    match predicate {
        Predicate::LeftOf => Predicate::RightOf,
        Predicate::RightOf => Predicate::LeftOf,
        Predicate::Above => Predicate::Below,
        Predicate::Below => Predicate::Above,
        Predicate::Behind => Predicate::InFrontOf,
        Predicate::InFrontOf => Predicate::Behind,
        same @ (Predicate::On | Predicate::In | Predicate::Near) => same,
    }
}

/// Whether words of a relation begin in the prompt anywhere but among `words`.
fn is_said_elsewhere(witness: &Witness<'_>, predicate: Predicate, words: &Range<usize>) -> bool {
    let elsewhere = (0..witness.words.len()).filter(|at| !words.contains(at));
    is_said_at(witness, predicate, elsewhere)
}

/// Whether words of a relation begin at any of these.
fn is_said_at(
    witness: &Witness<'_>,
    predicate: Predicate,
    mut places: impl Iterator<Item = usize>,
) -> bool {
    places.any(|at| {
        let mut phrases = phrases(predicate).iter();
        phrases.any(|phrase| starts(&witness.words, at, phrase).is_some())
    })
}

/// The relations that are said of things whose nouns stand at `named`; of several instances with the same words the first is told.
pub fn said(words: &[Word], named: &[Option<Range<usize>>]) -> Vec<Said> {
    let mut things: Vec<(Range<usize>, usize)> = Vec::new();
    for (thing, range) in named.iter().enumerate() {
        if let Some(range) = range
            && things.iter().all(|(known, _)| known != range)
        {
            things.push((range.clone(), thing));
        }
    }
    things.sort_by_key(|(range, _)| range.start);
    let mut all = Vec::new();
    for (index, pair) in things.windows(2).enumerate() {
        let [(a, first), (b, second)] = pair else {
            continue;
        };
        let end = things
            .get(index + 2)
            .map_or(words.len(), |(next, _)| next.start);
        let told =
            |subject: usize, object: usize, (predicate, words): (Predicate, Range<usize>)| Said {
                subject,
                predicate,
                object,
                words,
                of_it: false,
            };
        let found = between(words, a.end..b.start)
            .map(|found| told(*first, *second, found))
            .or_else(|| {
                has(words, a.end..b.start)
                    .then(|| of_it(words, b.end..end))?
                    .map(|found| Said {
                        of_it: true,
                        ..told(*second, *first, found)
                    })
            })
            .or_else(|| {
                (index == 0)
                    .then(|| in_front(words, a, b.start))?
                    .map(|found| told(*second, *first, found))
            });
        all.extend(found);
    }
    all
}

/// `A placed left of a brown B`: the relation in the words between both.
fn between(words: &[Word], range: Range<usize>) -> Option<(Predicate, Range<usize>)> {
    let (predicate, found) = after_placed(words, range.clone())?;
    is_plain(words, found.end..range.end).then_some((predicate, found))
}

/// `B with A`: whether the words between them say that what follows is about both.
fn has(words: &[Word], range: Range<usize>) -> bool {
    let from = range.start + usize::from(is(words, range.start, &[","]));
    is(words, from, &["with", "has", "having"]) && is_plain(words, from + 1..range.end)
}

/// `.. over to the left of it`, `.. on its left`: what the words behind a thing say of it and the one before.
fn of_it(words: &[Word], range: Range<usize>) -> Option<(Predicate, Range<usize>)> {
    if let Some((predicate, found)) = after_placed(words, range.clone()) {
        return is(words, found.end, IT).then(|| (predicate, found.start..found.end + 1));
    }
    let from = placed(words, range.clone()).find(|at| is(words, *at, &["on", "to", "at"]))?;
    let side = from + 2;
    let predicate = side_of(words, side).filter(|_| is(words, from + 1, ITS))?;
    let end = side_end(words, side + 1);
    (end <= range.end && (end == words.len() || is(words, end, PARTING)))
        .then_some((predicate, from..end))
}

/// `Left of B stands A`, at the very beginning.
fn in_front(
    words: &[Word],
    object: &Range<usize>,
    subject: usize,
) -> Option<(Predicate, Range<usize>)> {
    let (predicate, found) = relation(words, 0)?;
    let verb = object.end + usize::from(is(words, object.end, &[","]));
    let verbs = [
        "is", "are", "stands", "sits", "lies", "hangs", "floats", "hovers", "there",
    ];
    let told = verb > object.end || is(words, verb, &verbs);
    let from = (verb..subject)
        .find(|at| !is(words, *at, &verbs))
        .unwrap_or(subject);
    (told && is_plain(words, found.end..object.start) && is_plain(words, from..subject))
        .then_some((predicate, found))
}

/// The first relation behind words that only place.
fn after_placed(words: &[Word], range: Range<usize>) -> Option<(Predicate, Range<usize>)> {
    let (predicate, found) = placed(words, range.clone()).find_map(|at| relation(words, at))?;
    (found.end <= range.end).then_some((predicate, found))
}

/// Where something may begin behind words that only place.
fn placed(words: &[Word], range: Range<usize>) -> impl Iterator<Item = usize> {
    let leads = range
        .clone()
        .take_while(|at| is(words, *at, PLACED))
        .count();
    (range.start..=range.start + leads).filter(move |at| *at < range.end)
}

/// The relation whose words begin at `at`.
fn relation(words: &[Word], at: usize) -> Option<(Predicate, Range<usize>)> {
    let leads = (at..words.len())
        .take_while(|at| is(words, *at, LEAD))
        .count();
    let side = at + leads;
    if let Some(predicate) = side_of(words, side) {
        let end = side_end(words, side + 1);
        if is(words, end, &["of", "from", "than"]) {
            return Some((predicate, at..end + 1));
        }
    }
    let phrases = PHRASES.iter().flat_map(|(predicate, phrases)| {
        let ends = phrases
            .iter()
            .filter_map(|phrase| starts(words, at, phrase));
        ends.map(|end| (*predicate, at..end))
    });
    phrases.max_by_key(|(_, found)| found.end)
}

fn side_of(words: &[Word], at: usize) -> Option<Predicate> {
    match words.get(at)?.text.as_str() {
        "left" | "leftward" | "leftwards" => Some(Predicate::LeftOf),
        "right" | "rightward" | "rightwards" => Some(Predicate::RightOf),
        _ => None,
    }
}

/// Where `left`, `left side` or `left-hand side` ends.
fn side_end(words: &[Word], at: usize) -> usize {
    let side = at + usize::from(is(words, at, &["hand"]));
    match is(words, side, &["side"]) {
        true => side + 1,
        false => at,
    }
}

/// Whether only words for what a noun is like stand there.
fn is_plain(words: &[Word], range: Range<usize>) -> bool {
    range.len() <= BEFORE_NOUN && range.into_iter().all(|at| !is(words, at, PARTING))
}

fn is(words: &[Word], at: usize, among: &[&str]) -> bool {
    words
        .get(at)
        .is_some_and(|word| among.contains(&word.text.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(nouns: &[&str], relations: &[(&str, &str, &str)]) -> Draft {
        let thing = |noun: &&str| DraftElement {
            noun: (*noun).to_owned(),
            ..DraftElement::default()
        };
        let relation = |(a, words, b): &(&str, &str, &str)| {
            ((*a).to_owned(), (*words).to_owned(), (*b).to_owned())
        };
        Draft {
            elements: nouns.iter().map(thing).collect(),
            relations: relations.iter().map(relation).collect(),
            ..Draft::default()
        }
    }

    /// The relations of a draft of a cat and a dog after the prompt was read, in short.
    fn read(prompt: &str, relations: &[(&str, &str, &str)]) -> Vec<String> {
        let draft = draft(&["cat", "dog", "red ball"], relations);
        let made = bound(&draft, &Witness::new(prompt, &|_| None));
        let short = made.relations.iter();
        short
            .map(|(a, words, b)| format!("{a} {words} {b}"))
            .collect()
    }

    #[test]
    fn what_is_said_between_two_things_is_added() {
        for (prompt, told) in [
            ("a cat further left than a dog", "cat left_of dog"),
            (
                "a cat to the right-hand side of the dog",
                "cat right_of dog",
            ),
            (
                "a cat placed on the left side of a big dog",
                "cat left_of dog",
            ),
            ("a cat, off to the right of a dog", "cat right_of dog"),
            ("a cat that is slightly left of one dog", "cat left_of dog"),
            ("a cat lower down than a dog", "cat below dog"),
            ("a cat directly beneath an old brown dog", "cat below dog"),
            ("a cat higher up than a dog", "cat above dog"),
            ("a cat sitting in back of a dog", "cat behind dog"),
            ("a cat on top of a dog", "cat on dog"),
            ("a cat close to a dog", "cat near dog"),
            (
                "a dog with a black cat over to the left of it",
                "cat left_of dog",
            ),
            ("a dog with a cat on its right", "cat right_of dog"),
            (
                "a dog with a cat to its left side, at night",
                "cat left_of dog",
            ),
            ("a dog, with a cat underneath it", "cat below dog"),
            ("To the left of a dog is a small cat", "cat left_of dog"),
            ("below the dog, a cat", "cat below dog"),
        ] {
            assert_eq!(read(prompt, &[]), [told], "{prompt}");
        }
    }

    #[test]
    fn what_is_not_said_of_both_is_not() {
        for prompt in [
            "a cat and, left of a tree, a dog",
            "a cat on the left and a dog",
            "a cat over a dog",
            "a cat with a dog in its left hand",
            "a cat, the dog is above it all",
            "a cat left of a house and a dog",
            "a cat right in front, a dog",
            "a dog with a cat above it and below",
        ] {
            let told = read(prompt, &[]);
            let above = prompt.contains("cat above it and");
            assert_eq!(told.len(), usize::from(above), "{prompt}: {told:?}");
        }
    }

    #[test]
    fn of_three_things_each_has_its_own() {
        let told = read("a cat left of a dog with a red ball above it", &[]);
        assert_eq!(told, ["cat left_of dog", "red ball above dog"]);
    }

    #[test]
    fn what_the_draft_says_by_words_of_its_own_stays() {
        let prompt = "a cat to the left of a dog, the cat behind the dog";
        let behind = [("cat", "behind", "dog")];
        assert_eq!(read(prompt, &behind), ["cat behind dog"]);
        let turned = [("dog", "right_of", "cat")];
        assert_eq!(read("a cat left of a dog", &turned), ["dog right_of cat"]);
        // `over` is only a part of what is said.
        let over = [("cat", "above", "dog")];
        assert_eq!(
            read("a dog with a cat over to the left of it", &over),
            ["cat left_of dog"]
        );
        let wrong_way = [("dog", "left_of", "cat")];
        assert_eq!(read("a cat left of a dog", &wrong_way), ["cat left_of dog"]);
    }

    #[test]
    fn what_stands_beside_a_thing_is_no_word_about_it() {
        let mut given = draft(&["cat", "red ball"], &[("cat", "left_of", "red ball")]);
        given.elements[0].with = ["with a dog", "with wings"].map(str::to_owned).to_vec();
        let prompt = "a cat with a dog over to the left of it, two red balls, the cat with wings";
        let made = bound(&given, &Witness::new(prompt, &|_| None));
        let nouns: Vec<&str> = made
            .elements
            .iter()
            .map(|thing| thing.noun.as_str())
            .collect();
        assert_eq!(nouns, ["cat", "dog", "red ball"]);
        assert_eq!(made.elements[0].with, ["with wings"]);
        // Its words were about the dog.
        let relation = ("dog", "left_of", "cat");
        assert_eq!(made.relations, draft(&[], &[relation]).relations);
        let carried = "a cat with a dog, a red ball left of the cat";
        let made = bound(&given, &Witness::new(carried, &|_| None));
        assert_eq!(made.elements[0].with.len(), 2);
    }

    #[test]
    fn things_that_a_noun_does_not_tell_apart_are_left_alone() {
        let draft = draft(&["cat", "cat", "dog"], &[]);
        let prompt = "a cat and a cat left of a dog";
        let made = bound(&draft, &Witness::new(prompt, &|_| None));
        assert_eq!(made, draft);
    }
}
