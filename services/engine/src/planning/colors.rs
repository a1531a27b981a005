//! Colours that stand behind their noun: `a chair painted yellow`, `a robot, green all over`. Small planners look for colours in front of it.

use std::ops::Range;

use super::{Draft, coverage, evidence::Witness, words::Word};

/// Words after which a colour is what the thing has.
const MADE: [&str; 6] = [
    "painted", "coloured", "colored", "dyed", "tinted", "sprayed",
];

/// Words for all of a thing.
const WHOLLY: [&str; 6] = [
    "all",
    "entirely",
    "completely",
    "wholly",
    "fully",
    "totally",
];

/// What says behind a colour that the thing has it everywhere.
const EVERYWHERE: [&[&str]; 4] = [
    &["all", "over"],
    &["from", "top", "to", "bottom"],
    &["from", "head", "to", "toe"],
    &["throughout"],
];

/// The draft with the colours that the prompt says behind a noun, for things that have none.
pub fn bound(
    draft: &Draft,
    witness: &Witness<'_>,
    color_of: &dyn Fn(&str) -> Option<String>,
) -> Draft {
    let mut draft = draft.clone();
    let (mut taken, mut renamed) = (Vec::new(), Vec::new());
    for thing in &mut draft.elements {
        let Some(noun) = witness.find(&thing.noun, &taken) else {
            continue;
        };
        taken.push(noun.clone());
        if let Some((bare, color)) = split(&thing.noun, &noun, &witness.words, color_of) {
            renamed.push((std::mem::replace(&mut thing.noun, bare.clone()), bare));
            thing.color.get_or_insert(color);
        }
        if thing.color.is_some() {
            continue;
        }
        let Some((color, words)) = behind(&witness.words, noun.end, color_of) else {
            continue;
        };
        thing.color = Some(color);
        // What was taken for an attribute is the colour.
        thing.with.retain(|attribute| {
            let found = witness.find(attribute, &[]);
            !found.is_some_and(|found| words.start <= found.start && found.end <= words.end)
        });
    }
    for (subject, _, object) in &mut draft.relations {
        for name in [subject, object] {
            if let Some((_, bare)) = renamed.iter().find(|(whole, _)| whole == name) {
                name.clone_from(bare);
            }
        }
    }
    draft
}

/// The noun without a colour that was taken for its end, and the colour: `pear of purple` where the prompt says `of purple colour`.
fn split(
    noun: &str,
    found: &Range<usize>,
    words: &[Word],
    color_of: &dyn Fn(&str) -> Option<String>,
) -> Option<(String, String)> {
    let parts: Vec<&str> = noun.split_whitespace().collect();
    if parts.len() != found.len() {
        return None;
    }
    (1..parts.len()).find_map(|first| {
        let (color, said) = behind(words, found.start + first, color_of)?;
        (said.end >= found.end).then(|| (parts[..first].join(" "), color))
    })
}

/// The colour that the words from `at` on, behind a noun, say of it, and which words say so.
pub fn behind(
    words: &[Word],
    at: usize,
    color_of: &dyn Fn(&str) -> Option<String>,
) -> Option<(String, Range<usize>)> {
    let text = |at: usize| words.get(at).map(|word| word.text.as_str());
    let is = |at: usize, list: &[&str]| text(at).is_some_and(|word| list.contains(&word));
    let colors = ["colour", "color"];
    let mut next = at;
    let mut skip = |list: &[&str]| {
        let found = is(next, list);
        next += usize::from(found);
        found
    };
    let from = at + usize::from(skip(&[","]));
    let clause = skip(&["that", "which"]);
    skip(&["is", "are"]);
    let wholly = skip(&WHOLLY);
    let made = skip(&MADE);
    let of = !made && skip(&["of"]);
    let within = !of && skip(&["in"]);
    skip(&["the", "a"]);
    let named = skip(&colors) | skip(&["of"]);
    let color = color_of(text(next)?)?;
    let mut end = next + 1;
    let tail = is(end, &colors);
    end += usize::from(tail);
    let everywhere = EVERYWHERE
        .iter()
        .find(|form| (0..form.len()).all(|step| text(end + step) == Some(form[step])));
    end += everywhere.map_or(0, |form| form.len());
    // `in brown boots` and `of orange juice` are about something else.
    let closed = end >= words.len() || !coverage::says_something(words, end);
    let sure = (made && (closed || everywhere.is_some()))
        || everywhere.is_some()
        || ((tail || named) && (of || within))
        || ((within || wholly || clause) && closed);
    sure.then_some((color, from..end))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{DraftElement, words::read},
        *,
    };

    fn color(word: &str) -> Option<String> {
        match word {
            "yellow" | "brown" | "orange" => Some(word.to_owned()),
            "golden" => Some("yellow".into()),
            _ => None,
        }
    }

    fn said(prompt: &str) -> Option<(String, String)> {
        let words = read(prompt);
        let (color, range) = behind(&words, 2, &color)?;
        Some((
            color,
            prompt[super::super::words::span_of(&words, range)].to_owned(),
        ))
    }

    #[test]
    fn a_color_behind_a_noun_is_the_nouns() {
        for (prompt, yellow) in [
            ("one chair, coloured yellow", "coloured yellow"),
            ("a chair painted golden", "painted golden"),
            ("a chair, yellow all over", "yellow all over"),
            ("a chair of yellow colour", "of yellow colour"),
            ("a chair in yellow", "in yellow"),
            (
                "a chair in the colour yellow, a dog",
                "in the colour yellow",
            ),
            ("a chair in a yellow colour", "in a yellow colour"),
            ("a chair that is yellow and a dog", "that is yellow"),
            ("a chair, entirely yellow", "entirely yellow"),
            ("a chair painted yellow next to a dog", "painted yellow"),
            (
                "a chair yellow from top to bottom",
                "yellow from top to bottom",
            ),
        ] {
            let found = said(prompt);
            assert_eq!(found, Some(("yellow".into(), yellow.into())), "{prompt}");
        }
    }

    #[test]
    fn a_color_of_something_else_is_not() {
        for prompt in [
            "a man in brown boots",
            "a glass of orange juice",
            "a chair, yellow flowers",
            "a chair, a yellow dog",
            "a chair and brown",
            "a chair painted brown bears admire",
            "a chair in the snow",
            "a chair",
            "a",
        ] {
            assert_eq!(said(prompt), None, "{prompt}");
        }
    }

    #[test]
    fn a_color_that_was_taken_for_the_end_of_a_noun_is_none() {
        let bound_of = |prompt: &str, noun: &str| {
            let draft = Draft {
                elements: vec![DraftElement {
                    noun: noun.into(),
                    ..DraftElement::default()
                }],
                relations: vec![(noun.into(), "left of".into(), "dog".into())],
                ..Draft::default()
            };
            let made = bound(&draft, &Witness::new(prompt, &|_| None), &color);
            assert_eq!(made.relations[0].0, made.elements[0].noun);
            let thing = made.elements.into_iter().next().unwrap();
            (thing.noun, thing.color)
        };
        let yellow = |noun: &str| (noun.to_owned(), Some("yellow".to_owned()));
        let prompt = "a pear of yellow colour left of a dog";
        assert_eq!(bound_of(prompt, "pear of yellow"), yellow("pear"));
        assert_eq!(bound_of(prompt, "pear of yellow colour"), yellow("pear"));
        let whole = bound_of("a glass of orange juice", "glass of orange juice");
        assert_eq!(whole, ("glass of orange juice".into(), None));
    }

    #[test]
    fn a_draft_takes_it_as_its_color_and_no_longer_as_a_word() {
        let thing = |noun: &str, with: &[&str]| DraftElement {
            noun: noun.into(),
            with: with.iter().map(|word| (*word).to_owned()).collect(),
            ..DraftElement::default()
        };
        let prompt = "a bee in brown with wings, and a cat";
        let draft = Draft {
            elements: vec![thing("bee", &["in brown", "with wings"]), thing("cat", &[])],
            ..Draft::default()
        };
        let made = bound(&draft, &Witness::new(prompt, &|_| None), &color);
        assert_eq!(made.elements[0].color.as_deref(), Some("brown"));
        assert_eq!(made.elements[0].with, ["with wings"]);
        assert_eq!(made.elements[1], draft.elements[1]);
        let mut colored = draft;
        colored.elements[0].color = Some("orange".into());
        let kept = bound(&colored, &Witness::new(prompt, &|_| None), &color);
        assert_eq!(kept, colored);
    }
}
