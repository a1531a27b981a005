//! One thing of a training prompt: what the draft says of it, and how a person may say it.

use atelier_engine::planning::DraftElement;
use atelier_models::props::vocabulary::Color;
use rand::{Rng, RngExt, seq::IndexedRandom};

use super::{
    nouns::{Noun, Nouns},
    traits::{ADJECTIVES, COUNTS, DOING, STATE, WORN, WORN_MANY},
};

/// A thing and its phrase.
#[derive(Clone, Debug)]
pub struct Thing {
    /// What the draft says.
    pub element: DraftElement,
    /// The phrase with its article or number, without a place.
    pub phrase: String,
    /// Whether a verb after it is in the plural.
    pub several: bool,
}

/// How much a thing may be said about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Number, colour, size and words.
    Full,
    /// No clauses after the noun: something follows there.
    Short,
    /// The bare noun with its colour, as in a list of tags.
    Tag,
}

/// A random thing.
pub fn thing(nouns: &Nouns, detail: Detail, rng: &mut impl Rng) -> Thing {
    let noun = nouns.pick(rng);
    let mut element = DraftElement {
        noun: noun.single.clone(),
        ..DraftElement::default()
    };
    let count =
        (!noun.mass && noun.name.is_none() && rng.random_bool(0.24)).then(|| pick(COUNTS, rng));
    // `cats playing` without a number: as it is written.
    let bare_plural = count.is_none()
        && !noun.mass
        && noun.name.is_none()
        && noun.plural != noun.single
        && rng.random_bool(0.04);
    if bare_plural {
        element.noun = noun.plural.clone();
    }
    element.count = count.map(|(_, number)| number);
    let several = count.is_some() || bare_plural || noun.mass;
    let mut words: Vec<String> = Vec::new();
    if detail != Detail::Tag || rng.random_bool(0.2) {
        if rng.random_bool(0.12) {
            words.push(size(&mut element, rng).to_owned());
        }
        if rng.random_bool(0.22) {
            let adjective = pick(ADJECTIVES, rng);
            element.with.push(adjective.to_owned());
            words.push(adjective.to_owned());
        }
    }
    let mut after = String::new();
    if rng.random_bool(0.36) {
        let (color, said) = color(rng);
        // Not `an orange orange`, which says nothing.
        if !noun.single.contains(said) {
            element.color = Some(color.name().to_owned());
            if detail == Detail::Full && rng.random_bool(0.05) {
                let verb = if several { "are" } else { "is" };
                after = format!(" {} {verb} {said}", pick(&["that", "which"], rng));
            } else {
                words.push(shade(said, rng));
            }
        }
    }
    words.push(named(noun, several && !noun.mass));
    let mut phrase = words.join(" ");
    if detail == Detail::Full && after.is_empty() {
        after = clauses(&mut element, rng);
    }
    phrase = with_article(
        &phrase,
        noun,
        count.map(|(said, _)| said),
        bare_plural,
        detail,
        rng,
    );
    phrase.push_str(&after);
    Thing {
        element,
        phrase,
        several,
    }
}

fn named(noun: &Noun, plural: bool) -> String {
    match &noun.name {
        Some(name) => name.clone(),
        None if plural => noun.plural.clone(),
        None => noun.single.clone(),
    }
}

fn with_article(
    phrase: &str,
    noun: &Noun,
    count: Option<&str>,
    bare_plural: bool,
    detail: Detail,
    rng: &mut impl Rng,
) -> String {
    if let Some(count) = count {
        return format!("{count} {phrase}");
    }
    if bare_plural || detail == Detail::Tag {
        return phrase.to_owned();
    }
    if noun.mass {
        let lead = pick(&["", "", "some ", "the "], rng);
        return format!("{lead}{phrase}");
    }
    if let Some(name) = &noun.name {
        let person = name.starts_with(|c: char| c.is_uppercase())
            && !matches!(
                name.as_str(),
                "Earth" | "Statue of Liberty" | "Christmas tree"
            );
        // `a blue Earth`, but `Santa Claus` and `the moon`.
        if phrase == *name {
            return if person {
                phrase.to_owned()
            } else {
                format!("the {phrase}")
            };
        }
    }
    match rng.random_range(0..40) {
        0..=2 => format!("the {phrase}"),
        3 => format!("one {phrase}"),
        4 => format!(
            "{} {phrase}",
            pick(&["my", "this", "a single", "her", "another"], rng)
        ),
        5 => phrase.to_owned(),
        _ => article(phrase),
    }
}

/// The phrase with `a` or `an`.
pub fn article(phrase: &str) -> String {
    let vowel = phrase.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U'])
        && !phrase.starts_with("uni")
        && !phrase.starts_with("ufo")
        && !phrase.starts_with("euro");
    format!("{} {phrase}", if vowel { "an" } else { "a" })
}

fn size(element: &mut DraftElement, rng: &mut impl Rng) -> &'static str {
    const SMALL: &[&str] = &["small", "tiny", "little", "miniature", "small", "tiny"];
    const LARGE: &[&str] = &[
        "large",
        "big",
        "huge",
        "giant",
        "enormous",
        "gigantic",
        "massive",
        "oversized",
        "big",
    ];
    let (size, said) = if rng.random_bool(0.5) {
        ("small", pick(SMALL, rng))
    } else {
        ("large", pick(LARGE, rng))
    };
    element.size = Some(size.to_owned());
    said
}

fn color(rng: &mut impl Rng) -> (Color, &'static str) {
    let color = pick(&Color::ALL, rng);
    let said = if rng.random_bool(0.8) {
        color.name()
    } else {
        pick(color.words(), rng)
    };
    // These mean something else before a noun.
    match said {
        "rose" | "pale" | "lime" | "olive" | "ruby" | "gold" | "silver" | "blond" | "blonde" => {
            (color, color.name())
        }
        said => (color, said),
    }
}

fn shade(said: &str, rng: &mut impl Rng) -> String {
    match rng.random_range(0..14) {
        0 => format!(
            "{} {said}",
            pick(&["bright", "dark", "light", "deep", "pale"], rng)
        ),
        1 => format!("{said}-colored"),
        _ => said.to_owned(),
    }
}

/// Words after the noun, each an attribute.
fn clauses(element: &mut DraftElement, rng: &mut impl Rng) -> String {
    let number = match rng.random_range(0..100) {
        0..=64 => 0,
        65..=89 => 1,
        _ => 2,
    };
    let mut text = String::new();
    for index in 0..number {
        let clause = clause(rng);
        let joint = if index == 0 {
            " "
        } else {
            pick(&[" ", " and ", ", "], rng)
        };
        text.push_str(joint);
        text.push_str(&clause);
        element.with.push(clause);
    }
    text
}

fn clause(rng: &mut impl Rng) -> String {
    match rng.random_range(0..10) {
        0..=2 => {
            let verb = pick(&["wearing", "wearing", "in", "dressed in"], rng);
            if rng.random_bool(0.25) {
                format!("{verb} {}", pick(WORN_MANY, rng))
            } else {
                let mut item = pick(WORN, rng).to_owned();
                if rng.random_bool(0.3) {
                    item = format!("{} {item}", pick(&Color::ALL, rng).name());
                }
                format!("{verb} {}", article(&item))
            }
        }
        3..=4 => {
            let held = [
                "balloon",
                "cup of coffee",
                "umbrella",
                "sword",
                "bouquet",
                "flag",
                "lantern",
                "book",
                "fish",
                "magic wand",
                "phone",
                "camera",
                "gift",
                "sign",
                "guitar",
                "candle",
                "trophy",
                "flower",
                "pizza",
                "cup of tea",
                "suitcase",
                "basket",
                "pen",
            ];
            let mut item = pick(&held, rng).to_owned();
            if rng.random_bool(0.25) {
                item = format!("{} {item}", pick(&Color::ALL, rng).name());
            }
            format!(
                "{} {}",
                pick(&["holding", "holding", "carrying"], rng),
                article(&item)
            )
        }
        5..=7 => pick(DOING, rng).to_owned(),
        _ => pick(STATE, rng).to_owned(),
    }
}

/// One of a list of the source.
pub fn pick<T: Copy>(list: &[T], rng: &mut impl Rng) -> T {
    *list.choose(rng).expect("lists of the source are not empty")
}
