//! Prompts with what their drafts must name, and how many of these things drafts do name.

use std::path::Path;

use anyhow::Context;
use atelier_engine::planning::{Draft, DraftElement};
use serde::Deserialize;

/// One line of a suite.
#[derive(Clone, Debug, Deserialize)]
pub struct Case {
    /// What the user writes.
    pub prompt: String,
    /// Every thing that the draft must name.
    pub things: Vec<Expected>,
    /// Subject, predicate, object; `of` in a noun is not needed.
    #[serde(default)]
    pub relations: Vec<(String, String, String)>,
    /// The background; empty: none may be named.
    pub background: Option<String>,
    /// The time; empty: none may be named.
    pub time: Option<String>,
}

/// One thing of a case.
#[derive(Clone, Debug, Deserialize)]
pub struct Expected {
    /// Its noun, in the singular.
    pub noun: String,
    /// How many, when more than one.
    pub count: Option<u8>,
    /// Its colour.
    pub color: Option<String>,
    /// Where it is.
    pub place: Option<String>,
}

/// How many of something were right.
#[derive(Clone, Copy, Debug, Default)]
pub struct Share {
    /// Right.
    pub right: u32,
    /// Asked.
    pub asked: u32,
}

impl Share {
    fn add(&mut self, right: bool) {
        self.asked += 1;
        self.right += u32::from(right);
    }

    /// Right of asked, 1 when nothing was asked.
    pub fn value(self) -> f64 {
        if self.asked == 0 {
            return 1.0;
        }
        f64::from(self.right) / f64::from(self.asked)
    }
}

/// What drafts of a suite named.
#[derive(Clone, Debug, Default)]
pub struct Score {
    /// Things named, of those expected.
    pub things: Share,
    /// Things expected, of those named.
    pub precision: Share,
    /// Counts right (one where no number is expected), of the things named.
    pub counts: Share,
    /// Colours right where one is expected.
    pub colors: Share,
    /// Places right where one is expected.
    pub places: Share,
    /// Relations named.
    pub relations: Share,
    /// Backgrounds right.
    pub backgrounds: Share,
    /// Times right.
    pub times: Share,
    /// Prompts with all of it right (relations and extra things aside).
    pub prompts: Share,
}

/// Reads a suite: one case a line.
pub fn read(path: &Path) -> anyhow::Result<Vec<Case>> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    text.lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(index, line)| {
            serde_json::from_str(line)
                .with_context(|| format!("{}, line {}", path.display(), index + 1))
        })
        .collect()
}

impl Score {
    /// Adds one draft; says what is wrong with it.
    pub fn add(&mut self, case: &Case, draft: &Draft) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut open: Vec<&DraftElement> = draft.elements.iter().collect();
        for expected in &case.things {
            let found = best(&open, expected).map(|index| open.remove(index));
            self.things.add(found.is_some());
            let Some(found) = found else {
                wrong.push(format!("no {}", expected.noun));
                continue;
            };
            let mut check = |share: &mut Share, right: bool, text: String| {
                share.add(right);
                if !right {
                    wrong.push(text);
                }
            };
            check(
                &mut self.counts,
                found.count.unwrap_or(1) == expected.count.unwrap_or(1),
                format!("{:?} {}", found.count, expected.noun),
            );
            if expected.color.is_some() {
                check(
                    &mut self.colors,
                    found.color == expected.color,
                    format!("{:?} {}", found.color, expected.noun),
                );
            }
            if expected.place.is_some() {
                check(
                    &mut self.places,
                    found.place == expected.place,
                    format!("{} at {:?}", expected.noun, found.place),
                );
            }
        }
        for _ in &open {
            self.precision.add(false);
        }
        for _ in 0..draft.elements.len() - open.len() {
            self.precision.add(true);
        }
        if let Some(background) = &case.background {
            let right = *background == draft.background;
            self.backgrounds.add(right);
            if !right {
                wrong.push(format!("background {:?}", draft.background));
            }
        }
        if let Some(time) = &case.time {
            let right = *time == draft.time;
            self.times.add(right);
            if !right {
                wrong.push(format!("time {:?}", draft.time));
            }
        }
        self.prompts.add(wrong.is_empty());
        for (subject, predicate, object) in &case.relations {
            let right = draft
                .relations
                .iter()
                .any(|(a, words, b)| means(a, subject) && words == predicate && means(b, object));
            self.relations.add(right);
            if !right {
                wrong.push(format!("no {subject} {predicate} {object}"));
            }
        }
        wrong.extend(open.iter().map(|element| format!("extra {}", element.noun)));
        wrong
    }

    /// Names and shares.
    pub fn shares(&self) -> [(&'static str, Share); 9] {
        [
            ("things", self.things),
            ("of those named", self.precision),
            ("counts", self.counts),
            ("colours", self.colors),
            ("places", self.places),
            ("relations", self.relations),
            ("backgrounds", self.backgrounds),
            ("times", self.times),
            ("whole prompts", self.prompts),
        ]
    }
}

/// The element that fits best among those that mean the expected noun.
fn best(open: &[&DraftElement], expected: &Expected) -> Option<usize> {
    let fits = |element: &DraftElement| {
        u8::from(element.color == expected.color) * 2
            + u8::from(element.count.unwrap_or(1) == expected.count.unwrap_or(1))
    };
    open.iter()
        .enumerate()
        .filter(|(_, element)| means(&element.noun, &expected.noun))
        .max_by_key(|(index, element)| (fits(element), std::cmp::Reverse(*index)))
        .map(|(index, _)| index)
}

/// Whether a drafted noun is the expected one: the same head, with or without words before it, in either number.
fn means(drafted: &str, expected: &str) -> bool {
    let drafted = drafted.to_lowercase();
    let expected = expected.to_lowercase();
    let forms = [expected.clone(), super::prompts::plural(&expected)];
    forms
        .iter()
        .any(|form| drafted == *form || drafted.ends_with(&format!(" {form}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suites_are_read() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let suite = read(&root.join("fixtures/planner_suite.jsonl")).unwrap();
        assert!(suite.len() >= 120);
        for case in &suite {
            assert!(!case.things.is_empty(), "{}", case.prompt);
        }
        assert!(
            !read(&root.join("../../tests/prompts/first.jsonl"))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn drafts_are_scored_by_what_they_name() {
        let case: Case = serde_json::from_str(
            r#"{"prompt":"two red cats and a dog on the moon","things":[{"noun":"cat","count":2,"color":"red"},{"noun":"dog"}],"background":"moon surface","time":""}"#,
        )
        .unwrap();
        let mut draft: Draft = serde_json::from_str(
            r#"{"elements":[{"noun":"cat","count":2,"color":"red"},{"noun":"dog"}],"background":"moon surface","time":""}"#,
        )
        .unwrap();
        let mut score = Score::default();
        assert!(score.add(&case, &draft).is_empty());
        draft.elements[1].noun = "moon".into();
        draft.elements[0].count = None;
        draft.time = "night".into();
        assert_eq!(score.add(&case, &draft).len(), 4);
        assert_eq!((score.things.right, score.things.asked), (3, 4));
        assert_eq!((score.counts.right, score.counts.asked), (2, 3));
        assert_eq!((score.precision.right, score.precision.asked), (3, 4));
        assert_eq!((score.prompts.right, score.prompts.asked), (1, 2));
    }
}
