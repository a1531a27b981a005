//! Things joined into a phrase: lists, places and relations as people say them.

use atelier_models::props::vocabulary::Color;
use atelier_proto::plan::Predicate;
use rand::{Rng, RngExt};

use super::{
    Shares,
    nouns::Nouns,
    positions::{DEEDS, PLACES, RELATIONS},
    things::{Detail, Thing, pick, thing},
};

/// Things in the order of mention, how they stand to each other, and the phrase that says so.
pub struct Body {
    /// The things.
    pub things: Vec<Thing>,
    /// Subject, predicate, object by index.
    pub relations: Vec<(usize, Predicate, usize)>,
    /// The phrase; it begins with a thing unless `is_fronted`.
    pub phrase: String,
    /// The phrase is a sentence that begins with a place; nothing like `a photo of` fits before it.
    pub is_fronted: bool,
}

/// Of a hundred prompts, how many are lists of tags.
const TAGS: u32 = 7;

/// A random body of `number` things.
pub fn body(nouns: &Nouns, number: usize, shares: Shares, rng: &mut impl Rng) -> Body {
    let placed_to = TAGS + shares.placed;
    match rng.random_range(0..100) {
        at if at < TAGS => tags(nouns, number, rng),
        at if at < placed_to => placed(nouns, number, rng),
        at if at < placed_to + shares.related && number >= 2 => related(nouns, number, rng),
        _ => listed(nouns, number, rng),
    }
}

/// `number` things with different nouns.
fn things(nouns: &Nouns, number: usize, detail: Detail, rng: &mut impl Rng) -> Vec<Thing> {
    let mut things: Vec<Thing> = Vec::with_capacity(number);
    while things.len() < number {
        let next = thing(nouns, detail, rng);
        let known = things
            .iter()
            .any(|thing| thing.element.noun == next.element.noun);
        if !known {
            things.push(next);
        }
    }
    things
}

fn phrases(things: &[Thing]) -> Vec<String> {
    things.iter().map(|thing| thing.phrase.clone()).collect()
}

/// `cat, red ball`.
fn tags(nouns: &Nouns, number: usize, rng: &mut impl Rng) -> Body {
    let things = things(nouns, number, Detail::Tag, rng);
    Body {
        phrase: phrases(&things).join(", "),
        things,
        relations: Vec::new(),
        is_fronted: true,
    }
}

/// `a cat on the left and a dog on the right`, or places first.
fn placed(nouns: &Nouns, number: usize, rng: &mut impl Rng) -> Body {
    let mut things = things(nouns, number, Detail::Short, rng);
    let fronted = rng.random_bool(0.25);
    let all = fronted || rng.random_bool(0.6);
    let first = rng.random_range(0..PLACES.len());
    let mut parts = Vec::new();
    for (index, thing) in things.iter_mut().enumerate() {
        if !all && index > 0 && rng.random_bool(0.6) {
            parts.push(thing.phrase.clone());
            continue;
        }
        let (place, words) = &PLACES[(first + index * 5 + rng.random_range(0..3)) % PLACES.len()];
        thing.element.place = Some((*place).to_owned());
        let words = pick(words, rng);
        parts.push(if fronted {
            let verb = if thing.several {
                "there are"
            } else {
                "there is"
            };
            let verb = pick(&["", "", verb, verb, ","], rng);
            format!("{words} {verb} {}", thing.phrase).replace(" ,", ",")
        } else if rng.random_bool(0.08) {
            let verb = if thing.several { "are" } else { "is" };
            format!("{} {verb} {words}", thing.phrase)
        } else {
            format!("{} {words}", thing.phrase)
        });
    }
    let phrase = if rng.random_bool(0.12) {
        parts
            .iter()
            .map(|part| capitalised(part))
            .collect::<Vec<_>>()
            .join(". ")
    } else {
        joined(&parts, rng)
    };
    Body {
        things,
        relations: Vec::new(),
        phrase,
        is_fronted: fronted,
    }
}

/// `a cat next to a dog, and a ball`.
fn related(nouns: &Nouns, number: usize, rng: &mut impl Rng) -> Body {
    let detail = if rng.random_bool(0.6) {
        Detail::Short
    } else {
        Detail::Full
    };
    let things = things(nouns, number, detail, rng);
    let mut relations = Vec::new();
    let mut parts = Vec::new();
    let mut is_fronted = false;
    let mut at = 0;
    while at < number {
        let pair = at + 1 < number && (at == 0 || rng.random_bool(0.5));
        if !pair {
            parts.push(things[at].phrase.clone());
            at += 1;
            continue;
        }
        let (predicate, between, after) = pick(&RELATIONS, rng);
        let (first, second) = (&things[at], &things[at + 1]);
        let be = |thing: &Thing| if thing.several { "are" } else { "is" };
        let text = match rng.random_range(0..20) {
            0 if at == 0 => {
                is_fronted = true;
                relations.push((at + 1, predicate, at));
                let verb = pick(
                    &[" there is", " is", ",", " stands", " sits", " we see"],
                    rng,
                );
                format!(
                    "{} {}{verb} {}",
                    pick(between, rng),
                    first.phrase,
                    second.phrase
                )
            }
            1..=3 => format!("{} {} {}", first.phrase, pick(DEEDS, rng), second.phrase),
            4..=7 => {
                relations.push((at + 1, predicate, at));
                let with = pick(&[" with", " and", ", with", " that has"], rng);
                format!(
                    "{}{with} {} {}",
                    first.phrase,
                    second.phrase,
                    pick(after, rng)
                )
            }
            8 => {
                relations.push((at, predicate, at + 1));
                format!(
                    "{} {} {} {}",
                    first.phrase,
                    be(first),
                    pick(between, rng),
                    second.phrase
                )
            }
            _ => {
                relations.push((at, predicate, at + 1));
                format!("{} {} {}", first.phrase, pick(between, rng), second.phrase)
            }
        };
        parts.push(text);
        at += 2;
    }
    Body {
        phrase: joined(&parts, rng),
        things,
        relations,
        is_fronted,
    }
}

/// `a cat, a dog and a ball nearby`.
fn listed(nouns: &Nouns, number: usize, rng: &mut impl Rng) -> Body {
    let mut things = things(nouns, number, Detail::Full, rng);
    let mut relations = Vec::new();
    let mut parts = phrases(&things);
    for (index, part) in parts.iter_mut().enumerate() {
        // The draft has no word for what a verb says of it alone.
        if index == 0 && number == 1 || !rng.random_bool(0.16) {
            continue;
        }
        if index > 0 && index + 1 == number && rng.random_bool(0.4) {
            relations.push((index, Predicate::Near, 0));
            part.push_str(pick(
                &[" nearby", " close by", " next to it", " beside it"],
                rng,
            ));
        } else {
            let (place, words) = pick(&PLACES[8..], rng);
            things[index].element.place = Some((*place).to_owned());
            part.push(' ');
            part.push_str(pick(words, rng));
        }
    }
    // `a red cat and a blue cat`: the same noun twice.
    if number == 2 && relations.is_empty() && rng.random_bool(0.05) {
        let twin = twin(&things[0], rng);
        if let Some(twin) = twin {
            parts[1].clone_from(&twin.phrase);
            things[1] = twin;
        }
    }
    Body {
        phrase: joined(&parts, rng),
        things,
        relations,
        is_fronted: false,
    }
}

/// The same thing in another colour.
fn twin(thing: &Thing, rng: &mut impl Rng) -> Option<Thing> {
    let color = thing.element.color.as_deref()?;
    let other = pick(&Color::ALL, rng).name();
    let mut twin = thing.clone();
    twin.element.place = None;
    // `an orange` needs another article.
    let plain = color != other && color != "orange" && other != "orange";
    (plain && twin.phrase.matches(color).count() == 1).then(|| {
        twin.phrase = twin.phrase.replacen(color, other, 1);
        twin.element.color = Some(other.to_owned());
        twin
    })
}

/// The parts as a list in one of the ways people write them.
fn joined(parts: &[String], rng: &mut impl Rng) -> String {
    let Some((last, before)) = parts.split_last() else {
        return String::new();
    };
    if before.is_empty() {
        return last.clone();
    }
    let comma = if rng.random_bool(0.85) { ", " } else { " and " };
    let end = pick(
        &[
            " and ",
            " and ",
            " and ",
            " and ",
            ", and ",
            " with ",
            " with ",
            ", ",
            " plus ",
            " along with ",
            " together with ",
            " & ",
            " accompanied by ",
            " as well as ",
        ],
        rng,
    );
    format!("{}{end}{last}", before.join(comma))
}

/// With its first letter in upper case.
pub fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}
