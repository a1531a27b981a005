use atelier_proto::plan::BBox;

use super::*;

const fn score(pass: u32, fail: u32) -> Score {
    Score {
        pass,
        fail,
        unknown: 0,
    }
}

fn fix(kind: FixKind, element: &str, check: &str) -> Fix {
    Fix {
        kind,
        element: Some(element.into()),
        noun: element.into(),
        bbox: BBox([0.0, 0.0, 0.5, 0.5]),
        instruction: format!("a {element}"),
        checks: vec![check.into()],
    }
}

fn findings(failed: &[&str], fixes: Vec<Fix>) -> Findings {
    Findings {
        failed: failed.iter().map(|check| (*check).to_owned()).collect(),
        fixes,
        ..Findings::default()
    }
}

fn tried(actions: &[Action]) -> Vec<Decision> {
    let decision = |action: &Action| Decision {
        round: 1,
        action: *action,
        reason: String::new(),
        checks: Vec::new(),
    };
    actions.iter().map(decision).collect()
}

/// One check of four failed in the first of four rounds.
fn standing(findings: &Findings) -> Standing<'_> {
    Standing {
        round: 1,
        max_rounds: 4,
        spent: None,
        score: score(3, 1),
        findings,
        worse: None,
        tried: &[],
        plan_stays: false,
        mendable: true,
    }
}

#[test]
fn each_finding_has_its_remedy() {
    let add = findings(&["k1"], vec![fix(FixKind::Add, "cat", "k1")]);
    let recolor = findings(&["k1"], vec![fix(FixKind::Recolor, "cat", "k1")]);
    let relight = findings(&["k1"], vec![fix(FixKind::Relight, "light", "k1")]);
    let nothing = findings(&["k1"], Vec::new());
    let hopeless = Findings {
        contradictory: vec!["k1".into()],
        ..add.clone()
    };
    let [repaired, both] = [
        tried(&[Action::Repair]),
        tried(&[Action::Repair, Action::Redraw]),
    ];
    let again = ["k1".to_owned()];
    let of = standing(&add);
    let cases: [(&str, Standing<'_>, Action); 15] = [
        ("a missing thing", of, Action::Repair),
        ("a wrong colour", standing(&recolor), Action::Edit),
        ("a wrong light", standing(&relight), Action::Edit),
        ("no box", standing(&nothing), Action::Redraw),
        (
            "half is wrong",
            Standing {
                score: score(2, 2),
                ..of
            },
            Action::Repair,
        ),
        (
            "more is wrong",
            Standing {
                score: score(1, 2),
                ..of
            },
            Action::Redraw,
        ),
        (
            "a picture of another plan",
            Standing {
                mendable: false,
                ..of
            },
            Action::Redraw,
        ),
        ("no picture can pass", standing(&hopeless), Action::Replan),
        (
            "and the plan stays",
            Standing {
                plan_stays: true,
                ..standing(&hopeless)
            },
            Action::Repair,
        ),
        (
            "a repair in vain",
            Standing {
                tried: &repaired,
                worse: Some(&again),
                ..of
            },
            Action::Redraw,
        ),
        (
            "both in vain",
            Standing {
                tried: &both,
                worse: Some(&again),
                ..of
            },
            Action::Replan,
        ),
        (
            "other checks failed",
            Standing {
                tried: &both,
                worse: Some(&[]),
                ..of
            },
            Action::Redraw,
        ),
        (
            "nothing failed",
            Standing {
                score: score(3, 0),
                ..of
            },
            Action::Accept,
        ),
        ("no rounds left", Standing { round: 4, ..of }, Action::Stop),
        (
            "no time left",
            Standing {
                spent: Some("its 2 s are over"),
                ..of
            },
            Action::Stop,
        ),
    ];
    for (name, standing, action) in cases {
        let (decision, fixes) = decide(&standing);
        assert_eq!(decision.action, action, "{name}: {decision:?}");
        let repairs = matches!(action, Action::Repair | Action::Edit);
        assert_eq!(!fixes.is_empty(), repairs, "{name}");
        assert!(
            !decision.reason.is_empty() && decision.round == standing.round,
            "{name}"
        );
    }
}

#[test]
fn a_round_mends_a_few_boxes_and_tears_nothing_apart() {
    let moved = |element: &str, check: &str| {
        [
            fix(FixKind::Erase, element, check),
            fix(FixKind::Add, element, check),
        ]
    };
    let mut fixes = vec![fix(FixKind::Add, "cat", "k1")];
    fixes.extend(moved("dog", "k2"));
    fixes.extend(moved("cow", "k3"));
    fixes.push(fix(FixKind::Recolor, "hat", "k4"));
    let findings = findings(&["k1", "k2", "k3", "k4"], fixes);
    let (decision, fixes) = decide(&Standing {
        score: score(9, 4),
        ..standing(&findings)
    });
    // Both boxes of the cow would be one too many.
    let nouns: Vec<&str> = fixes.iter().map(|fix| fix.noun.as_str()).collect();
    assert_eq!(nouns, ["cat", "dog", "dog", "hat"]);
    assert_eq!(decision.action, Action::Repair);
    assert_eq!(decision.checks, ["k1", "k2", "k4"]);
}
