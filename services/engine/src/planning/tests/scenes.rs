//! Evidence, things that were missed, and pictures of several scenes.

use super::*;

/// `what` is cited by these words.
fn cites(made: &Made, prompt: &str, what: &str, words: &str) {
    let cited = made.evidence.iter().find(|one| one.what == what);
    let cited = cited.unwrap_or_else(|| panic!("nothing cites {what}: {:?}", made.evidence));
    assert_eq!(cited.words, words, "{what}");
    let at = cited.at as usize;
    assert_eq!(&prompt[at..at + words.len()], words, "{what}");
}

#[test]
fn everything_in_a_plan_cites_its_words() {
    let prompt = "Three golden mice left of a Vintage Radio on the beach, day turning into night";
    let draft = Draft {
        elements: vec![
            DraftElement {
                count: Some(3),
                color: Some("yellow".into()),
                ..thing("mouse")
            },
            thing("vintage radio"),
        ],
        relations: vec![("mouse".into(), "left_of".into(), "vintage radio".into())],
        background: "beach".into(),
        time: "day".into(),
    };
    let made = make_plan(prompt, &draft, &studio(&[], &known), 1);
    for (what, words) in [
        ("elements.mouse-1", "mice"),
        ("elements.mouse-1.count", "Three"),
        ("elements.mouse-1.colors", "golden"),
        ("elements.vintage-radio", "Vintage Radio"),
        ("relations.0", "left of"),
        ("background", "beach"),
        ("lighting", "day"),
        ("stages.night", "night"),
    ] {
        cites(&made, prompt, what, words);
    }
    assert_eq!(made.uncited.things, Vec::<String>::new());
}

#[test]
fn what_was_counted_once_is_not_counted_again() {
    let counted = |noun: &str, count| DraftElement {
        count: Some(count),
        ..thing(noun)
    };
    let horses = |prompt: &str, elements: &[DraftElement]| {
        let draft = Draft {
            elements: elements.to_vec(),
            ..Draft::default()
        };
        let made = make_plan(prompt, &draft, &studio(&[], &known), 1);
        made.plan.elements.len()
    };
    let twice = [counted("horses", 2), counted("horse", 2)];
    assert_eq!(horses("precisely two horses", &twice), 2);
    assert_eq!(
        horses("two horses on the left, two horses on the right", &twice),
        4
    );
    let red = DraftElement {
        color: Some("red".into()),
        ..counted("horse", 2)
    };
    assert_eq!(
        horses(
            "two horses and two red ones",
            &[counted("horses", 2), red.clone()]
        ),
        4
    );
    let again = [red.clone(), counted("horses", 2)];
    assert_eq!(horses("two red horses", &again), 2);
    assert_eq!(horses("two horses", &[thing("horse"), thing("horse")]), 2);
    let late = [thing("horses"), counted("horse", 2)];
    assert_eq!(horses("two horses and a cat", &late), 2);
    assert_eq!(horses("a horse and two horses", &late), 3);
}

#[test]
fn words_of_number_and_of_pictures_are_no_things() {
    let three_dogs = DraftElement {
        count: Some(3),
        ..thing("dog")
    };
    for (prompt, taken, meant) in [
        ("a trio of dogs and a ball", "trio", three_dogs),
        ("a group of cats on a beach", "group", thing("cat")),
        ("a portrait of a cat", "portrait", thing("cat")),
        ("a sketch of a red fox", "sketch", thing("fox")),
        ("A watercolor of a fox", "watercolor", thing("fox")),
        ("a collage of cats", "collage", thing("cat")),
    ] {
        let draft = Draft {
            elements: vec![meant.clone()],
            ..Draft::default()
        };
        let made = make_plan(prompt, &draft, &studio(&[], &known), 1);
        let missed = &made.uncited.things;
        assert!(!missed.iter().any(|thing| thing == taken), "{missed:?}");
        if taken == "collage" {
            // Any noun may hold others; a draft that names it means it.
            continue;
        }
        let draft = Draft {
            elements: vec![thing(taken), meant],
            relations: vec![("cat".into(), "near".into(), taken.into())],
            ..Draft::default()
        };
        let made = make_plan(prompt, &draft, &studio(&[], &known), 1);
        let named = made.plan.elements.iter().map(|element| &element.noun);
        assert!(!named.into_iter().any(|noun| noun == taken), "{prompt}");
        assert!(made.plan.relations.is_empty());
    }
    for (prompt, taken) in [
        ("a cat, plus also a dog", "plus also"),
        ("a cat and a dog, everything at sea", "everything"),
        ("both a cat and a dog", "both"),
        ("a cat and a dog together", "together"),
    ] {
        let draft = Draft {
            elements: vec![thing("cat"), thing(taken), thing("dog")],
            ..Draft::default()
        };
        let made = make_plan(prompt, &draft, &studio(&[], &known), 1);
        let named: Vec<_> = made
            .plan
            .elements
            .iter()
            .map(|element| element.noun.as_str())
            .collect();
        assert_eq!(named, ["cat", "dog"], "{prompt}");
        assert!(
            !made
                .uncited
                .words
                .iter()
                .any(|word| taken.contains(word.as_str()))
        );
    }
    // What holds things is one where it is no such word, or where nothing else is drawn.
    let soup = "a bowl of soup";
    let draft = Draft {
        elements: vec![thing("bowl"), thing("soup")],
        ..Draft::default()
    };
    let made = make_plan(soup, &draft, &studio(&[], &known), 1);
    assert_eq!(made.plan.elements.len(), 2);
    let draft = Draft {
        elements: vec![thing("portrait")],
        ..Draft::default()
    };
    let made = make_plan("a portrait of nobody", &draft, &studio(&[], &known), 1);
    assert_eq!(made.plan.elements.len(), 1);
}

#[test]
fn the_number_of_a_trio_is_cited() {
    let prompt = "a trio of dogs";
    let draft = Draft {
        elements: vec![DraftElement {
            count: Some(3),
            ..thing("dog")
        }],
        ..Draft::default()
    };
    let made = make_plan(prompt, &draft, &studio(&[], &known), 1);
    cites(&made, prompt, "elements.dog-1.count", "trio");
}

#[test]
fn of_two_of_a_kind_each_cites_its_own_words() {
    let prompt = "a red cat and a blue cat";
    let cat = |color: &str| DraftElement {
        color: Some(color.into()),
        ..thing("cat")
    };
    let draft = Draft {
        elements: vec![cat("red"), cat("blue")],
        ..Draft::default()
    };
    let made = make_plan(prompt, &draft, &studio(&[], &known), 1);
    let at = |what: &str| {
        made.evidence
            .iter()
            .find(|one| one.what == what)
            .map(|one| one.at)
    };
    assert_eq!(
        (at("elements.cat"), at("elements.cat-2")),
        (Some(6), Some(21))
    );
    assert_eq!(
        (at("elements.cat.colors"), at("elements.cat-2.colors")),
        (Some(2), Some(16))
    );
}

#[test]
fn things_that_nothing_cites_are_found_and_other_words_are_not_taken_for_things() {
    let draft = Draft {
        elements: vec![thing("cat")],
        ..Draft::default()
    };
    for (prompt, things) in [
        (
            "a cat, a radio and two zeppelins",
            &["radio", "zeppelins"][..],
        ),
        ("a cat with an old bicycle", &["old bicycle"]),
        ("a cat with a strange device", &["strange device"]),
        ("a sleepy cat", &[]),
        ("a cat sitting quietly", &[]),
        ("draw me a picture of a cat please", &[]),
        ("cat radio", &["radio"]),
    ] {
        let made = make_plan(prompt, &draft, &studio(&[], &known), 1);
        assert_eq!(made.uncited.things, things, "{prompt}");
    }
}

#[test]
fn the_things_of_two_scenes_stay_in_their_halves() {
    let prompt = "left half a beach with a cat and a radio, right half a forest with a bicycle";
    let draft = Draft {
        elements: vec![thing("cat"), thing("radio"), thing("bicycle")],
        background: "beach".into(),
        ..Draft::default()
    };
    for seed in 0..20 {
        let (plan, _) = planned(prompt, &draft, &studio(&[], &known), seed);
        let BBox([_, _, cat, _]) = plan.elements[0].bbox.unwrap();
        let BBox([_, _, radio, _]) = plan.elements[1].bbox.unwrap();
        let BBox([bicycle, ..]) = plan.elements[2].bbox.unwrap();
        assert!(cat <= 0.5 && radio <= 0.5 && bicycle >= 0.5, "{plan:?}");
        let StageOp::Generate { caption } = &plan.stages[1].op else {
            panic!("{plan:?}")
        };
        assert!(
            caption.contains("bicycle") && !caption.contains("one cat"),
            "{caption}"
        );
    }
}

#[test]
fn what_is_missing_in_a_half_is_found_although_its_stage_quotes_it() {
    let draft = |nouns: &[&str]| Draft {
        elements: nouns.iter().map(|noun| thing(noun)).collect(),
        background: "beach".into(),
        ..Draft::default()
    };
    let prompt = "left half a beach with a cat and a radio, right half a forest with a bicycle";
    let made = make_plan(prompt, &draft(&["cat"]), &studio(&[], &known), 1);
    assert_eq!(made.plan.stages.len(), 3);
    assert_eq!(made.uncited.things, ["radio", "bicycle"]);
    assert_eq!(made.uncited.words, ["radio", "bicycle"]);
    let all = draft(&["cat", "radio", "bicycle"]);
    let made = make_plan(prompt, &all, &studio(&[], &known), 1);
    assert_eq!(made.uncited.words, Vec::<String>::new());
    // A half's sky, ground and light are read from its words.
    for prompt in [
        "top half a blue sky with a cat, bottom half a deep ocean at night",
        "upper half the moon with a cat, lower half the sea",
    ] {
        let made = make_plan(prompt, &draft(&["cat"]), &studio(&[], &known), 1);
        assert_eq!(made.uncited.things, Vec::<String>::new(), "{prompt}");
    }
    // What an edit does is told to the renderer as it stands.
    let prompt = "a cat before and after the storm";
    let made = make_plan(prompt, &draft(&["cat"]), &studio(&[], &known), 1);
    assert_eq!(made.uncited.words, Vec::<String>::new());
}

#[test]
fn in_the_sky_is_where_something_is_and_no_thing() {
    let missed = |prompt: &str| {
        let draft = Draft {
            elements: vec![thing("cat")],
            ..Draft::default()
        };
        make_plan(prompt, &draft, &studio(&[], &known), 1).uncited
    };
    assert_eq!(missed("a cat in the sky and a radio").things, ["radio"]);
    let words = missed("a cat under the sky").words;
    assert_eq!(words, ["sky"], "it is said to be there");
}

#[test]
fn what_a_painting_shows_is_inside_it() {
    let prompt = "a room with a painting of a cat on the wall and a radio";
    let draft = Draft {
        elements: vec![thing("painting"), thing("cat"), thing("radio")],
        relations: vec![("cat".into(), "on".into(), "painting".into())],
        ..Draft::default()
    };
    let (plan, _) = planned(prompt, &draft, &studio(&[], &known), 2);
    let BBox(frame) = plan.elements[0].bbox.unwrap();
    let BBox(cat) = plan.elements[1].bbox.unwrap();
    assert!(
        frame[0] < cat[0] && frame[1] < cat[1] && cat[2] < frame[2] && cat[3] < frame[3],
        "{plan:?}"
    );
    let StageOp::Repair {
        bbox, instruction, ..
    } = &plan.stages[1].op
    else {
        panic!("{plan:?}")
    };
    assert_eq!((bbox.0, instruction.as_str()), (cat, "painting: a cat"));
    assert_eq!(plan.relations, []);
}

#[test]
fn contradictions_are_told() {
    let draft = Draft {
        elements: vec![thing("cat"), thing("radio")],
        relations: vec![
            ("cat".into(), "left_of".into(), "radio".into()),
            ("radio".into(), "left_of".into(), "cat".into()),
        ],
        ..Draft::default()
    };
    let (_, notes) = planned(
        "a cat left of a radio, the radio left of the cat",
        &draft,
        &studio(&[], &known),
        3,
    );
    let told = notes
        .iter()
        .filter(|note| note.starts_with("contradicts the rest"))
        .count();
    assert_eq!(told, 1, "{notes:?}");
}
