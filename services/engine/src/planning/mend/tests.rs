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
    plan.lighting = "night".into();
    questions.push(Question::Light {
        expect: "night".into(),
    });
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

/// Answers as an eye that sees everything would, at night.
fn review(plan: &Plan, seen: Vec<Sighting>) -> Review {
    review_at(plan, seen, true)
}

/// What is not found cannot have a colour or a place.
fn review_at(plan: &Plan, seen: Vec<Sighting>, night: bool) -> Review {
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
            Question::Light { .. } => Some(night),
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
    let painted = fixes.iter().filter(|fix| fix.kind != FixKind::Relight);
    for fix in painted {
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
        night in any::<bool>(),
    ) {
        let wanted: Vec<(usize, usize)> = things.iter().map(|(noun, color, _)| (*noun, *color)).collect();
        let fates: Vec<usize> = things.iter().map(|(_, _, fate)| *fate).collect();
        let plan = plan(&wanted);
        let seen = found(&plan, &fates, &surplus);
        let review = review_at(&plan, seen, night);
        let fixes = fixes(&plan, &review);

        // The light is changed once, and before boxes are painted in it.
        let lit = fixes.iter().map(|fix| fix.kind == FixKind::Relight);
        prop_assert!(lit.eq((0..fixes.len()).map(|index| index == 0 && !night)));
        prop_assert!(night || !fixes.is_empty());
        let differences: usize = fates.iter().map(|fate| match fate {
            1 => 0,
            // Erased where it is, added where it belongs.
            3 | 4 => 2,
            _ => 1,
        }).sum::<usize>() + surplus.len() + usize::from(!night);
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
        let relit = fixes.iter().any(|fix| fix.kind == FixKind::Relight);
        let again = review_at(&plan, after, night || relit);
        for (check, verdict) in plan.checks.iter().zip(&again.verdicts) {
            let count_hides_it = matches!(&check.question, Question::Count { noun, .. }
                if plan.elements.iter().zip(&fates).any(|(element, fate)| element.noun == *noun && *fate == 0)
                    && surplus.iter().any(|other| ["cat", "dog"][*other] == *noun));
            prop_assert!(count_hides_it || verdict.answer == Answer::Pass, "{:?} {verdict:?} after {fixes:#?}", check.question);
        }
        if fates.iter().all(|fate| *fate == 1) && surplus.is_empty() && night {
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
fn what_is_missing_is_added_larger_where_nothing_is_in_the_way() {
    let sides = |plan: &Plan, seen: Vec<Sighting>| -> Vec<f32> {
        let mut plan = plan.clone();
        // They ask for the places of before.
        let place = |check: &Check| matches!(check.question, Question::Position { .. });
        plan.checks.retain(|check| !place(check));
        let fixes = fixes(&plan, &review(&plan, seen));
        assert!(fixes.iter().all(|fix| fix.kind == FixKind::Add));
        (fixes.iter().map(|fix| fix.bbox.0[2] - fix.bbox.0[0])).collect()
    };
    let about = |side: f32, wanted: f32| (side - wanted).abs() < 1e-5;
    let mut alone = plan(&[(0, 0)]);
    alone.elements[0].bbox = Some(BBox([0.3, 0.3, 0.5, 0.5]));
    assert!(matches!(sides(&alone, Vec::new())[..], [side] if about(side, 0.28)));
    // Towards the edge there is less room.
    alone.elements[0].bbox = Some(BBox([0.02, 0.3, 0.22, 0.5]));
    assert!(matches!(sides(&alone, Vec::new())[..], [side] if about(side, 0.22)));
    // Between two that stand there, none.
    let mut plan = plan(&[(0, 0), (0, 1), (0, 2)]);
    for (element, left) in plan.elements.iter_mut().zip([0.1, 0.285, 0.47]) {
        element.bbox = Some(BBox([left, 0.4, left + 0.18, 0.6]));
    }
    let mut seen = found(&plan, &[1, 0, 1], &[]);
    for one in &mut seen {
        one.bbox = plan
            .element(one.element.as_ref().unwrap())
            .unwrap()
            .bbox
            .unwrap();
    }
    assert!(matches!(sides(&plan, seen)[..], [side] if about(side, 0.18)));
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

/// Day on the left, night on the right of the middle.
fn day_to_night(things: &[(usize, usize)]) -> Plan {
    let mut plan = plan(things);
    plan.checks.pop();
    let stages = serde_json::json!([
        {"id": "day", "op": "generate", "caption": "One cat; background: city, light: day."},
        {"id": "night", "op": "edit", "input": "day", "strength": 0.75,
         "instruction": "the same scene at night; background: city, stars, light: night."},
        {"id": "out", "op": "blend", "inputs": ["day", "night"],
         "mask": {"kind": "linear", "angle": 0.0, "from": 0.3, "to": 0.7}},
    ]);
    plan.stages = serde_json::from_value(stages).unwrap();
    plan.validate().unwrap();
    plan
}

#[test]
fn each_side_of_a_blend_is_mended_in_its_own_light() {
    let mut plan = day_to_night(&[(0, 0), (1, 1), (0, 1)]);
    plan.elements[1].bbox = Some(BBox([0.45, 0.1, 0.7, 0.3]));
    plan.elements[2].bbox = Some(place(3));
    let missing = fixes(&plan, &review(&plan, Vec::new()));
    let of = |id: &str| {
        missing
            .iter()
            .find(|fix| fix.element.as_deref() == Some(id))
    };
    assert_eq!(of("e1"), None, "it stands in two lights");
    let (left, right) = (of("e0").unwrap(), of("e2").unwrap());
    let told = |fix: &Fix| {
        let mended = with_fix(&plan, "repair-2-1", fix);
        mended.validate().unwrap();
        [mended.background, mended.lighting, mended.caption]
    };
    let day = "One cat; background: city, light: day.";
    assert_eq!(told(left), ["city", "day", day]);
    let night = "One cat; background: city, stars, light: night.";
    assert_eq!(told(right), ["city, stars", "night", night]);
    // What is painted over a thing is what is behind it there.
    let seen = vec![Sighting {
        name: "cat".into(),
        color: None,
        element: None,
        confidence: 0.9,
        bbox: place(7),
    }];
    let mut surplus = review(&plan, seen);
    surplus.verdicts.retain(|verdict| {
        let known = plan.checks.iter().find(|check| check.id == verdict.check);
        matches!(&known.unwrap().question, Question::Count { noun, .. } if noun == "cat")
    });
    for check in &mut plan.checks {
        if let Question::Count { expect, .. } = &mut check.question {
            *expect = 0;
        }
    }
    let erased = fixes(&plan, &surplus);
    assert_eq!(erased[0].instruction, "city, stars, and nothing else");
    // People write as they like.
    let StageOp::Edit { instruction, .. } = &mut plan.stages[1].op else {
        panic!("{:?}", plan.stages[1])
    };
    *instruction = "the same city by moonlight, at night".into();
    let mended = with_fix(&plan, "repair-2-1", &missing[missing.len() - 1]);
    assert_eq!(
        (mended.background.as_str(), mended.lighting.as_str()),
        ("city", "night")
    );
}

#[test]
fn another_light_is_an_edit_of_the_whole_picture() {
    let plan = plan(&[(0, 0)]);
    let fixes = fixes(&plan, &review_at(&plan, found(&plan, &[1], &[]), false));
    let relit = with_fix(&plan, "repair-2-1", &fixes[0]);
    let sink = &relit.sink().unwrap().op;
    let StageOp::Edit {
        input, instruction, ..
    } = sink
    else {
        panic!("{sink:?}")
    };
    let words = "the same scene at night; background: moon surface, light: night.";
    assert_eq!((input.as_str(), instruction.as_str()), ("out", words));
    assert_eq!(relit.elements, plan.elements);
}

proptest! {
    #[test]
    fn a_box_that_is_mended_lies_on_one_side_of_every_seam(
        angle in 0.0..360.0_f32,
        seam in prop::array::uniform2(0.0..1.0_f32),
        corners in prop::array::uniform4(0.0..1.0_f32),
    ) {
        let mut plan = day_to_night(&[(0, 0)]);
        let [from, to] = [seam[0].min(seam[1]), seam[0].max(seam[1])];
        let mask = Mask::Linear { angle, from, to };
        let StageOp::Blend { mask: own, .. } = &mut plan.stages[2].op else { unreachable!() };
        *own = mask;
        let [a, b, c, d] = corners;
        let bbox = BBox([a.min(b), c.min(d), a.max(b), c.max(d)]);
        let [x0, y0, x1, y1] = bbox.0;
        let shares: Vec<f32> = (0..=8)
            .flat_map(|x| (0..=8).map(move |y| (x as f32 / 8.0, y as f32 / 8.0)))
            .map(|(x, y)| mask.shares()(x0 + x * (x1 - x0), y0 + y * (y1 - y0)))
            .collect();
        match part_under(&plan, &bbox) {
            Some(part) if part.lighting == "day" => prop_assert!(shares.iter().all(|share| *share <= 0.501)),
            Some(_) => prop_assert!(shares.iter().all(|share| *share >= 0.499)),
            None => {
                let least = shares.iter().copied().fold(1.0, f32::min);
                let most = shares.iter().copied().fold(0.0, f32::max);
                prop_assert!(least < 0.501 && most > 0.499, "{least} to {most}");
            }
        }
    }
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
