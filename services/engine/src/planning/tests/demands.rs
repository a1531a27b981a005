//! Numbers, sides, sizes and relations: kept and cited, or noted.

use super::*;

fn made(prompt: &str, elements: &[DraftElement], background: &str) -> Made {
    let draft = Draft {
        elements: elements.to_vec(),
        background: background.into(),
        ..Draft::default()
    };
    make_plan(prompt, &draft, &studio(&[], &known), 1)
}

#[test]
fn what_nothing_keeps_is_noted() {
    let cat = || thing("cat");
    for (prompt, elements, background, unkept) in [
        (
            "a small cat on the left",
            vec![cat()],
            "",
            &["small", "left"][..],
        ),
        ("a cat, three of them", vec![cat()], "", &["three"]),
        ("some cats", vec![cat()], "", &["some"]),
        (
            "a cat between two radios",
            vec![cat(), thing("radio")],
            "",
            &["between"],
        ),
        (
            "a big cat and a cat above a roof",
            vec![cat()],
            "",
            &["big", "above"],
        ),
        ("a cat in the background", vec![cat()], "", &["background"]),
        ("a cat on a plain background", vec![cat()], "plain", &[]),
        // What is behind everything is where it is, and what parts the picture is its stages.
        ("a cat above a quiet beach", vec![cat()], "beach", &[]),
        (
            "a cat in the middle of the beach",
            vec![cat()],
            "beach",
            &[],
        ),
        (
            "a cat, day on the left and night on the right",
            vec![cat()],
            "",
            &[],
        ),
        (
            "left half a beach with a cat, right half a forest with a tiny radio on the left",
            vec![cat(), thing("radio")],
            "beach",
            &["tiny", "left"],
        ),
        (
            "both a cat and a radio right in there",
            vec![cat(), thing("radio")],
            "",
            &[],
        ),
    ] {
        let made = made(prompt, &elements, background);
        assert_eq!(made.uncited.unkept, unkept, "{prompt}: {:?}", made.evidence);
        let told = made
            .notes
            .iter()
            .find_map(|note| note.strip_prefix("not kept: "));
        let expected = (!unkept.is_empty()).then(|| unkept.join(", "));
        assert_eq!(told.map(str::to_owned), expected, "{prompt}");
    }
}

#[test]
fn what_is_kept_cites_its_words() {
    let prompt = "three huge cats in the bottom right corner, behind them a tiny radio on the left and several bicycles";
    let cat = DraftElement {
        place: Some("bottom right".into()),
        size: Some("large".into()),
        ..thing("cat")
    };
    let radio = DraftElement {
        place: Some("left".into()),
        size: Some("small".into()),
        ..thing("radio")
    };
    let bicycles = DraftElement {
        count: Some(4),
        ..thing("bicycle")
    };
    let made = made(prompt, &[cat, radio, bicycles], "");
    let cited = |what: &str| {
        let mut cited = made.evidence.iter();
        cited
            .find(|one| one.what == what)
            .map(|one| one.words.as_str())
    };
    // The draft did not count the cats.
    assert_eq!(made.plan.elements.len(), 3 + 1 + 4);
    assert_eq!(cited("elements.cat-1.count"), Some("three"));
    assert_eq!(cited("elements.cat-1.size"), Some("huge"));
    assert_eq!(cited("elements.cat-1.place"), Some("bottom right"));
    assert_eq!(cited("elements.radio.size"), Some("tiny"));
    assert_eq!(cited("elements.radio.place"), Some("left"));
    assert_eq!(cited("elements.bicycle-1.count"), Some("several"));
    assert_eq!(made.uncited.unkept, ["behind"]);
}

#[test]
fn a_thing_nearby_is_near() {
    let draft = Draft {
        elements: vec![thing("cat"), thing("radio")],
        relations: vec![("radio".into(), "near".into(), "cat".into())],
        ..Draft::default()
    };
    let made = make_plan("a cat and a radio nearby", &draft, &studio(&[], &known), 1);
    assert_eq!(made.notes, Vec::<String>::new());
    let cited = made.evidence.iter().find(|one| one.what == "relations.0");
    assert_eq!(cited.map(|one| one.words.as_str()), Some("nearby"));
}

#[test]
fn a_number_that_the_draft_lost_is_counted_and_checked() {
    let made = made(
        "three cats and a radio",
        &[thing("cat"), thing("radio")],
        "",
    );
    let counted = |check: &atelier_proto::plan::Check| {
        matches!(check.question, Question::Count { expect: 3, .. })
    };
    assert!(
        made.plan.checks.iter().any(counted),
        "{:?}",
        made.plan.checks
    );
    assert_eq!(made.notes, Vec::<String>::new());
}
