//! A detector and a model that reads questions, side by side behind the engine's seam.

use std::{
    cell::Cell,
    path::{Path, PathBuf},
};

use atelier_engine::{Control, CritiqueInput, Engine, EngineError, RenderInput, Unattended};
use atelier_models::{Sources, TorchEngine};
use atelier_proto::{
    job::{JobKind, Size},
    plan::{Plan, Question},
    review::{Answer, Review},
};
use serde_json::json;

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

fn engine(critic: Option<PathBuf>) -> TorchEngine {
    let sources = Sources {
        model: root("deploy/models/atelier-mini"),
        language: Some(root(".deps/models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")),
        critic,
        props: None,
    };
    TorchEngine::load(&sources, &[JobKind::Critique], "cpu").expect("the shipped model")
}

fn plan() -> Plan {
    let plan = json!({
        "version": 1, "caption": "a cat and a red balloon on the moon",
        "elements": [
            { "id": "cat", "noun": "cat", "box": [0.1, 0.4, 0.5, 0.9] },
            { "id": "balloon", "noun": "balloon", "colors": ["red"], "box": [0.5, 0.1, 0.9, 0.6] }
        ],
        "stages": [{ "id": "out", "op": "generate" }],
        "checks": [
            { "id": "k1", "kind": "count", "noun": "cat", "expect": 1 },
            { "id": "k2", "kind": "presence", "element": "cat" },
            { "id": "k3", "kind": "color", "element": "balloon", "expect": "red" },
            { "id": "k4", "kind": "text", "expect": "OPEN" }
        ]
    });
    serde_json::from_value(plan).expect("a plan")
}

fn review(engine: &mut TorchEngine) -> Review {
    let picture = image::open(root("deploy/models/atelier-mini/cat-and-balloon.png"));
    let input = CritiqueInput {
        plan: plan().into(),
        image: picture.expect("the shipped picture").into_rgb8(),
    };
    engine.critique(&input, &mut Unattended).expect("a review")
}

#[test]
fn counts_come_from_the_detector_and_words_from_the_reader() {
    let seen = review(&mut engine(None));
    assert_eq!(
        seen.verdicts[0].answer,
        Answer::Pass,
        "{:?}",
        seen.verdicts[0]
    );
    assert_eq!(seen.verdicts[3].answer, Answer::Unknown);
    assert!(
        seen.verdicts[3]
            .found
            .contains("out of this critic's reach")
    );

    // Of random weights: what it answers is of no matter, that it is asked is.
    let tiny = root("services/models/tests/fixtures/parity/tiny/qwen3vl");
    let mut both = engine(Some(tiny));
    let read = review(&mut both);
    assert_eq!(read.verdicts[0], seen.verdicts[0]);
    assert!(
        read.verdicts[3]
            .found
            .contains("% yes: Does the image show"),
        "{:?}",
        read.verdicts[3]
    );
    let checks = plan().checks;
    for (verdict, check) in read.verdicts.iter().zip(&checks) {
        assert_eq!(verdict.check, check.id);
        let measured = matches!(check.question, Question::Count { .. });
        let asked = verdict.found.contains("% yes: ");
        assert!(!(measured && asked), "{verdict:?}");
    }
    assert_eq!(read.seen, seen.seen);
    assert_eq!(
        review(&mut both),
        read,
        "the same picture gets the same answers"
    );

    // Nothing that drawing needs was loaded for looking.
    let input = RenderInput {
        plan: plan().into(),
        stage: "out".into(),
        seed: 1,
        steps: Some(1),
        size: None,
        inputs: Vec::new(),
        references: Vec::new(),
        reuse: false,
    };
    let refused = both.render(&input, &mut Unattended);
    assert!(matches!(refused, Err(EngineError::Impossible(_))));
}

/// Says stop when it is asked for the n-th time, and at no other time.
struct StopsOnce(Cell<u32>, Option<u32>);

impl Control for StopsOnce {
    fn canceled(&self) -> bool {
        self.0.set(self.0.get() + 1);
        self.1 == Some(self.0.get())
    }

    fn progress(&mut self, _step: u32, _total: u32, _preview: Option<image::RgbImage>) {}
}

#[test]
fn a_look_is_given_up_between_detector_picture_and_questions() {
    let tiny = root("services/models/tests/fixtures/parity/tiny/qwen3vl");
    let mut engine = engine(Some(tiny));
    let picture = image::open(root("deploy/models/atelier-mini/cat-and-balloon.png"));
    let input = CritiqueInput {
        plan: plan().into(),
        image: picture.expect("the shipped picture").into_rgb8(),
    };
    let mut ask = |stops| {
        let mut control = StopsOnce(Cell::new(0), stops);
        (engine.critique(&input, &mut control), control.0.get())
    };
    let (read, times) = ask(None);
    let read = read.expect("a review");
    assert_eq!(times, 3);
    for stops in 1..=times {
        let (stopped, times) = ask(Some(stops));
        assert!(matches!(stopped, Err(EngineError::Canceled)), "{stops}");
        assert_eq!(times, stops, "it was asked again");
    }
    // Nothing of it stays for the next.
    assert_eq!(ask(None).0.expect("a review"), read);
}

#[test]
fn a_pipeline_with_a_critic_draws_and_looks() {
    let tiny = |name: &str| root("services/models/tests/fixtures/parity/tiny").join(name);
    let sources = Sources {
        model: tiny("klein"),
        language: None,
        critic: Some(tiny("qwen3vl")),
        props: None,
    };
    let roles = [JobKind::Render, JobKind::Critique];
    let mut engine = TorchEngine::load(&sources, &roles, "cpu").expect("both fit");
    let read = review(&mut engine);
    assert_eq!(read.verdicts.len(), plan().checks.len());
    // What it is asked about is where the plan has it.
    let cat = plan().elements[0].bbox;
    assert_eq!(read.verdicts[1].boxes, cat.into_iter().collect::<Vec<_>>());
    assert_eq!(read.verdicts[3].boxes, []);
    // Nobody else counts here.
    assert!(
        read.verdicts
            .iter()
            .all(|verdict| verdict.found.contains("% yes: ")),
        "{read:?}"
    );
    let input = RenderInput {
        plan: plan().into(),
        stage: "out".into(),
        seed: 1,
        steps: Some(1),
        size: Some(Size {
            width: 64,
            height: 48,
        }),
        inputs: Vec::new(),
        references: Vec::new(),
        reuse: false,
    };
    let drawn = engine.render(&input, &mut Unattended).expect("a picture");
    assert_eq!(drawn.image.dimensions(), (64, 48));
}

#[test]
fn a_folder_that_is_no_critic_is_refused_by_name() {
    let sources = Sources {
        model: root("deploy/models/atelier-mini"),
        language: Some(root(".deps/models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")),
        critic: Some(root("services/models/tests/fixtures/parity/tiny/qwen3")),
        props: None,
    };
    let Err(error) = TorchEngine::load(&sources, &[JobKind::Critique], "cpu") else {
        panic!("a language model is no critic");
    };
    let sentence = error.to_string();
    assert!(
        sentence.contains("qwen3") && sentence.contains("config.json"),
        "{sentence}"
    );
}
