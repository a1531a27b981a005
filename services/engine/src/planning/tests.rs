use atelier_proto::{
    plan::{BBox, Predicate, Question, StageOp},
    report::Coverage,
};
use proptest::prelude::*;

use super::*;

mod demands;
mod scenes;

fn thing(noun: &str) -> DraftElement {
    DraftElement {
        noun: noun.into(),
        ..DraftElement::default()
    }
}

fn studio<'a>(names: &'a [String], prop_of: &'a dyn Fn(&str) -> Option<String>) -> Studio<'a> {
    Studio {
        reference_names: names,
        prop_of,
        stand_in: &|_| None,
        means: &|word| (word == "golden").then(|| "yellow".to_owned()),
        color_of: &|word| ["yellow", "red"].contains(&word).then(|| word.to_owned()),
        ground: &|colors| {
            if colors.contains(&"white") {
                "grass"
            } else {
                "plain"
            }
        },
    }
}

/// The plan and its notes.
fn planned(prompt: &str, draft: &Draft, studio: &Studio<'_>, seed: u64) -> (Plan, Vec<String>) {
    let made = make_plan(prompt, draft, studio, seed);
    (made.plan, made.notes)
}

fn known(noun: &str) -> Option<String> {
    ["cat", "coffee", "hat", "radio", "bicycle"]
        .into_iter()
        .find(|name| noun.split(' ').any(|word| word == *name))
        .map(|name| {
            if name == "coffee" {
                "cup of coffee".into()
            } else {
                name.to_owned()
            }
        })
}

#[test]
fn a_near_thing_stands_in_for_one_without_a_picture_and_the_notes_say_so() {
    let draft = Draft {
        elements: vec![thing("tricycle"), thing("cat"), thing("qualm")],
        ..Draft::default()
    };
    let studio = Studio {
        stand_in: &|noun| (noun != "qualm").then(|| "bicycle".to_owned()),
        ..studio(&[], &known)
    };
    let (plan, notes) = planned("a tricycle, a cat and a qualm", &draft, &studio, 1);
    let references: Vec<_> = plan
        .elements
        .iter()
        .map(|element| element.reference.as_deref())
        .collect();
    assert_eq!(references, [Some("props/bicycle"), Some("props/cat"), None]);
    assert_eq!(plan.elements[0].noun, "tricycle");
    let said = |note: &&String| note.starts_with("tricycle is drawn as bicycle");
    assert_eq!(notes.iter().filter(said).count(), 1, "{notes:?}");
    assert!(!notes.iter().any(|note| note.starts_with("cat is")));
}

#[test]
fn a_sent_picture_that_nothing_is_drawn_after_is_named() {
    let draft = Draft {
        elements: vec![thing("cat"), thing("dog")],
        ..Draft::default()
    };
    let names = ["cat", "mug"].map(str::to_owned);
    let (plan, notes) = planned("a cat and a dog", &draft, &studio(&names, &known), 1);
    assert_eq!(plan.elements[0].reference.as_deref(), Some("refs/cat"));
    let told = "nothing is drawn after the picture of mug that was sent";
    let found = notes.iter().filter(|note| note.starts_with("nothing is"));
    assert_eq!(found.collect::<Vec<_>>(), [told]);
}

#[test]
fn a_check_asks_for_the_light_where_the_prompt_names_one_for_all_of_the_picture() {
    let at = |prompt: &str, time: &str| {
        let draft = Draft {
            elements: vec![thing("cat")],
            time: time.into(),
            ..Draft::default()
        };
        let (plan, _) = planned(prompt, &draft, &studio(&[], &known), 1);
        let asked = plan
            .checks
            .iter()
            .filter_map(|check| match &check.question {
                Question::Light { expect } => Some(expect.clone()),
                _ => None,
            });
        asked.collect::<Vec<_>>()
    };
    assert_eq!(at("a cat at night", "night"), ["night"]);
    // Nobody asked for the day, or the planner made it up.
    assert_eq!(at("a cat", ""), Vec::<String>::new());
    assert_eq!(at("a cat", "night"), Vec::<String>::new());
    // It is both.
    assert_eq!(at("a cat from day to night", "night"), Vec::<String>::new());
}

#[test]
fn what_is_behind_goes_with_the_colors_where_the_prompt_names_nothing() {
    let behind = |color: &str, background: &str| {
        let draft = Draft {
            elements: vec![DraftElement {
                color: Some(color.into()),
                ..thing("cat")
            }],
            background: background.into(),
            ..Draft::default()
        };
        planned("a cat", &draft, &studio(&[], &known), 1)
            .0
            .background
    };
    assert_eq!(behind("white", ""), "grass");
    assert_eq!(behind("red", ""), "plain");
    assert_eq!(behind("white", "plain"), "plain");
}

#[test]
fn counts_become_instances_boxes_and_checks() {
    let draft = Draft {
        elements: vec![DraftElement {
            count: Some(3),
            color: Some("red".into()),
            ..thing("apple")
        }],
        ..Draft::default()
    };
    let (plan, notes) = planned("three red apples", &draft, &studio(&[], &known), 1);
    assert_eq!(plan.validate(), Ok(()));
    assert_eq!(plan.elements.len(), 3);
    assert!(
        plan.elements
            .iter()
            .all(|element| element.count == 1 && element.bbox.is_some())
    );
    let count = plan
        .checks
        .iter()
        .filter(|check| matches!(check.question, Question::Count { expect: 3, .. }))
        .count();
    let presence = plan
        .checks
        .iter()
        .filter(|check| matches!(check.question, Question::Presence { .. }))
        .count();
    let color = plan
        .checks
        .iter()
        .filter(|check| matches!(check.question, Question::Color { .. }))
        .count();
    assert_eq!((count, presence, color), (1, 3, 3));
    assert_eq!(notes, Vec::<String>::new());
}

#[test]
fn what_a_thing_holds_comes_along() {
    let cat = DraftElement {
        with: vec!["in a spacesuit".into(), "drinking coffee".into()],
        ..thing("cat")
    };
    let hat = DraftElement {
        with: vec!["wearing a hat".into()],
        ..thing("robot")
    };
    let draft = Draft {
        elements: vec![cat, hat, thing("vintage radio")],
        ..Draft::default()
    };
    let (plan, _) = planned("-", &draft, &studio(&[], &known), 7);
    let ids: Vec<&str> = plan
        .elements
        .iter()
        .map(|element| element.id.as_str())
        .collect();
    assert_eq!(ids, ["cat", "robot", "vintage-radio", "coffee", "hat"]);
    assert_eq!(
        plan.element("coffee").and_then(|e| e.reference.as_deref()),
        Some("props/cup of coffee")
    );
    let on = plan
        .relations
        .iter()
        .find(|relation| relation.predicate == Predicate::On)
        .expect("a hat on the robot");
    assert_eq!((on.subject.as_str(), on.object.as_str()), ("hat", "robot"));
}

#[test]
fn the_users_picture_comes_before_the_library() {
    let names = ["Cat".to_owned()];
    let draft = Draft {
        elements: vec![thing("fluffy cat"), thing("radio")],
        ..Draft::default()
    };
    let (plan, _) = planned("-", &draft, &studio(&names, &known), 7);
    assert_eq!(plan.elements[0].reference.as_deref(), Some("refs/Cat"));
    assert_eq!(plan.elements[1].reference.as_deref(), Some("props/radio"));
}

#[test]
fn relations_resolve_or_are_noted() {
    let draft = Draft {
        elements: vec![thing("cat"), thing("radio")],
        relations: vec![
            ("radio".into(), "left_of".into(), "cat".into()),
            ("radio".into(), "left_of".into(), "dog".into()),
        ],
        ..Draft::default()
    };
    let (plan, notes) = planned("a radio left of a cat", &draft, &studio(&[], &known), 3);
    assert_eq!(plan.relations.len(), 1);
    assert_eq!(notes.len(), 1);
    let x = |id: &str| {
        plan.element(id)
            .and_then(|element| element.bbox)
            .expect("a box")
            .center()
            .0
    };
    assert!(x("radio") < x("cat"));
}

#[test]
fn a_day_to_night_prompt_is_drawn_in_three_stages() {
    let draft = Draft {
        elements: vec![thing("cat")],
        ..Draft::default()
    };
    let (plan, _) = planned(
        "a cat, day turning into night",
        &draft,
        &studio(&[], &known),
        3,
    );
    assert_eq!(plan.stages.len(), 3);
    assert!(matches!(
        plan.sink().map(|stage| &stage.op),
        Some(StageOp::Blend { .. })
    ));
}

#[test]
fn words_that_nothing_cites_are_noted() {
    let draft = Draft {
        elements: vec![thing("cat")],
        background: "moon surface".into(),
        ..Draft::default()
    };
    let prompt = "a cat and a zeppelin and a second zeppelin on the moon";
    let made = make_plan(prompt, &draft, &studio(&[], &known), 3);
    assert_eq!(made.notes, ["not in the plan: zeppelin, second"]);
    // Cat, zeppelin, second and moon: a word that comes again is one word.
    let coverage = Coverage {
        words: 4,
        uncited: 2,
    };
    assert_eq!(made.uncited.coverage, coverage);
    for (prompt, missed) in [
        ("a cat and a poster on the wall", "poster"),
        ("a cat and a portrait above a sofa", "portrait"),
    ] {
        let made = make_plan(prompt, &draft, &studio(&[], &known), 3);
        assert!(made.uncited.things.contains(&missed.to_owned()), "{prompt}");
    }
}

proptest! {
    #[test]
    fn any_draft_makes_a_valid_plan(
        nouns in proptest::collection::vec(("\\PC{0,120}", proptest::option::of(0_u8..=255), proptest::option::of("\\PC{0,90}")), 0..24),
        relations in proptest::collection::vec((0_usize..24, 0_usize..9, 0_usize..24), 0..40),
        background in "\\PC{0,300}",
        scenes in 0_usize..6,
        words in "\\PC{0,1500}",
        seed: u64,
    ) {
        let prompt = match scenes {
            0 => words.clone(),
            1 => format!("left half {words}, right half {words}"),
            2 => format!("{words} before and after {words}"),
            3 => format!("a wall with a painting of a {words}"),
            4 => format!("{words}, day turning into night turning into dawn {words}"),
            _ => format!("{words} in all four seasons"),
        };
        let name = |index: usize| nouns.get(index).map_or_else(|| "nothing".to_owned(), |(noun, ..)| noun.clone());
        let draft = Draft {
            elements: nouns.iter().map(|(noun, count, words)| DraftElement {
                count: *count,
                color: words.clone(),
                place: words.clone(),
                with: words.iter().map(|words| format!("wearing {words}")).collect(),
                ..thing(noun)
            }).collect(),
            relations: relations.iter().map(|(a, predicate, b)| (name(*a), PREDICATES[*predicate].1[0].to_owned(), name(*b))).collect(),
            background,
            time: "night".into(),
        };
        let all = |noun: &str| Some(noun.chars().take(30).filter(|c| c.is_ascii_alphanumeric()).collect::<String>()).filter(|name| !name.is_empty());
        let (plan, _) = planned(&prompt, &draft, &studio(&[], &all), seed);
        prop_assert_eq!(plan.validate(), Ok(()));
    }
}
