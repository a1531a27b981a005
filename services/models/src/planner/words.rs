//! What a prompt itself says: its phrases, numbers, colours, sizes and places. A draft may only use these.

use std::collections::BTreeSet;

use atelier_engine::planning::{NUMBERS, PLACES};

use crate::props::{singulars, vocabulary::Color};

/// Most words of a noun.
const NOUN_WORDS: usize = 4;

/// Most words of an attribute.
const ATTRIBUTE_WORDS: usize = 6;

/// Most words of a prompt that are looked at.
const MAX_WORDS: usize = 256;

/// Words that no noun and no attribute begins or ends with.
const EDGE: &[&str] = &[
    "a", "an", "the", "and", "or", "of", "is", "are", "to", "his", "her", "its", "their", "my",
    "our", "your", "there", "i",
];

/// Words that no noun begins or ends with, beside [`EDGE`].
const NOUN_EDGE: &[&str] = &[
    "in", "on", "at", "with", "by", "from", "under", "over", "above", "below", "behind", "near",
    "beside", "next", "wearing", "holding", "some", "several", "few", "many", "one", "two",
    "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "that",
    "who", "which", "while", "very",
];

/// Words of each size.
const SIZES: &[(&str, &[&str])] = &[
    (
        "small",
        &["small", "tiny", "little", "mini", "miniature", "smaller"],
    ),
    (
        "large",
        &[
            "large",
            "big",
            "huge",
            "giant",
            "enormous",
            "gigantic",
            "massive",
            "larger",
            "bigger",
            "oversized",
        ],
    ),
];

/// Places of a draft: thirds of the picture, and depth.
pub fn places() -> impl Iterator<Item = &'static str> {
    PLACES.into_iter().chain(["background", "foreground"])
}

/// Words without which a prompt names no place.
const PLACE_WORDS: &[&str] = &[
    "left",
    "right",
    "top",
    "bottom",
    "upper",
    "lower",
    "corner",
    "center",
    "centre",
    "middle",
    "central",
    "background",
    "backdrop",
    "distance",
    "distant",
    "far",
    "horizon",
    "foreground",
    "front",
    "side",
    "sky",
    "air",
    "up",
    "high",
    "down",
    "low",
    "edge",
    "close",
    "back",
];

/// The words of a prompt, lower case, in runs that no punctuation interrupts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PromptWords {
    runs: Vec<Vec<String>>,
}

impl PromptWords {
    /// Reads the first 256 words of a prompt.
    pub fn read(prompt: &str) -> Self {
        let mut runs = vec![Vec::new()];
        let mut left = MAX_WORDS;
        for piece in prompt.split_whitespace() {
            let inner = piece.trim_matches(|c: char| !c.is_alphanumeric());
            let opens = !piece.starts_with(inner);
            let closes = !piece.ends_with(inner);
            if (opens || inner.is_empty()) && !runs[runs.len() - 1].is_empty() {
                runs.push(Vec::new());
            }
            for (index, word) in inner
                .split(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '\'' | '\u{2019}')))
                .filter(|word| !word.is_empty())
                .enumerate()
            {
                if left == 0 {
                    break;
                }
                left -= 1;
                if index > 0 {
                    runs.push(Vec::new());
                }
                let word = word.replace('\u{2019}', "'").to_lowercase();
                let last = runs.len() - 1;
                runs[last].push(word);
            }
            if closes {
                runs.push(Vec::new());
            }
        }
        runs.retain(|run| !run.is_empty());
        Self { runs }
    }

    /// Whether there is not one word.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// What a noun can be: every phrase of up to four words, as it stands and with its head in the singular.
    pub fn nouns(&self) -> BTreeSet<String> {
        let edge =
            |word: &String| EDGE.contains(&word.as_str()) || NOUN_EDGE.contains(&word.as_str());
        let mut nouns = self.phrases(NOUN_WORDS, edge);
        // `bow and arrow`, `statue of liberty`; else a joining word parts two nouns.
        nouns.retain(|noun| {
            let words: Vec<&str> = noun.split(' ').collect();
            words.iter().all(|word| match *word {
                "and" => words.len() == 3,
                "of" | "the" => true,
                word => !EDGE.contains(&word) && !NOUN_EDGE.contains(&word),
            })
        });
        if nouns.is_empty() {
            nouns = self.phrases(NOUN_WORDS, |_| false);
        }
        let single: Vec<String> = nouns.iter().flat_map(|noun| singular(noun)).collect();
        nouns.extend(single);
        nouns
    }

    /// What an attribute can be: every phrase of up to six words.
    pub fn attributes(&self) -> BTreeSet<String> {
        self.phrases(ATTRIBUTE_WORDS, |word| EDGE.contains(&word.as_str()))
    }

    /// The numbers above one that the prompt names.
    pub fn numbers(&self) -> BTreeSet<u8> {
        let mut numbers: BTreeSet<u8> = self
            .words()
            .filter_map(|word| {
                let named = || {
                    let single = word.strip_suffix('s').unwrap_or(word);
                    NUMBERS
                        .iter()
                        .find(|(name, _)| *name == word || *name == single)
                        .map(|(_, number)| *number)
                };
                word.parse().ok().or_else(named)
            })
            .filter(|number| (2..=12).contains(number))
            .collect();
        if self.words().any(|word| word == "half") && numbers.contains(&12) {
            numbers.insert(6);
        }
        numbers
    }

    /// The colours that the prompt names.
    pub fn colors(&self) -> Vec<&'static str> {
        let named = |color: &Color| {
            self.words()
                .any(|word| word.split('-').any(|part| color.words().contains(&part)))
        };
        Color::ALL
            .iter()
            .filter(|color| named(color))
            .map(|color| color.name())
            .collect()
    }

    /// The sizes that the prompt names.
    pub fn sizes(&self) -> Vec<&'static str> {
        SIZES
            .iter()
            .filter(|(_, names)| self.words().any(|word| names.contains(&word)))
            .map(|(size, _)| *size)
            .collect()
    }

    /// The places that things can be given: all of them once the prompt says anything about places.
    pub fn places(&self) -> Vec<&'static str> {
        let named = self
            .words()
            .any(|word| word.split('-').any(|part| PLACE_WORDS.contains(&part)));
        places().filter(|_| named).collect()
    }

    fn words(&self) -> impl Iterator<Item = &str> {
        self.runs.iter().flatten().map(String::as_str)
    }

    /// Phrases of up to `most` words that neither begin nor end with an `edge`.
    fn phrases(&self, most: usize, edge: impl Fn(&String) -> bool) -> BTreeSet<String> {
        let mut phrases = BTreeSet::new();
        for run in &self.runs {
            for from in 0..run.len() {
                for to in from + 1..=run.len().min(from + most) {
                    if !edge(&run[from]) && !edge(&run[to - 1]) {
                        phrases.insert(run[from..to].join(" "));
                    }
                }
            }
        }
        phrases
    }
}

/// The phrase with its head in the singular: `red apple`, `cup of coffee`.
fn singular(phrase: &str) -> Vec<String> {
    let words: Vec<&str> = phrase.split(' ').collect();
    let head = words
        .iter()
        .position(|word| *word == "of")
        .filter(|of| *of > 0)
        .unwrap_or(words.len())
        - 1;
    singulars(words[head])
        .into_iter()
        // A word that is a singular already is given plurals there.
        .filter(|form| !is_plural_of(form, words[head]))
        .map(|form| {
            let mut words = words.clone();
            words[head] = &form;
            words.join(" ")
        })
        .collect()
}

fn is_plural_of(form: &str, word: &str) -> bool {
    form.strip_suffix('s') == Some(word)
        || word
            .strip_suffix('y')
            .is_some_and(|stem| form.strip_suffix("ies") == Some(stem))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nouns_are_the_prompts_own_words() {
        let words = PromptWords::read("Two cups of coffee, three Red mice & a T-Rex!");
        let nouns = words.nouns();
        for noun in [
            "cup of coffee",
            "cups of coffee",
            "coffee",
            "mouse",
            "red mouse",
            "red mice",
            "t-rex",
        ] {
            assert!(nouns.contains(noun), "{noun} is missing in {nouns:?}");
        }
        for noun in ["coffee three", "a t-rex", "two cups", "mices", "rex"] {
            assert!(!nouns.contains(noun), "{noun} is no noun");
        }
        assert_eq!(words.numbers().into_iter().collect::<Vec<_>>(), [2, 3]);
        assert_eq!(words.colors(), ["red"]);
        assert!(words.sizes().is_empty() && words.places().is_empty());
    }

    #[test]
    fn words_of_any_script_are_words() {
        let words = PromptWords::read("рыжий кот, 猫 — ¡niño!");
        assert!(words.nouns().contains("кот") && words.nouns().contains("猫"));
        assert!(words.nouns().contains("niño"));
        assert!(PromptWords::read("?! -- ...").is_empty());
        assert!(!PromptWords::read("the").nouns().is_empty());
    }

    #[test]
    fn attributes_sizes_and_places_are_read() {
        let words = PromptWords::read("a huge bear wearing a top hat in the upper-left corner");
        assert!(words.attributes().contains("wearing a top hat"));
        assert_eq!(words.sizes(), ["large"]);
        assert_eq!(words.places().len(), PLACES.len() + 2);
        assert_eq!(
            PromptWords::read("half a dozen eggs")
                .numbers()
                .into_iter()
                .collect::<Vec<_>>(),
            [6, 12]
        );
    }

    #[test]
    fn long_prompts_are_bounded() {
        let words = PromptWords::read(&"word ".repeat(100_000));
        assert_eq!(words.words().count(), MAX_WORDS);
    }
}
