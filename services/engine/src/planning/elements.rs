//! The cast of a picture: a draft's things, one element an instance, with their pictures and what they ask of the layout.

use atelier_proto::plan::{Element, Predicate, Relation};

use super::{Draft, DraftElement, Studio, layout::Wish, place::Place};

/// Most instances in a picture; the plan's schema and the token grid allow no more.
const MAX_INSTANCES: usize = atelier_proto::plan::MAX_ELEMENTS;
/// Longest noun or attribute in characters; what is longer is cut.
const MAX_WORDS: usize = 80;

/// Words of a draft's relation for each predicate; the first is the one that the planner is trained to write.
pub const PREDICATES: [(Predicate, &[&str]); 9] = [
    (Predicate::LeftOf, &["left_of", "left of", "to the left of"]),
    (
        Predicate::RightOf,
        &["right_of", "right of", "to the right of"],
    ),
    (Predicate::Above, &["above", "over"]),
    (Predicate::Below, &["below", "under", "beneath"]),
    (Predicate::On, &["on", "on top of", "riding", "wearing"]),
    (Predicate::In, &["in", "inside"]),
    (
        Predicate::Near,
        &["near", "next to", "beside", "by", "nearby"],
    ),
    (Predicate::Behind, &["behind"]),
    (Predicate::InFrontOf, &["in_front_of", "in front of"]),
];

/// Nouns that belong to the sky, matched as whole words.
const SKY: [&str; 31] = [
    "airplane",
    "plane",
    "balloon",
    "bat",
    "bird",
    "butterfly",
    "cloud",
    "comet",
    "crescent",
    "dove",
    "eagle",
    "earth",
    "fairy",
    "fireworks",
    "helicopter",
    "kite",
    "lightning",
    "moon",
    "parachute",
    "parrot",
    "planet",
    "rainbow",
    "rocket",
    "satellite",
    "saturn",
    "star",
    "stars",
    "sun",
    "thundercloud",
    "tornado",
    "ufo",
];

/// Instances that share noun, colour and words.
#[derive(Clone, Debug)]
pub struct Group {
    /// The prompt's noun.
    pub noun: String,
    /// Its colour word.
    pub color: Option<String>,
    /// Further words about it.
    pub attributes: Vec<String>,
    /// Where the prompt puts it.
    pub place: Place,
    /// Whether it is larger or smaller than usual, where the prompt says so.
    pub large: Option<bool>,
    /// Indices of its instances in the plan's elements.
    pub instances: std::ops::Range<usize>,
}

/// Everything that the draft's things became.
pub struct Cast {
    /// One element an instance, without boxes.
    pub elements: Vec<Element>,
    /// What each element asks of the layout.
    pub wishes: Vec<Wish>,
    /// Which elements belong together.
    pub groups: Vec<Group>,
    /// Relations between elements.
    pub relations: Vec<Relation>,
}

/// Casts the draft's things: counts become instances, words such as `drinking coffee` bring the coffee along.
pub fn cast(draft: &Draft, studio: &Studio<'_>, notes: &mut Vec<String>) -> Cast {
    let mut cast = Cast {
        elements: Vec::new(),
        wishes: Vec::new(),
        groups: Vec::new(),
        relations: Vec::new(),
    };
    for thing in &draft.elements {
        add(&mut cast, thing, studio, notes);
    }
    for (subject, words, object) in &draft.relations {
        let predicate = predicate(words);
        match (find(&cast, subject), predicate, find(&cast, object)) {
            (Some(a), Some(predicate), Some(b)) if a != b => relate(&mut cast, a, predicate, b),
            _ => notes.push(format!("relation left out: {subject} {words} {object}")),
        }
    }
    for group in 0..cast.groups.len() {
        bring_along(&mut cast, group, studio);
    }
    cast
}

fn add(
    cast: &mut Cast,
    thing: &DraftElement,
    studio: &Studio<'_>,
    notes: &mut Vec<String>,
) -> Option<usize> {
    let noun = short(&thing.noun);
    if noun.is_empty() {
        return None;
    }
    let wanted = usize::from(thing.count.unwrap_or(1)).max(1);
    let count = wanted.min(MAX_INSTANCES - cast.elements.len());
    if count < wanted {
        notes.push(format!(
            "{count} of {wanted} x {noun}: a plan holds at most {MAX_INSTANCES} things"
        ));
    }
    if count == 0 {
        return None;
    }
    let reference = studio
        .reference_names
        .iter()
        .find(|name| means(&noun, name))
        .map(|name| format!("refs/{name}"))
        .or_else(|| {
            let name = (studio.prop_of)(&noun).or_else(|| {
                let name = (studio.stand_in)(&noun)?;
                notes.push(format!("{noun} is drawn as {name}, which it is a kind of"));
                Some(name)
            })?;
            Some(format!("props/{name}"))
        });
    let color = thing
        .color
        .as_deref()
        .map(short)
        .filter(|color| !color.is_empty());
    let attributes: Vec<String> = thing
        .with
        .iter()
        .map(|words| short(words))
        .filter(|words| !words.is_empty())
        .take(6)
        .collect();
    let place = thing.place.as_deref().map(Place::parse).unwrap_or_default();
    let large = match thing.size.as_deref() {
        Some("large" | "big" | "huge" | "giant") => Some(true),
        Some("small" | "tiny" | "little") => Some(false),
        _ => None,
    };
    let start = cast.elements.len();
    for instance in 0..count {
        let id = free_id(cast, &noun, (count > 1).then_some(instance + 1));
        cast.elements.push(Element {
            id,
            noun: noun.clone(),
            count: 1,
            attributes: attributes.clone(),
            colors: color.iter().cloned().collect(),
            bbox: None,
            reference: reference.clone(),
        });
        cast.wishes.push(Wish {
            place,
            large,
            in_sky: words_of(&noun).any(|word| SKY.contains(&word.as_str())),
            ..Wish::default()
        });
    }
    cast.groups.push(Group {
        noun,
        color,
        attributes,
        place,
        large,
        instances: start..start + count,
    });
    Some(cast.groups.len() - 1)
}

/// Adds what a group's words hold: `drinking coffee` puts a cup of coffee beside, `wearing a hat` a hat on top.
fn bring_along(cast: &mut Cast, group: usize, studio: &Studio<'_>) {
    const WORN: [&str; 1] = ["wearing"];
    const UNDER: [&str; 4] = ["riding", "sitting", "standing", "driving"];
    const HELD: [&str; 13] = [
        "holding", "drinking", "eating", "with", "carrying", "playing", "reading", "having",
        "flying", "using", "watching", "pushing", "and",
    ];
    for words in cast.groups[group].attributes.clone() {
        let Some((verb, rest)) = words.split_once(' ') else {
            continue;
        };
        let verb = verb.to_ascii_lowercase();
        let rest = rest.strip_prefix("on ").unwrap_or(rest);
        let known = WORN.contains(&verb.as_str())
            || UNDER.contains(&verb.as_str())
            || HELD.contains(&verb.as_str());
        // What the prompt names on its own is there already.
        if !known
            || cast.elements.len() >= MAX_INSTANCES
            || (studio.prop_of)(rest).is_none()
            || find(cast, rest).is_some()
        {
            continue;
        }
        let mut nothing = Vec::new();
        let thing = DraftElement {
            noun: bare(rest),
            ..DraftElement::default()
        };
        let Some(added) = add(cast, &thing, studio, &mut nothing) else {
            continue;
        };
        let (holder, held) = (
            cast.groups[group].instances.start,
            cast.groups[added].instances.start,
        );
        match verb.as_str() {
            "wearing" => relate(cast, held, Predicate::On, holder),
            verb if UNDER.contains(&verb) => relate(cast, holder, Predicate::On, held),
            _ => relate(cast, held, Predicate::Near, holder),
        }
    }
}

fn relate(cast: &mut Cast, subject: usize, predicate: Predicate, object: usize) {
    let relation = Relation {
        subject: cast.elements[subject].id.clone(),
        predicate,
        object: cast.elements[object].id.clone(),
    };
    if !cast.relations.contains(&relation)
        && cast.relations.len() < atelier_proto::plan::MAX_RELATIONS
    {
        cast.wishes[subject].relations.push((predicate, object));
        cast.relations.push(relation);
    }
}

/// The first element that a noun means.
fn find(cast: &Cast, noun: &str) -> Option<usize> {
    cast.elements
        .iter()
        .position(|element| element.noun.eq_ignore_ascii_case(noun.trim()))
        .or_else(|| {
            cast.elements
                .iter()
                .position(|element| means(noun, &element.noun))
        })
}

/// Whether the words of `name` all stand in `noun` (`cat` in `fluffy cat`), plural or not.
pub fn means(noun: &str, name: &str) -> bool {
    let noun: Vec<String> = words_of(noun).map(|word| stem(&word)).collect();
    let mut name = words_of(name).map(|word| stem(&word)).peekable();
    name.peek().is_some() && name.all(|word| noun.contains(&word))
}

fn stem(word: &str) -> String {
    word.strip_suffix('s')
        .filter(|stem| stem.len() > 2 && !stem.ends_with('s'))
        .unwrap_or(word)
        .to_owned()
}

fn words_of(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

/// How drafts write a predicate, the plainest first.
pub fn phrases(predicate: Predicate) -> &'static [&'static str] {
    let known = PREDICATES.iter().find(|(one, _)| *one == predicate);
    known.map_or(&[], |(_, phrases)| *phrases)
}

/// The predicate that a draft's words mean.
pub fn predicate(words: &str) -> Option<Predicate> {
    let words = words.trim().to_ascii_lowercase();
    PREDICATES
        .iter()
        .find(|(_, known)| known.contains(&words.as_str()))
        .map(|(predicate, _)| *predicate)
}

/// Without a leading article.
fn bare(words: &str) -> String {
    let words = words.trim();
    let rest = words.split_once(' ').filter(|(first, _)| {
        matches!(
            first.to_ascii_lowercase().as_str(),
            "a" | "an" | "the" | "some" | "his" | "her" | "its" | "their"
        )
    });
    rest.map_or(words, |(_, rest)| rest).to_owned()
}

/// Trimmed, without control characters, of bounded length.
fn short(text: &str) -> String {
    let clean: String = text
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_WORDS)
        .collect();
    clean.trim().to_owned()
}

/// An id that no element has: the noun's letters, and the instance where there are several.
fn free_id(cast: &Cast, noun: &str, instance: Option<usize>) -> String {
    let slug: String = words_of(noun)
        .map(|word| {
            word.chars()
                .filter(char::is_ascii_alphanumeric)
                .collect::<String>()
        })
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("-")
        .chars()
        .take(40)
        .collect();
    let slug = if slug.is_empty() {
        "thing".to_owned()
    } else {
        slug
    };
    let first = instance.map_or_else(|| slug.clone(), |instance| format!("{slug}-{instance}"));
    let taken = |id: &String| cast.elements.iter().any(|element| element.id == *id);
    std::iter::once(first)
        .chain((2..).map(|number| format!("{slug}-{number}")))
        .find(|id| !taken(id))
        .expect("there are more numbers than elements")
}
