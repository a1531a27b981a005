//! Endless random prompts with the drafts that a planner shall make of them.

mod body;
mod nouns;
mod positions;
mod setting;
mod things;
mod traits;

use atelier_engine::planning::{Draft, PREDICATES};
use rand::{Rng, RngExt};

pub use nouns::{Nouns, plural};

use body::{body, capitalised};
use setting::{PLACES, TIME_SCENES, time};
pub use things::article;
use things::pick;

/// A prompt and what it says.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What a user may write.
    pub prompt: String,
    /// What the planner shall write.
    pub draft: Draft,
}

/// Of a hundred prompts, how many say of each thing where it is, and how many how things stand to each other.
#[derive(Clone, Copy, Debug)]
pub struct Shares {
    /// Prompts with places.
    pub placed: u32,
    /// Prompts with relations, where there is more than one thing.
    pub related: u32,
}

impl Shares {
    /// Of the first run.
    pub const FIRST: Self = Self {
        placed: 16,
        related: 30,
    };
    /// Of runs since.
    pub const NOW: Self = Self {
        placed: 22,
        related: 30,
    };
}

/// Nothing that a draft says, before the things.
const LEADS: &[&str] = &[
    "a photo of",
    "a picture of",
    "an image of",
    "draw",
    "please draw",
    "draw me",
    "paint",
    "i want",
    "I want to see",
    "show me",
    "an oil painting of",
    "a drawing of",
    "create an image of",
    "generate",
    "generate a picture of",
    "make a picture with",
    "a photograph of",
    "a watercolor of",
    "an illustration of",
    "a 3d render of",
    "can you draw",
    "I would like",
    "a close-up of",
    "a cute illustration of",
    "a realistic photo of",
    "a cartoon of",
    "imagine",
    "please make an image of",
    "a scene with",
    "a poster of",
    "a sketch of",
    "we see",
    "a still life with",
    "pixel art of",
    "a portrait of",
    "give me",
    "there is",
    "there are",
];

/// Nothing that a draft says, after everything.
const STYLES: &[&str] = &[
    "digital art",
    "highly detailed",
    "4k",
    "8k, photorealistic",
    "in the style of van gogh",
    "watercolor",
    "oil painting",
    "cinematic lighting",
    "trending on artstation",
    "pixel art",
    "studio lighting",
    "bokeh",
    "wide angle",
    "concept art",
    "flat design",
    "please",
    "minimalist",
    "photorealistic",
    "in cartoon style",
    "3d render",
    "in soft light",
    "thanks",
    "high quality",
    "vector art",
    "anime style",
    "sharp focus",
    "as a children's book illustration",
];

/// A random sample.
pub fn sample(nouns: &Nouns, shares: Shares, rng: &mut impl Rng) -> Sample {
    let number = match rng.random_range(0..100) {
        0..=25 => 1,
        26..=57 => 2,
        58..=79 => 3,
        80..=90 => 4,
        91..=96 => 5,
        _ => 6,
    };
    let body = body(nouns, number, shares, rng);
    let mut text = body.phrase.clone();
    if !body.is_fronted && rng.random_bool(0.33) {
        text = format!("{} {text}", pick(LEADS, rng));
    }
    let mut draft = Draft {
        elements: body
            .things
            .iter()
            .map(|thing| thing.element.clone())
            .collect(),
        relations: body
            .relations
            .iter()
            .map(|(subject, predicate, object)| {
                let noun = |index: &usize| body.things[*index].element.noun.clone();
                let words = PREDICATES
                    .iter()
                    .find(|(known, _)| known == predicate)
                    .map_or("near", |(_, words)| words[0]);
                (noun(subject), words.to_owned(), noun(object))
            })
            .collect(),
        ..Draft::default()
    };
    text = set(&mut draft, text, body.is_fronted, rng);
    if rng.random_bool(0.13) {
        text = format!(
            "{text}{}{}",
            pick(&[", ", ", ", ". ", " - "], rng),
            pick(STYLES, rng)
        );
    }
    Sample {
        prompt: styled(text, rng),
        draft,
    }
}

/// Adds where and when to the text and the draft.
fn set(draft: &mut Draft, text: String, is_fronted: bool, rng: &mut impl Rng) -> String {
    let (when, time_words) = time(rng);
    draft.time = when.to_owned();
    if rng.random_bool(0.36) {
        return around(text, "", time_words, rng);
    }
    let place = pick(&PLACES, rng);
    draft.background = place.background.name().to_owned();
    match rng.random_range(0..100) {
        0..=11 => {
            let (hour, words) = pick(&TIME_SCENES, rng);
            let mut scene = pick(place.scenes, rng).to_owned();
            if rng.random_bool(0.4) {
                draft.time = hour.name().to_owned();
                scene = format!("{} {scene}", pick(words, rng));
            } else {
                draft.time.clear();
            }
            let kind = pick(&["scene", "scene", "landscape", "picture", "setting"], rng);
            let scene = article(&format!("{scene} {kind}"));
            match rng.random_range(0..3) {
                0 if is_fronted => format!("{text}, {scene}"),
                1 => format!("{scene}: {text}"),
                _ if is_fronted => format!("{scene}, {text}"),
                _ => format!("{scene} with {text}"),
            }
        }
        12..=22 => {
            let behind = pick(place.behind, rng);
            let text = match rng.random_range(0..4) {
                0 => format!("{text} in front of {behind}"),
                1 => format!("{text} against a backdrop of {behind}"),
                2 => format!("{text}, {behind} behind"),
                _ => format!("{text} with {behind} in the background"),
            };
            around(text, "", time_words, rng)
        }
        _ => around(text, pick(place.phrases, rng), time_words, rng),
    }
}

/// The text with the words for where and when, each possibly empty, before or after it.
fn around(text: String, place: &str, time: &str, rng: &mut impl Rng) -> String {
    let both = if rng.random_bool(0.7) {
        format!("{place} {time}")
    } else {
        format!("{time} {place}")
    };
    let both = both.trim();
    if both.is_empty() {
        return text;
    }
    match rng.random_range(0..100) {
        0..=9 => format!("{both}, {text}"),
        10..=12 => format!("{both}: {text}"),
        13..=15 => format!("{both} there is {text}"),
        16..=19 => format!("{text}. It is {both}"),
        20..=25 if !place.is_empty() && !time.is_empty() => format!("{time}, {text} {place}"),
        26..=31 if !place.is_empty() && !time.is_empty() => format!("{text} {place}, {time}"),
        32..=46 => format!("{text}, {both}"),
        47..=50 => format!("{text} standing {both}"),
        _ => format!("{text} {both}"),
    }
}

/// Upper and lower case and the end, as people type.
fn styled(text: String, rng: &mut impl Rng) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut text = match rng.random_range(0..10) {
        0..=1 => text.to_lowercase(),
        2..=5 => capitalised(&text),
        _ => text,
    };
    match rng.random_range(0..10) {
        0..=2 => text.push('.'),
        3 if rng.random_bool(0.3) => text.push('!'),
        _ => {}
    }
    text
}

#[cfg(test)]
mod tests {
    use atelier_models::planner::{Binding, PromptWords, draft_schema};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn every_sample_is_in_the_grammar_of_its_prompt() {
        let nouns = Nouns::new();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut refused = Vec::new();
        for index in 0..20_000 {
            let sample = sample(&nouns, Shares::NOW, &mut rng);
            let text = serde_json::to_string(&sample.draft).unwrap();
            let words = PromptWords::read(&sample.prompt);
            for binding in [Binding::Prompt, Binding::Free] {
                // Beyond ASCII only the prompt's own words are taken.
                if binding == Binding::Free && !text.is_ascii() {
                    continue;
                }
                let schema = draft_schema(&words, binding).unwrap();
                let mut state = schema.start();
                let at = text.bytes().take_while(|byte| state.advance(*byte)).count();
                if !state.is_complete() {
                    let (taken, rest) = text.split_at(at);
                    refused.push(format!("{binding:?}: {}\n{taken}|{rest}", sample.prompt));
                }
            }
            if index < 24 {
                println!("{}\n    {text}", sample.prompt);
            }
        }
        assert!(
            refused.is_empty(),
            "{} refused, among them\n{}",
            refused.len(),
            refused[..refused.len().min(20)].join("\n")
        );
    }

    #[test]
    fn the_same_seed_makes_the_same_samples() {
        let nouns = Nouns::new();
        let prompts = |seed| -> Vec<String> {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            (0..20)
                .map(|_| sample(&nouns, Shares::NOW, &mut rng).prompt)
                .collect()
        };
        assert_eq!(prompts(3), prompts(3));
        assert_ne!(prompts(3), prompts(4));
    }
}
