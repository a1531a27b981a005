use atelier_engine::planning::{Draft, PREDICATES};
use proptest::prelude::*;

use super::{super::schema::*, *};
use crate::planner::words::PromptWords;

const PROMPT: &str = "Two tiny red cats wearing a top hat on the left, 5 mice near an old radio";

fn accepts(schema: &Schema, text: &str) -> bool {
    let mut state = schema.start();
    state.advance_all(text.as_bytes()) && state.is_complete()
}

fn schema(binding: Binding) -> Schema {
    draft_schema(&PromptWords::read(PROMPT), binding).unwrap()
}

/// A text made by choosing among the allowed bytes; every prefix is checked on the way.
fn walk(schema: &Schema, choices: &[u16]) -> String {
    let mut state = schema.start();
    let mut text = Vec::new();
    let mut choices = choices.iter();
    while !state.is_complete() {
        let allowed = state.allowed();
        assert!(!allowed.is_empty(), "a dead end after {text:?}");
        let forced = state.forced();
        assert_eq!(forced.is_empty(), allowed.len() > 1);
        // Once the choices are used up, the way out: a quote before words, a bracket before more items.
        let byte = match choices.next() {
            Some(choice) => allowed[*choice as usize % allowed.len()],
            None => *[b'"', b']', b'}']
                .iter()
                .find(|byte| allowed.contains(byte))
                .unwrap_or(&allowed[0]),
        };
        for other in 0..=u8::MAX {
            let mut tried = state.clone();
            assert_eq!(tried.advance(other), allowed.contains(&other));
        }
        assert!(state.advance(byte));
        text.push(byte);
        assert!(text.len() < 10_000, "texts are bounded");
    }
    assert!(state.allowed().is_empty());
    String::from_utf8(text).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_walk_ends_in_a_draft(choices in prop::collection::vec(any::<u16>(), 0..600), free in any::<bool>()) {
        let binding = if free { Binding::Free } else { Binding::Prompt };
        let schema = schema(binding);
        let text = walk(&schema, &choices);
        prop_assert!(accepts(&schema, &text));
        let draft: Draft = serde_json::from_str(&text).unwrap();
        prop_assert!((1..=MAX_THINGS).contains(&draft.elements.len()));
        prop_assert!(draft.relations.len() <= MAX_RELATIONS);
        let nouns: Vec<&str> = draft.elements.iter().map(|element| element.noun.as_str()).collect();
        for (subject, predicate, object) in &draft.relations {
            prop_assert!(nouns.contains(&subject.as_str()) && nouns.contains(&object.as_str()));
            prop_assert!(PREDICATES.iter().any(|(_, words)| words[0] == predicate));
        }
        for element in &draft.elements {
            prop_assert!(!element.noun.is_empty() && element.noun.len() <= 64);
            prop_assert!(element.with.len() <= MAX_ATTRIBUTES);
            if !free {
                prop_assert!(PromptWords::read(PROMPT).nouns().contains(&element.noun));
                prop_assert!(element.count.is_none_or(|count| count == 2 || count == 5));
                prop_assert!(element.color.as_deref().is_none_or(|color| color == "red"));
                prop_assert!(element.size.as_deref().is_none_or(|size| size == "small"));
            }
        }
        // The compact form is the only one.
        prop_assert_eq!(serde_json::to_string(&draft).unwrap(), text);
    }

    #[test]
    fn a_changed_byte_is_refused_or_still_a_draft(choices in prop::collection::vec(any::<u16>(), 0..200), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let schema = schema(Binding::Free);
        let mut text = walk(&schema, &choices).into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        let mut state = schema.start();
        if state.advance_all(&text) && state.is_complete() {
            prop_assert!(serde_json::from_slice::<Draft>(&text).is_ok());
        }
    }
}

#[test]
fn drafts_are_accepted_and_rubbish_is_refused() {
    let schema = schema(Binding::Prompt);
    let end = r#""background":"moon surface","time":""}"#;
    for good in [
        r#"{"elements":[{"noun":"cat"}],"#,
        r#"{"elements":[{"noun":"cat","count":2,"color":"red","place":"top left","size":"small","with":["wearing a top hat"]},{"noun":"mouse","count":5},{"noun":"radio","with":["old"]}],"relations":[["mouse","near","radio"]],"#,
    ] {
        assert!(accepts(&schema, &format!("{good}{end}")), "{good}");
    }
    for bad in [
        r#"{"elements":[],"#,
        r#"{ "elements":[{"noun":"cat"}],"#,
        r#"{"elements":[{"noun":"dog"}],"#,
        r#"{"elements":[{"count":2,"noun":"cat"}],"#,
        r#"{"elements":[{"noun":"cat","count":3}],"#,
        r#"{"elements":[{"noun":"cat","color":"blue"}],"#,
        r#"{"elements":[{"noun":"cat"}],"relations":[["cat","near","radio"]],"#,
        r#"{"elements":[{"noun":"cat","with":[]}],"#,
    ] {
        assert!(!accepts(&schema, &format!("{bad}{end}")), "{bad}");
    }
    assert!(!accepts(&schema, ""));
    assert!(!accepts(
        &schema,
        &format!("{}{end} ", r#"{"elements":[{"noun":"cat"}],"#)
    ));
}

#[test]
fn what_is_certain_is_forced() {
    let words = PromptWords::read("an elephant");
    let schema = draft_schema(&words, Binding::Prompt).unwrap();
    let mut state = schema.start();
    assert_eq!(
        String::from_utf8(state.forced()).unwrap(),
        r#"{"elements":[{"noun":"elephant""#
    );
    assert!(state.advance_all(r#"{"elements":[{"noun":"elephant"}],"b"#.as_bytes()));
    assert_eq!(
        String::from_utf8(state.forced()).unwrap(),
        r#"ackground":""#
    );
}

#[test]
fn a_prompt_without_words_has_no_schema() {
    assert!(draft_schema(&PromptWords::read("!!"), Binding::Prompt).is_none());
}
