use atelier_pictures::{Format, Text, write};
use atelier_proto::{
    ArtifactRef, MediaType,
    made::{Made, Spent},
    review::Decision,
};

use super::*;

fn png(image: RgbImage, text: &str) -> Vec<u8> {
    write(&image.into(), Format::Png, &[Text::new("Comment", text)]).unwrap()
}

fn gray() -> RgbImage {
    RgbImage::from_pixel(4, 2, image::Rgb([100, 100, 100]))
}

/// A trace with one drawing, as JSON tells it, so that fields that came later need not be named here.
fn side(picture: Vec<u8>) -> Side {
    let trace = serde_json::json!({
        "version": 1, "request": RequestId::at(0, [1; 10]), "submitted": { "prompt": "a cat" }, "seed": 7, "model": "m",
        "state": "succeeded", "created_at": "", "jobs": [
            { "kind": "render", "round": 1, "stage": "out", "state": "done", "attempts": 1 },
        ],
    });
    let mut trace: Trace = serde_json::from_value(trace).unwrap();
    let artifact = |bytes: &[u8], media_type| ArtifactRef {
        sha256: Sha256(Hasher::digest(bytes).into()),
        bytes: bytes.len() as u64,
        media_type,
    };
    trace.plan_artifact = Some(artifact(b"plan", MediaType::Json));
    trace.jobs[0].artifact = Some(artifact(&picture, MediaType::Png));
    trace.jobs[0].made = Some(Made {
        worker: "w".into(),
        device: "cpu".into(),
        version: "0.1.0".into(),
        weights: Some(Sha256([1; 32])),
        load_ms: None,
        spent: Spent::default(),
        cached: false,
    });
    Side { trace, picture }
}

fn names(comparison: &Comparison) -> Vec<&str> {
    let names = comparison.circumstances.iter();
    names.map(|differs| differs.what.as_str()).collect()
}

#[test]
fn equal_bytes_are_identical_and_nothing_else_is() {
    let one = side(png(gray(), "one"));
    let same = Comparison::of(&one, &side(png(gray(), "one"))).unwrap();
    assert!(same.identical && same.is_same() && same.difference.is_none());
    assert_eq!(same.circumstances, []);

    let other_text = Comparison::of(&one, &side(png(gray(), "two"))).unwrap();
    assert!(!other_text.identical && other_text.is_same());
    let nothing = Difference::Pixels {
        differ: 0,
        of: 8,
        most: 0,
        mean: 0.0,
    };
    assert_eq!(other_text.difference, Some(nothing));

    let mut image = gray();
    image.put_pixel(0, 0, image::Rgb([103, 100, 97]));
    let other = Comparison::of(&one, &side(png(image, "one"))).unwrap();
    assert!(!other.is_same());
    let little = Difference::Pixels {
        differ: 1,
        of: 8,
        most: 3,
        mean: 0.25,
    };
    assert_eq!(other.difference, Some(little));
    assert_eq!(names(&other), ["picture of stage out in round 1"]);

    let large = side(png(RgbImage::new(2, 2), "one"));
    let large = Comparison::of(&one, &large).unwrap();
    assert_eq!(large.difference, Some(Difference::Size([[4, 2], [2, 2]])));
    assert!(!large.is_same());
}

#[test]
fn what_was_not_the_same_is_told_and_so_is_what_is_not_known() {
    let one = side(png(gray(), "one"));
    let mut other = side(png(gray(), "one"));
    let made = other.trace.jobs[0].made.as_mut().unwrap();
    made.device = "cuda:0".into();
    made.weights = None;
    other.trace.jobs[0].batch = Some(4);
    let comparison = Comparison::of(&one, &other).unwrap();
    assert!(comparison.identical);
    let expected = [
        "weights of render jobs",
        "device of render jobs",
        "drawn at once of render jobs",
    ];
    assert_eq!(names(&comparison), expected);
    assert_eq!(comparison.circumstances[0].replay, UNTOLD);
    assert_eq!(comparison.circumstances[2].original, "1");

    // Two traces that both do not tell are not known to be alike.
    let mut untold = [side(png(gray(), "one")), side(png(gray(), "one"))];
    for side in &mut untold {
        side.trace.jobs[0].made = None;
        side.trace.plan_artifact = None;
    }
    let comparison = Comparison::of(&untold[0], &untold[1]).unwrap();
    assert!(names(&comparison).contains(&"plan"));
    assert!(names(&comparison).contains(&"weights of render jobs"));
}

#[test]
fn of_several_candidates_each_is_compared_with_itself() {
    let candidates = |shades: [u8; 3]| {
        let mut side = side(png(gray(), "one"));
        let first = side.trace.jobs[0].clone();
        side.trace.jobs = (1..)
            .zip(shades)
            .map(|(candidate, shade)| {
                let mut job = first.clone();
                job.candidate = Some(candidate);
                job.artifact.as_mut().unwrap().sha256 = Sha256([shade; 32]);
                job
            })
            .collect();
        side
    };
    let one = candidates([1, 2, 3]);
    let same = Comparison::of(&one, &candidates([1, 2, 3])).unwrap();
    assert_eq!(same.circumstances, []);
    let other = Comparison::of(&one, &candidates([1, 4, 3])).unwrap();
    assert_eq!(
        names(&other),
        ["picture of stage out of candidate 2 in round 1"]
    );
}

#[test]
fn what_ended_it_is_told_where_it_was_something_else() {
    let ended = |action: Action, round: u32, reason: &str| {
        let mut side = side(png(gray(), "one"));
        side.trace.decisions = vec![Decision {
            round,
            action,
            reason: reason.into(),
            checks: Vec::new(),
        }];
        side
    };
    let accepted = ended(Action::Accept, 2, "no check failed");
    let early = ended(
        Action::Stop,
        1,
        "2 of 5 checks failed, and its 8 s are over",
    );
    let fewer = ended(
        Action::Stop,
        1,
        "1 of 5 checks failed, and its 8 s are over",
    );
    let late = ended(
        Action::Stop,
        3,
        "2 of 5 checks failed, and its 8 s are over",
    );
    let told = |one: &Side, other: &Side| {
        let comparison = Comparison::of(one, other).unwrap();
        let ends = comparison.circumstances.into_iter();
        let ends = ends.map(|end| (end.what, end.original, end.replay));
        ends.collect::<Vec<_>>()
    };
    let end = |original: &str, replay: &str| {
        vec![(
            "why it stopped".to_owned(),
            original.to_owned(),
            replay.to_owned(),
        )]
    };
    let (first, third) = (
        "its 8 s are over, in round 1",
        "its 8 s are over, in round 3",
    );
    assert_eq!(told(&accepted, &early), end("", first));
    assert_eq!(told(&late, &early), end(third, first));
    assert_eq!(told(&early, &fewer), []);
    assert_eq!(told(&accepted, &accepted), []);
}
