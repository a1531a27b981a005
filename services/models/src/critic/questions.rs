//! A plan's checks as closed questions in words, for critics that read.

use atelier_proto::plan::{BBox, Check, Plan, Predicate, Question};

/// How every question ends.
const CLOSED: &str = "Answer yes or no.";

/// The question of a check; none where the plan has no such element.
pub fn question(plan: &Plan, check: &Check) -> Option<String> {
    let noun = |id: &str| plan.element(id).map(|element| element.noun.as_str());
    let asked = match &check.question {
        Question::Presence { element } => {
            format!("Is there {} in the image?", one(noun(element)?))
        }
        Question::Count { noun, expect: 0 } => format!("Is the image without any {noun}?"),
        Question::Count { noun, expect: 1 } => format!("Is there exactly one {noun} in the image?"),
        Question::Count { noun, expect } => {
            format!("Count every {noun} in the image. Is the number exactly {expect}?")
        }
        Question::Color { element, expect } => {
            format!("Is the {} in the image {expect}?", noun(element)?)
        }
        Question::Position { element, expect } => {
            format!("Is the {} {} of the image?", noun(element)?, place(expect))
        }
        Question::Relation {
            subject,
            predicate,
            object,
        } => format!(
            "Is the {} {} the {} in the image?",
            noun(subject)?,
            stands(*predicate),
            noun(object)?
        ),
        Question::Light { expect } => match expect.as_str() {
            "night" | "dusk" | "dawn" | "sunset" | "sunrise" => {
                format!("Does the image show a scene at {expect}?")
            }
            light => format!("Does the image show a scene in this light: {light}?"),
        },
        Question::Text { expect } => format!("Does the image show the written text \"{expect}\"?"),
    };
    Some(format!("{asked} {CLOSED}"))
}

/// A noun with its article; plurals and nouns with one of their own stay as they are.
fn one(noun: &str) -> String {
    let first = noun.split_whitespace().next().unwrap_or_default();
    let own = [
        "a", "an", "the", "my", "your", "his", "her", "their", "some",
    ];
    if own.contains(&first.to_lowercase().as_str()) {
        return noun.to_owned();
    }
    let vowel = first.to_lowercase().starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {noun}", if vowel { "an" } else { "a" })
}

/// Where a box's centre is, in thirds of the picture.
fn place(wanted: &BBox) -> String {
    let third = |at: f32, names: [&'static str; 3]| names[((at * 3.0) as usize).min(2)];
    let (x, y) = wanted.center();
    let across = third(x, ["left", "", "right"]);
    let down = third(y, ["upper", "", "lower"]);
    match (down, across) {
        ("", "") => "in the middle".to_owned(),
        ("", side) => format!("in the {side} part"),
        (half, "") => format!("in the {half} part"),
        (half, side) => format!("in the {half} {side} part"),
    }
}

const fn stands(predicate: Predicate) -> &'static str {
    match predicate {
        Predicate::LeftOf => "to the left of",
        Predicate::RightOf => "to the right of",
        Predicate::Above => "above",
        Predicate::Below => "below",
        Predicate::On => "on top of",
        Predicate::In => "inside",
        Predicate::Near => "near",
        Predicate::Behind => "behind",
        Predicate::InFrontOf => "in front of",
    }
}

#[cfg(test)]
mod tests {
    use atelier_proto::plan::Element;

    use super::*;

    fn element(id: &str, noun: &str) -> Element {
        serde_json::from_value(serde_json::json!({ "id": id, "noun": noun })).expect("an element")
    }

    #[test]
    fn every_kind_of_check_has_its_words() {
        let mut plan = Plan::direct("an owl and cats");
        plan.elements = vec![element("owl", "owl"), element("cat-1", "my cat")];
        let (owl, cat) = (|| "owl".to_owned(), || "cat-1".to_owned());
        for (question, words) in [
            (
                Question::Presence { element: owl() },
                "Is there an owl in the image?",
            ),
            (
                Question::Presence { element: cat() },
                "Is there my cat in the image?",
            ),
            (
                Question::Count {
                    noun: "cat".into(),
                    expect: 1,
                },
                "Is there exactly one cat in the image?",
            ),
            (
                Question::Count {
                    noun: "cat".into(),
                    expect: 3,
                },
                "Count every cat in the image. Is the number exactly 3?",
            ),
            (
                Question::Color {
                    element: owl(),
                    expect: "red".into(),
                },
                "Is the owl in the image red?",
            ),
            (
                Question::Position {
                    element: owl(),
                    expect: BBox([0.0, 0.0, 0.4, 0.3]),
                },
                "Is the owl in the upper left part of the image?",
            ),
            (
                Question::Position {
                    element: owl(),
                    expect: BBox([0.3, 0.3, 0.7, 0.7]),
                },
                "Is the owl in the middle of the image?",
            ),
            (
                Question::Relation {
                    subject: owl(),
                    predicate: Predicate::InFrontOf,
                    object: cat(),
                },
                "Is the owl in front of the my cat in the image?",
            ),
            (
                Question::Light {
                    expect: "night".into(),
                },
                "Does the image show a scene at night?",
            ),
            (
                Question::Light {
                    expect: "day".into(),
                },
                "Does the image show a scene in this light: day?",
            ),
            (
                Question::Text {
                    expect: "OPEN".into(),
                },
                "Does the image show the written text \"OPEN\"?",
            ),
        ] {
            let check = Check {
                id: "k1".into(),
                question,
            };
            let asked = super::question(&plan, &check).expect("it can be asked");
            assert_eq!(asked, format!("{words} {CLOSED}"));
        }
        let check = Check {
            id: "k1".into(),
            question: Question::Presence {
                element: "dog".into(),
            },
        };
        assert_eq!(super::question(&plan, &check), None);
    }
}
