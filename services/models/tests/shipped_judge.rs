//! The shipped judge on the picture of the model card, and the files that it is told by.

use std::path::{Path, PathBuf};

use atelier_models::{
    critic::detector::{Backbone, Detector},
    judge::Judge,
};
use atelier_proto::judging::Truth;
use serde_json::json;
use tch::Device;

fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/models/atelier-mini")
}

fn wrong(judge: &Judge, truth: serde_json::Value) -> Vec<String> {
    let truth: Truth = serde_json::from_value(truth).expect("a truth");
    truth.check().expect("a truth that can be judged");
    let picture = image::open(model().join("cat-and-balloon.png"))
        .expect("the shipped picture")
        .into_rgb8();
    let findings = judge.grade(&truth, &picture);
    findings
        .into_iter()
        .filter(|one| !one.ok)
        .map(|one| one.about)
        .collect()
}

#[test]
fn what_it_has_no_name_for_is_said() {
    let judge = Judge::load(&model(), Device::Cpu).unwrap();
    let truth: Truth = serde_json::from_value(json!({
        "things": [{ "noun": "cat", "color": "plaid" }, { "noun": "flux capacitor" }],
        "exclude": [{ "noun": "flux capacitor", "count": 2 }, { "noun": "balloon", "count": 2 }],
    }))
    .unwrap();
    assert_eq!(judge.unknown(&truth), ["flux capacitor", "plaid"]);
}

#[test]
fn a_right_truth_is_accepted_and_every_wrong_part_is_named() {
    let judge = Judge::load(&model(), Device::Cpu).unwrap();
    let right = json!({
        "things": [{ "noun": "cat" }, { "noun": "balloon", "color": "red", "place": "top right" }],
        "relations": [[1, "right of", 0], [0, "below", 1]],
        "exclude": [{ "noun": "cat", "count": 2 }, { "noun": "balloon", "count": 2 }],
        "background": "moon surface",
    });
    assert_eq!(wrong(&judge, right), [""; 0]);
    let other = json!({
        "things": [{ "noun": "cat" }, { "noun": "balloon", "color": "blue" }, { "noun": "radio" }],
        "relations": [[1, "left of", 0]],
        "exclude": [{ "noun": "cat", "count": 1 }],
        "background": "beach",
    });
    assert_eq!(
        wrong(&judge, other),
        [
            "blue balloon",
            "1 x radio",
            "balloon left of cat",
            "fewer than 1 x cat",
            "beach"
        ]
    );
}

#[test]
fn it_is_no_kin_of_the_critic_and_knows_its_errors() {
    let load = |name: &str| Detector::load(&model().join(name), Device::Cpu).unwrap();
    let (critic, judge) = (load("detector"), load("judge"));
    assert_eq!(critic.config().backbone, Backbone::Halvings);
    assert_eq!(judge.config().backbone, Backbone::Separable);
    assert_eq!(critic.config().names, judge.config().names);
    let about = Judge::load(&model(), Device::Cpu).unwrap().about();
    assert_eq!(about.errors.iter().filter(|error| error.right).count(), 1);
    assert!(
        about
            .errors
            .iter()
            .all(|error| error.number >= 400 && error.accepted <= error.number)
    );
}
