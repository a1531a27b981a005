use atelier_proto::judging::{Truth, Wanted};

use super::*;

fn grade(right: u32, asked: u32) -> Grade {
    Grade {
        correct: right == asked,
        right,
        asked,
    }
}

fn case(index: usize) -> Case {
    let truth = Truth {
        things: vec![Wanted {
            noun: "cat".into(),
            count: 1,
            color: None,
            place: None,
        }],
        ..Truth::default()
    };
    let category = if index.is_multiple_of(2) {
        "even"
    } else {
        "odd"
    };
    Case {
        id: format!("{index}"),
        category: category.into(),
        k: 1 + (index % 3) as u32,
        prompt: "a cat".into(),
        truth,
    }
}

fn column(arm: Arm, delivered: Vec<Grade>, first: Option<Vec<Grade>>) -> Column {
    Column {
        arm,
        delivered,
        first,
        cost: Cost {
            device_s: 2.0,
            ..Cost::default()
        },
    }
}

#[test]
fn a_run_is_added_up() {
    let cases: Vec<Case> = (0..4).map(case).collect();
    let off = vec![grade(1, 2), grade(2, 2), grade(0, 2), grade(1, 2)];
    let first = vec![grade(2, 2), grade(2, 2), grade(1, 2), grade(1, 2)];
    let fast = vec![grade(2, 2), grade(1, 2), grade(2, 2), grade(1, 2)];
    let about = About {
        judge: "test".into(),
        errors: vec![],
    };
    let columns = [
        column(Arm::Off, off, None),
        column(Arm::Fast, fast, Some(first)),
    ];
    let summary = Summary::of(&cases, &columns, about, 1);
    let cell = |arm: &str, category: &str| summary.arms[arm][category];
    assert_eq!(
        (
            cell("off", "all").n,
            cell("off", "all").all_correct,
            cell("off", "all").share
        ),
        (4, 0.25, 0.5)
    );
    assert_eq!(
        (
            cell("fast", "even").all_correct,
            cell("fast", "odd").all_correct
        ),
        (1.0, 0.0)
    );
    assert_eq!(cell("fast_first", "all").all_correct, 0.5);
    assert_eq!(summary.atoms["fast"][&1].n, 2);
    assert_eq!(
        summary.critique,
        Critique {
            mended: 1,
            broken: 1,
            right: 1,
            wrong: 1
        }
    );
    let versus = summary.elo["fast_vs_off"];
    assert_eq!((versus.wins, versus.losses, versus.ties), (2, 1, 1));
    assert!((versus.elo.value - 400.0 * (2.5_f64 / 1.5).log10()).abs() < 1e-6);
    assert!(versus.elo.low < versus.elo.value && versus.elo.value < versus.elo.high);
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(json["arms"]["off"]["even"]["share"], 0.25);
    assert_eq!(json["critique"]["mended"], 1);
    assert!(json["elo"]["fast_vs_off"]["value"].is_f64());
}

#[test]
fn a_judge_without_checks_is_one_check_and_no_picture_is_wrong() {
    let graded = |correct| Graded {
        id: "a".into(),
        correct,
        checks: vec![],
        error: None,
    };
    assert_eq!(Grade::of(&graded(true)), grade(1, 1));
    assert_eq!(Grade::of(&graded(false)), grade(0, 1));
    assert_eq!(Grade::none(3), grade(0, 3));
}
