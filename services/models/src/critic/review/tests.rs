use atelier_proto::plan::Predicate;
use proptest::prelude::*;

use super::*;
use crate::critic::detector::Line;

fn thing(name: &str, probability: f32, score: f32, bbox: [f32; 4]) -> Detection {
    Detection {
        name: name.into(),
        score,
        names: vec![(name.into(), probability)],
        color: None,
        color_score: 0.9,
        colors: vec![("red".into(), 0.02), ("blue".into(), 0.02)],
        bbox,
    }
}

fn painted(mut thing: Detection, color: &str, probability: f32) -> Detection {
    thing.color = Some(color.into());
    thing.color_score = probability;
    for (known, p) in &mut thing.colors {
        *p = if known == color { probability } else { 0.01 };
    }
    thing
}

fn element(id: &str, noun: &str, bbox: [f32; 4]) -> Element {
    Element {
        id: id.into(),
        noun: noun.into(),
        count: 1,
        attributes: vec![],
        colors: vec![],
        bbox: Some(BBox(bbox)),
        reference: None,
    }
}

fn answers(
    elements: Vec<Element>,
    questions: Vec<Question>,
    things: &[Detection],
) -> Vec<(Answer, String)> {
    answers_at(("day", 0.9), elements, questions, things)
}

fn answers_at(
    time: (&str, f32),
    elements: Vec<Element>,
    questions: Vec<Question>,
    things: &[Detection],
) -> Vec<(Answer, String)> {
    let review = review_by(Calibration::default(), time, elements, questions, things);
    let verdicts = review.verdicts.into_iter();
    verdicts
        .map(|verdict| (verdict.answer, verdict.found))
        .collect()
}

fn review_by(
    calibration: Calibration,
    time: (&str, f32),
    elements: Vec<Element>,
    questions: Vec<Question>,
    things: &[Detection],
) -> Review {
    let mut plan = Plan::direct("test");
    plan.elements = elements;
    plan.checks = questions
        .into_iter()
        .enumerate()
        .map(|(index, question)| Check {
            id: format!("k{index}"),
            question,
        })
        .collect();
    let known = |noun: &str| {
        ["cat", "dog", "tomato"]
            .contains(&noun)
            .then(|| noun.to_owned())
    };
    let words = Words {
        name_of: &|element| known(&element.noun),
        name_of_noun: &known,
        color_of: &|color| ["red", "blue"].contains(&color).then(|| color.to_owned()),
        is_own_color: &|name, color| name == "tomato" && color == "red",
        time_of: &|light| ["day", "night"].contains(&light).then(|| light.to_owned()),
        time,
        calibration,
    };
    let review = review(&plan, things, &words);
    assert_eq!(review.verdicts.len(), plan.checks.len());
    review
}

const LEFT: [f32; 4] = [0.0, 0.4, 0.4, 0.8];
const RIGHT: [f32; 4] = [0.6, 0.4, 1.0, 0.8];

fn presence(element: &str) -> Question {
    Question::Presence {
        element: element.into(),
    }
}

fn count(expect: u32) -> Question {
    Question::Count {
        noun: "cat".into(),
        expect,
    }
}

fn color(expect: &str) -> Question {
    Question::Color {
        element: "cat".into(),
        expect: expect.into(),
    }
}

#[test]
fn a_thing_is_there_missing_or_doubtful() {
    let ask = |things: &[Detection]| {
        answers(
            vec![element("cat", "cat", LEFT)],
            vec![presence("cat")],
            things,
        )[0]
        .0
    };
    assert_eq!(ask(&[thing("cat", 0.9, 0.9, LEFT)]), Answer::Pass);
    assert_eq!(ask(&[]), Answer::Fail);
    assert_eq!(ask(&[thing("dog", 0.95, 0.9, LEFT)]), Answer::Fail);
    assert_eq!(ask(&[thing("dog", 0.5, 0.9, LEFT)]), Answer::Fail);
    assert_eq!(ask(&[thing("cat", 0.4, 0.6, LEFT)]), Answer::Fail);
    assert_eq!(ask(&[thing("cat", 0.8, 0.9, LEFT)]), Answer::Unknown);
}

/// A network that is too modest: it is right when it says one of five.
const MODEST: Line = Line {
    slope: 1.0,
    offset: 3.0,
};

#[test]
fn answers_are_as_sure_as_the_calibration_says() {
    let ask = |calibration: Calibration, things: &[Detection]| {
        let elements = vec![element("cat", "cat", LEFT)];
        let asked = vec![presence("cat"), color("red")];
        let review = review_by(calibration, ("day", 0.9), elements, asked, things);
        let answers: Vec<(Answer, f32)> = (review.verdicts.iter())
            .map(|verdict| (verdict.answer, verdict.confidence))
            .collect();
        (answers, review.seen)
    };
    let faint = [painted(thing("cat", 0.5, 0.4, LEFT), "red", 0.2)];
    let (plain, seen) = ask(Calibration::default(), &faint);
    assert_eq!((plain[0].0, plain[1].0), (Answer::Fail, Answer::Unknown));
    assert!((plain[0].1 - 0.8).abs() < 1e-3, "{plain:?}");
    assert!(seen.is_empty(), "{seen:?}");
    let modest = Calibration {
        presence: MODEST,
        color: MODEST,
    };
    let (sure, seen) = ask(modest, &faint);
    assert_eq!((sure[0].0, sure[1].0), (Answer::Pass, Answer::Pass));
    assert!((sure[0].1 - MODEST.likely(0.2)).abs() < 1e-3, "{sure:?}");
    // What stands for an element is told, however faint.
    assert_eq!(seen[0].element.as_deref(), Some("cat"));
}

#[test]
fn what_is_another_elements_does_not_count() {
    let mut dog = thing("dog", 0.6, 0.9, LEFT);
    dog.names.push(("cat".into(), 0.3));
    let things = [dog, thing("cat", 0.9, 0.9, RIGHT)];
    let modest = Calibration {
        presence: MODEST,
        color: MODEST,
    };
    let ask = |elements: Vec<Element>| {
        let review = review_by(modest, ("day", 0.9), elements, vec![count(1)], &things);
        review.verdicts[0].answer
    };
    assert_eq!(ask(vec![element("dog", "dog", LEFT)]), Answer::Pass);
    assert_eq!(ask(vec![]), Answer::Unknown);
}

#[test]
fn a_faint_one_more_than_was_asked_for_does_not_count() {
    let modest = Calibration {
        presence: MODEST,
        color: MODEST,
    };
    let ask = |score: f32| {
        let things = [
            thing("cat", 0.9, 0.3, LEFT),
            thing("cat", 0.9, score, RIGHT),
        ];
        let elements = vec![element("cat", "cat", LEFT)];
        let review = review_by(modest, ("day", 0.9), elements, vec![count(1)], &things);
        review.verdicts[0].answer
    };
    assert_eq!(ask(0.2), Answer::Pass);
    assert_eq!(ask(0.4), Answer::Unknown);
    assert_eq!(ask(0.8), Answer::Fail);
}

#[test]
fn a_missing_thing_is_no_surer_for_what_others_have() {
    // The only cat is where the first one belongs; of the second nothing is there at all.
    let elements = vec![
        element("cat-1", "cat", LEFT),
        element("cat-2", "cat", RIGHT),
    ];
    let things = [thing("cat", 0.95, 0.95, LEFT)];
    let asked = vec![presence("cat-2")];
    let review = review_by(
        Calibration::default(),
        ("day", 0.9),
        elements,
        asked,
        &things,
    );
    let verdict = &review.verdicts[0];
    assert_eq!(verdict.answer, Answer::Fail);
    assert!(verdict.confidence > 0.99, "{verdict:?}");
}

#[test]
fn a_thing_that_another_element_has_is_not_this_one() {
    let elements = vec![
        element("cat-1", "cat", LEFT),
        element("cat-2", "cat", RIGHT),
    ];
    let found = answers(
        elements.clone(),
        vec![presence("cat-1"), presence("cat-2")],
        &[thing("cat", 0.9, 0.9, RIGHT)],
    );
    assert_eq!((found[0].0, found[1].0), (Answer::Fail, Answer::Pass));
    let both = [thing("cat", 0.9, 0.9, RIGHT), thing("cat", 0.9, 0.8, LEFT)];
    let places = ["cat-1", "cat-2"].map(|id| Question::Position {
        element: id.into(),
        expect: BBox(if id == "cat-1" { LEFT } else { RIGHT }),
    });
    assert!(
        answers(elements, places.to_vec(), &both)
            .iter()
            .all(|(answer, _)| *answer == Answer::Pass)
    );
}

#[test]
fn counts_pass_only_when_nothing_else_may_be_one() {
    let cats = |sure: usize, maybe: usize| {
        let mut things: Vec<_> = (0..sure).map(|_| thing("cat", 0.9, 0.9, LEFT)).collect();
        things.extend((0..maybe).map(|_| thing("cat", 0.8, 0.5, RIGHT)));
        things
    };
    let ask = |things: &[Detection]| answers(vec![], vec![count(2)], things)[0].clone();
    assert_eq!(ask(&cats(2, 0)), (Answer::Pass, "2 x cat".into()));
    assert_eq!(ask(&cats(2, 1)).0, Answer::Unknown);
    assert_eq!(ask(&cats(1, 1)).0, Answer::Unknown);
    assert_eq!(ask(&cats(1, 0)).0, Answer::Fail);
    assert_eq!(ask(&cats(3, 0)).0, Answer::Fail);
    assert_eq!(ask(&cats(0, 1)).0, Answer::Fail);
}

#[test]
fn colors_are_asked_of_the_thing_that_was_found() {
    let ask = |things: &[Detection], expect: &str| {
        answers(
            vec![element("cat", "cat", LEFT)],
            vec![color(expect)],
            things,
        )[0]
        .0
    };
    let cat = || thing("cat", 0.9, 0.9, LEFT);
    assert_eq!(ask(&[painted(cat(), "red", 0.9)], "red"), Answer::Pass);
    assert_eq!(ask(&[painted(cat(), "blue", 0.9)], "red"), Answer::Fail);
    assert_eq!(ask(&[painted(cat(), "blue", 0.6)], "red"), Answer::Fail);
    assert_eq!(ask(&[painted(cat(), "red", 0.7)], "red"), Answer::Unknown);
    assert_eq!(ask(&[cat()], "red"), Answer::Fail);
    assert_eq!(ask(&[], "red"), Answer::Unknown);
    assert_eq!(ask(&[cat()], "mauve"), Answer::Unknown);
}

#[test]
fn a_tomato_as_it_comes_is_red() {
    let question = Question::Color {
        element: "t".into(),
        expect: "red".into(),
    };
    let found = answers(
        vec![element("t", "tomato", LEFT)],
        vec![question],
        &[thing("tomato", 0.9, 0.9, LEFT)],
    );
    assert_eq!(found[0].0, Answer::Pass);
}

#[test]
fn another_light_must_be_certain_to_be_wrong() {
    let light = |expect: &str| Question::Light {
        expect: expect.into(),
    };
    let of = |time| {
        let asked = vec![light("night"), light("day"), light("candlelight")];
        let answers = answers_at(time, Vec::new(), asked, &[]);
        answers.into_iter().map(|(answer, _)| answer)
    };
    let (pass, fail, unknown) = (Answer::Pass, Answer::Fail, Answer::Unknown);
    assert!(of(("night", 0.99)).eq([pass, fail, unknown]));
    assert!(of(("day", 0.9)).eq([unknown, pass, unknown]));
    assert!(of(("day", 0.4)).eq([unknown, unknown, unknown]));
}

#[test]
fn what_is_out_of_reach_is_unknown() {
    let relation = |subject: &str| Question::Relation {
        subject: subject.into(),
        predicate: Predicate::LeftOf,
        object: "dog".into(),
    };
    let elements = vec![
        element("cat", "cat", LEFT),
        element("dog", "dog", RIGHT),
        element("axolotl", "axolotl", LEFT),
    ];
    let things = [thing("cat", 0.9, 0.9, LEFT), thing("dog", 0.9, 0.9, RIGHT)];
    let found = answers(
        elements,
        vec![
            relation("cat"),
            relation("axolotl"),
            presence("axolotl"),
            presence("nobody"),
            Question::Text {
                expect: "hi".into(),
            },
        ],
        &things,
    );
    assert_eq!(
        found.iter().map(|(answer, _)| *answer).collect::<Vec<_>>(),
        [
            Answer::Pass,
            Answer::Unknown,
            Answer::Unknown,
            Answer::Unknown,
            Answer::Unknown
        ]
    );
}

#[test]
fn what_stands_in_the_place_of_an_unknown_thing_is_taken_for_it_but_proves_nothing() {
    let elements = vec![
        element("axolotl", "axolotl", LEFT),
        element("dog", "dog", RIGHT),
    ];
    let relation = Question::Relation {
        subject: "axolotl".into(),
        predicate: Predicate::LeftOf,
        object: "dog".into(),
    };
    let things = [thing("fish", 0.9, 0.9, LEFT), thing("dog", 0.9, 0.9, RIGHT)];
    let found = answers(elements, vec![presence("axolotl"), relation], &things);
    assert_eq!((found[0].0, found[1].0), (Answer::Unknown, Answer::Pass));
}

proptest! {
    #[test]
    fn every_check_is_answered_whatever_was_seen(
        seen in proptest::collection::vec((0.0_f32..1.0, 0.0_f32..1.0, 0.0_f32..0.5, 0.0_f32..0.5), 0..6),
        expect in 0_u32..5,
    ) {
        let things: Vec<_> = seen.iter().map(|&(p, score, x, y)| thing("cat", p, score, [x, y, x + 0.4, y + 0.4])).collect();
        let found = answers(vec![element("cat", "cat", LEFT)], vec![presence("cat"), count(expect), color("red")], &things);
        prop_assert_eq!(found.len(), 3);
    }
}
