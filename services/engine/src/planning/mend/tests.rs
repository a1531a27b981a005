use atelier_proto::{
    plan::{Check, Mask},
    review::Verdict,
};
use proptest::prelude::*;

use super::*;

const COLORS: [&str; 3] = ["red", "green", "blue"];

/// Places that do not touch each other.
fn place(index: usize) -> BBox {
    let (column, row) = ((index % 4) as f32 * 0.25, (index / 4) as f32 * 0.25);
    BBox([column + 0.04, row + 0.04, column + 0.2, row + 0.2])
}

/// A plan of things `(noun, colour)` at the first places, with a check for everything.
fn plan(things: &[(usize, usize)]) -> Plan {
    let mut plan = Plan::direct("things");
    plan.background = "moon surface".into();
    for (index, (noun, color)) in things.iter().enumerate() {
        plan.elements.push(Element {
            id: format!("e{index}"),
            noun: ["cat", "dog"][*noun].into(),
            count: 1,
            attributes: Vec::new(),
            colors: vec![COLORS[*color].into()],
            bbox: Some(place(index)),
            reference: None,
        });
    }
    let mut questions = Vec::new();
    for element in &plan.elements {
        let id = element.id.clone();
        questions.extend([
            Question::Presence {
                element: id.clone(),
            },
            Question::Color {
                element: id.clone(),
                expect: element.colors[0].clone(),
            },
            Question::Position {
                element: id,
                expect: element.bbox.unwrap(),
            },
        ]);
    }
    for noun in ["cat", "dog"] {
        let own = plan.elements.iter().filter(|element| element.noun == noun);
        let expect = own.count() as u32;
        questions.push(Question::Count {
            noun: noun.into(),
            expect,
        });
    }
    let questions = questions.into_iter().enumerate();
    plan.checks = questions
        .map(|(index, question)| Check {
            id: format!("k{index}"),
            question,
        })
        .collect();
    plan.validate().unwrap();
    plan
}

/// Answers as an eye that sees everything would. What is not found cannot have a colour or a place.
fn review(plan: &Plan, seen: Vec<Sighting>) -> Review {
    let of = |id: &str| seen.iter().find(|one| one.element.as_deref() == Some(id));
    let answer = |pass: Option<bool>| match pass {
        Some(true) => Answer::Pass,
        Some(false) => Answer::Fail,
        None => Answer::Unknown,
    };
    let verdicts = plan.checks.iter().map(|check| {
        let passes = match &check.question {
            Question::Presence { element } => Some(of(element).is_some()),
            Question::Count { noun, expect } => {
                let called = seen.iter().filter(|one| one.name == *noun);
                Some(called.count() == *expect as usize)
            }
            Question::Color { element, expect } => {
                of(element).map(|one| one.color.as_ref() == Some(expect))
            }
            Question::Position { element, expect } => {
                of(element).map(|one| one.bbox.iou(expect) > 0.5)
            }
            Question::Relation { .. } | Question::Text { .. } => None,
        };
        Verdict {
            check: check.id.clone(),
            answer: answer(passes),
            confidence: 0.5 + 0.01 * check.id.len() as f32,
            found: "what was found".into(),
            boxes: Vec::new(),
        }
    });
    let verdicts = verdicts.collect();
    Review {
        verdicts,
        seen,
        ..Review::default()
    }
}

/// What an exact painter makes of the found layout.
fn applied(plan: &Plan, seen: &[Sighting], fixes: &[Fix]) -> Vec<Sighting> {
    let mut seen = seen.to_vec();
    for fix in fixes {
        // Whatever the box covers is painted over.
        seen.retain(|one| {
            let ((x, y), [x0, y0, x1, y1]) = (one.bbox.center(), fix.bbox.0);
            !((x0..x1).contains(&x) && (y0..y1).contains(&y))
        });
        if fix.kind != FixKind::Erase {
            let element = plan.element(fix.element.as_ref().unwrap()).unwrap();
            seen.push(Sighting {
                name: element.noun.clone(),
                color: element.colors.first().cloned(),
                element: Some(element.id.clone()),
                confidence: 0.9,
                bbox: fix.bbox,
            });
        }
    }
    seen
}

/// How a thing came out: 0 missing, 1 right, 2 in another colour, 3 in another place, 4 both.
fn found(plan: &Plan, fates: &[usize], surplus: &[usize]) -> Vec<Sighting> {
    let mut seen = Vec::new();
    for (index, element) in plan.elements.iter().enumerate() {
        let fate = fates[index];
        let color = COLORS.iter().find(|color| **color != element.colors[0]);
        if fate > 0 {
            seen.push(Sighting {
                name: element.noun.clone(),
                color: if fate == 2 || fate == 4 {
                    color.map(|color| (*color).to_owned())
                } else {
                    element.colors.first().cloned()
                },
                element: Some(element.id.clone()),
                confidence: 0.8,
                bbox: if fate >= 3 {
                    place(8 + index)
                } else {
                    place(index)
                },
            });
        }
    }
    for (index, noun) in surplus.iter().enumerate() {
        seen.push(Sighting {
            name: ["cat", "dog"][*noun].into(),
            color: None,
            element: None,
            confidence: 0.3 + 0.1 * index as f32,
            bbox: place(13 + index),
        });
    }
    seen
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_found_layout_with_its_fixes_is_the_wanted_one(
        things in prop::collection::vec((0..2_usize, 0..3_usize, 0..5_usize), 1..=5),
        surplus in prop::collection::vec(0..2_usize, 0..=2),
    ) {
        let wanted: Vec<(usize, usize)> = things.iter().map(|(noun, color, _)| (*noun, *color)).collect();
        let fates: Vec<usize> = things.iter().map(|(_, _, fate)| *fate).collect();
        let plan = plan(&wanted);
        let seen = found(&plan, &fates, &surplus);
        let review = review(&plan, seen);
        let fixes = fixes(&plan, &review);

        let differences: usize = fates.iter().map(|fate| match fate {
            1 => 0,
            // Erased where it is, added where it belongs.
            3 | 4 => 2,
            _ => 1,
        }).sum::<usize>() + surplus.len();
        prop_assert!(fixes.len() <= differences, "{fixes:#?}");
        for fix in &fixes {
            prop_assert!(fix.bbox.is_inside() && !fix.checks.is_empty() && !fix.instruction.is_empty());
            for check in &fix.checks {
                let verdict = review.verdicts.iter().find(|verdict| verdict.check == *check);
                prop_assert_eq!(verdict.map(|verdict| verdict.answer), Some(Answer::Fail));
            }
            let right = plan.elements.iter().zip(&fates).find(|(_, fate)| **fate == 1).map(|(element, _)| &element.id);
            prop_assert!(fix.element.is_none() || fix.element.as_ref() != right, "what is right is changed: {fix:?}");
        }

        // Everything is where, what and as many as wanted; a thing that nobody wanted may stay where one of its noun is missing and none too many.
        let after = applied(&plan, &review.seen, &fixes);
        let again = self::review(&plan, after);
        for (check, verdict) in plan.checks.iter().zip(&again.verdicts) {
            let count_hides_it = matches!(&check.question, Question::Count { noun, .. }
                if plan.elements.iter().zip(&fates).any(|(element, fate)| element.noun == *noun && *fate == 0)
                    && surplus.iter().any(|other| ["cat", "dog"][*other] == *noun));
            prop_assert!(count_hides_it || verdict.answer == Answer::Pass, "{:?} {verdict:?} after {fixes:#?}", check.question);
        }
        if fates.iter().all(|fate| *fate == 1) && surplus.is_empty() {
            prop_assert_eq!(fixes, Vec::new());
        }
    }

    #[test]
    fn whatever_was_seen_the_fixes_are_bounded_and_the_plan_with_one_is_valid(
        boxes in prop::collection::vec(prop::array::uniform4(-0.5..1.5_f32), 0..20),
        things in prop::collection::vec((0..2_usize, 0..3_usize), 1..=8),
        owners in prop::collection::vec(prop::option::of(0..10_usize), 20),
        answers in prop::collection::vec(0..3_usize, 40),
    ) {
        let plan = plan(&things);
        let seen = boxes.iter().zip(&owners).map(|(bbox, owner)| Sighting {
            name: "cat".into(),
            color: None,
            element: owner.map(|index| format!("e{index}")),
            confidence: f32::NAN,
            bbox: BBox(*bbox),
        });
        let mut review = review(&plan, seen.collect());
        for (verdict, answer) in review.verdicts.iter_mut().zip(answers) {
            verdict.answer = [Answer::Pass, Answer::Fail, Answer::Unknown][answer];
        }
        advise(&plan, &mut review);
        prop_assert!(review.fixes.len() <= MAX_FIXES && review.findings.len() <= 16);
        prop_assert!(review.findings.iter().all(|finding| finding.len() <= 200));
        for fix in &review.fixes {
            prop_assert!(fix.bbox.is_inside());
            let mended = with_fix(&plan, "repair-2-1", fix);
            prop_assert_eq!(mended.validate(), Ok(()));
            prop_assert_eq!(&mended.sink().unwrap().id, "repair-2-1");
        }
    }
}

#[test]
fn the_weakest_surplus_goes_and_no_element() {
    let plan = plan(&[(0, 0)]);
    let review = review(&plan, found(&plan, &[1], &[0, 0]));
    let fixes = fixes(&plan, &review);
    assert_eq!(fixes.len(), 2);
    assert!(fixes.iter().all(|fix| fix.kind == FixKind::Erase));
    assert_eq!(fixes[0].bbox, widened(&place(13)));
    assert_eq!(fixes[0].instruction, "moon surface, and nothing else");
}

#[test]
fn doubt_changes_nothing() {
    let plan = plan(&[(0, 0), (1, 1)]);
    let mut review = review(&plan, Vec::new());
    for verdict in &mut review.verdicts {
        verdict.answer = Answer::Unknown;
    }
    advise(&plan, &mut review);
    assert_eq!((review.fixes, review.findings), (Vec::new(), Vec::new()));
}

#[test]
fn what_is_erased_is_not_drawn_again_in_its_box() {
    let mut plan = plan(&[(0, 0), (1, 1)]);
    plan.stages[0].id = "day".into();
    plan.stages.push(Stage {
        id: "both".into(),
        op: StageOp::Blend {
            inputs: vec!["day".into(), "night".into()],
            mask: Mask::Linear {
                angle: 0.0,
                from: 0.3,
                to: 0.7,
            },
        },
    });
    let fix = Fix {
        kind: FixKind::Erase,
        element: None,
        noun: "cat".into(),
        bbox: place(0),
        instruction: "the moon".into(),
        checks: vec!["k1".into()],
    };
    let erased = with_fix(&plan, "repair-2-1", &fix);
    let ids: Vec<&str> = erased.elements.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["e1"]);
    let added = Fix {
        kind: FixKind::Add,
        element: Some("e1".into()),
        bbox: place(6),
        ..fix
    };
    let added = with_fix(&plan, "repair-2-1", &added);
    assert_eq!(added.element("e1").unwrap().bbox, Some(place(6)));
    assert!(matches!(&added.sink().unwrap().op, StageOp::Repair { input, .. } if input == "both"));
}

#[test]
fn checks_that_cannot_both_pass_are_named() {
    let relation = |subject: &str, predicate, object: &str| Question::Relation {
        subject: subject.into(),
        predicate,
        object: object.into(),
    };
    let count = |expect| Question::Count {
        noun: "cat".into(),
        expect,
    };
    let cases = [
        (
            vec![
                relation("e0", Predicate::LeftOf, "e1"),
                relation("e1", Predicate::LeftOf, "e0"),
            ],
            2,
        ),
        (
            vec![
                relation("e0", Predicate::Above, "e1"),
                relation("e0", Predicate::Below, "e1"),
            ],
            2,
        ),
        (
            vec![
                relation("e0", Predicate::LeftOf, "e1"),
                relation("e1", Predicate::RightOf, "e0"),
            ],
            0,
        ),
        (vec![count(1), count(2)], 2),
        (vec![count(2)], 0),
        (
            vec![
                relation("e0", Predicate::Near, "e1"),
                relation("e1", Predicate::Near, "e0"),
            ],
            0,
        ),
    ];
    for (questions, expected) in cases {
        let mut plan = plan(&[(0, 0), (0, 1)]);
        let checks = questions.into_iter().enumerate();
        plan.checks = checks
            .map(|(index, question)| Check {
                id: format!("k{index}"),
                question,
            })
            .collect();
        let mut review = review(&plan, Vec::new());
        for verdict in &mut review.verdicts {
            verdict.answer = Answer::Fail;
        }
        let named = contradictory(&plan, &review);
        assert_eq!(named.len(), expected, "{:?}", plan.checks);
    }
}
