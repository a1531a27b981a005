//! Numbers right in front of their noun, of things that the draft does not count: `three small cats`.

use std::ops::Range;

use super::{
    Draft, coverage,
    evidence::{Witness, same_words},
    words::{IRREGULAR_PLURALS, VAGUE, Word, number},
};

/// Numbers that are said of one thing as well: `a pair of scissors`, `a twin bed`, `both`.
const OF_ONE: &[&str] = &["pair", "both", "twin"];

/// Numbers behind which `of` stands: `a trio of dogs`.
const OF: &[&str] = &["trio", "couple", "dozen"];

/// Most words between a number and its noun: `three small red cats`.
const BETWEEN: usize = 2;

/// The draft with the numbers that the prompt says of things which it names once and does not count.
pub fn bound(draft: &Draft, witness: &Witness<'_>) -> Draft {
    let mut draft = draft.clone();
    let mut taken = Vec::new();
    let mut named: Vec<Option<Range<usize>>> = Vec::with_capacity(draft.elements.len());
    for thing in &draft.elements {
        let words = witness.find(&thing.noun, &taken);
        taken.extend(words.clone());
        named.push(words);
    }
    for (at, words) in named.iter().enumerate() {
        let thing = &draft.elements[at];
        let same = draft.elements.iter();
        let same = same.filter(|other| same_words(&other.noun, &thing.noun));
        let is_counted = thing.count.is_some_and(|count| count != 1) || same.count() > 1;
        let Some(noun) = words.as_ref().filter(|_| !is_counted) else {
            continue;
        };
        if let Some(count) = before(&witness.words, noun, &taken) {
            draft.elements[at].count = Some(count);
        }
    }
    draft
}

/// The number that stands before a noun with nothing between them but what it is like.
fn before(words: &[Word], noun: &Range<usize>, taken: &[Range<usize>]) -> Option<u8> {
    if !is_plural(&words.get(noun.end.checked_sub(1)?)?.text) {
        return None;
    }
    let describes = |at: usize| {
        let word = words[at].text.as_str();
        let free = taken.iter().all(|other| !other.contains(&at));
        free && !is_plural(word) && (coverage::is_content(word) || super::demands::is_size(word))
    };
    let mut at = noun.start.checked_sub(1)?;
    for _ in 0..BETWEEN {
        if !describes(at) {
            break;
        }
        at = at.checked_sub(1)?;
    }
    if words[at].text == "of" {
        at = at
            .checked_sub(1)
            .filter(|at| OF.contains(&words[*at].text.as_str()))?;
    }
    let word = words[at].text.as_str();
    number(word).filter(|_| !VAGUE.contains(&word) && !OF_ONE.contains(&word))
}

fn is_plural(word: &str) -> bool {
    let regular = word.len() > 3 && word.ends_with('s') && !word.ends_with("ss");
    regular || IRREGULAR_PLURALS.iter().any(|(plural, _)| *plural == word)
}

#[cfg(test)]
mod tests {
    use super::{super::DraftElement, *};

    fn count(prompt: &str, nouns: &[&str]) -> Vec<Option<u8>> {
        let thing = |noun: &&str| DraftElement {
            noun: (*noun).to_owned(),
            ..DraftElement::default()
        };
        let draft = Draft {
            elements: nouns.iter().map(thing).collect(),
            ..Draft::default()
        };
        let made = bound(&draft, &Witness::new(prompt, &|_| None));
        made.elements.iter().map(|thing| thing.count).collect()
    }

    #[test]
    fn a_number_in_front_of_a_noun_is_the_nouns() {
        for (prompt, three) in [
            ("three cats", 3),
            ("a dog and three small red cats", 3),
            ("3 cats at night", 3),
            ("a trio of cats", 3),
            ("a dozen black cats", 12),
            ("a couple of cats", 2),
        ] {
            assert_eq!(count(prompt, &["cat"]), [Some(three)], "{prompt}");
        }
        let mice = count("two mice and four horses", &["mouse", "horse"]);
        assert_eq!(mice, [Some(2), Some(4)]);
    }

    #[test]
    fn a_number_of_something_else_is_not() {
        for prompt in [
            "three dogs and cats",
            "three dogs chase cats",
            "three dogs, cats",
            "some cats",
            "a pair of cats",
            "a cat with three legs",
            "one cat",
            "cats",
            "the two of them and the cats",
        ] {
            assert_eq!(count(prompt, &["cat"]), [None], "{prompt}");
        }
        assert_eq!(count("a house with two cat trees", &["cat"]), [None]);
        assert_eq!(
            count("three dogs chase cats", &["dog", "cat"]),
            [Some(3), None]
        );
        // Who names each of them has counted.
        assert_eq!(count("two cats", &["cat", "cat"]), [None, None]);
    }

    #[test]
    fn what_the_draft_counts_stays() {
        let draft = Draft {
            elements: vec![DraftElement {
                noun: "cat".into(),
                count: Some(2),
                ..DraftElement::default()
            }],
            ..Draft::default()
        };
        assert_eq!(bound(&draft, &Witness::new("three cats", &|_| None)), draft);
    }
}
