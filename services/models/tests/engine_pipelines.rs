//! The engine with a published pipeline as its model: every kind of stage is drawn by a small random checkpoint.

#![expect(clippy::unwrap_used, reason = "in tests a panic is the report")]

use std::{
    cell::Cell,
    path::{Path, PathBuf},
};

use atelier_engine::{Control, Engine, EngineError, PlanInput, Reference, RenderInput};
use atelier_models::{Sources, TorchEngine};
use atelier_proto::{
    Sha256, TenantId,
    job::{JobKind, Size, Think},
    plan::Plan,
};
use image::{RgbImage, RgbaImage};
use sha2::Digest;

fn pipeline(family: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/parity/tiny")
        .join(family)
}

fn load(family: &str) -> TorchEngine {
    let sources = Sources {
        model: pipeline(family),
        language: None,
        critic: None,
        props: None,
    };
    TorchEngine::load(&sources, &[JobKind::Render], "cpu").unwrap()
}

#[derive(Default)]
struct Watch {
    steps: Vec<u32>,
    previews: usize,
    cancel_at: Option<u32>,
    looks_away: bool,
}

impl Control for Watch {
    fn canceled(&self) -> bool {
        self.cancel_at
            .is_some_and(|at| self.steps.last() >= Some(&at))
    }

    fn looks(&self) -> bool {
        !self.looks_away
    }

    fn progress(&mut self, step: u32, _total: u32, preview: Option<RgbImage>) {
        self.steps.push(step);
        self.previews += usize::from(preview.is_some());
    }
}

/// Day, night from it, both side by side, and one box of that mended.
fn plan() -> Plan {
    serde_json::from_value(serde_json::json!({
        "version": 1, "caption": "a red cat left of a blue sphere in the city at night",
        "elements": [
            {"id": "cat", "noun": "cat", "colors": ["red"], "attributes": ["on a wet street"], "box": [0.0, 0.3, 0.5, 1.0], "reference": "refs/cat"},
            {"id": "sphere", "noun": "sphere", "colors": ["blue"], "box": [0.5, 0.3, 1.0, 1.0]},
        ],
        "stages": [
            {"id": "day", "op": "generate", "caption": ""},
            {"id": "night", "op": "edit", "input": "day", "instruction": "the same scene at night", "strength": 0.75},
            {"id": "both", "op": "blend", "inputs": ["day", "night"], "mask": {"kind": "linear", "angle": 0, "from": 0.4, "to": 0.6}},
            {"id": "out", "op": "repair", "input": "both", "box": [0.5, 0.5, 0.9, 0.9], "instruction": "a blue sphere"},
        ],
    }))
    .unwrap()
}

fn without_pictures() -> Plan {
    let mut plan = plan();
    plan.elements[0].reference = None;
    plan
}

fn input(plan: Plan, stage: &str, inputs: &[&RgbImage]) -> RenderInput {
    RenderInput {
        plan: plan.into(),
        stage: stage.into(),
        seed: 7,
        steps: Some(4),
        size: Some(Size {
            width: 64,
            height: 48,
        }),
        inputs: inputs.iter().map(|picture| (*picture).clone()).collect(),
        references: vec![Reference {
            name: "cat".into(),
            picture: RgbaImage::from_pixel(48, 32, image::Rgba([200, 30, 20, 255])),
            sha256: Sha256([5; 32]),
        }],
        reuse: false,
    }
}

#[test]
fn every_stage_of_a_plan_is_drawn() {
    for (family, plan) in [("klein", plan()), ("zimage", without_pictures())] {
        let mut engine = load(family);
        assert_eq!((engine.model(), engine.device()), (family, "cpu".into()));
        assert_eq!(engine.roles(), [JobKind::Render]);
        let mut draw = |stage: &str, inputs: &[&RgbImage]| {
            let mut watch = Watch::default();
            let drawn = engine
                .render(&input(plan.clone(), stage, inputs), &mut watch)
                .unwrap();
            assert_eq!(drawn.image.dimensions(), (64, 48), "{family} {stage}");
            assert_eq!(watch.steps.last().copied().unwrap_or(0), drawn.steps);
            (drawn, watch)
        };
        let (day, watch) = draw("day", &[]);
        assert_eq!((day.steps, watch.previews), (4, 3));
        assert_eq!(day.image, draw("day", &[]).0.image, "the same seed");
        let used: Vec<&str> = day
            .references
            .iter()
            .map(|used| used.element.as_str())
            .collect();
        assert_eq!(
            used,
            if family == "klein" {
                vec!["cat"]
            } else {
                vec![]
            }
        );

        let (night, _) = draw("night", &[&day.image]);
        assert_eq!(night.steps, 3, "strength 0.75 of four steps");
        assert!(night.image != day.image);
        let (both, _) = draw("both", &[&day.image, &night.image]);
        assert_eq!(both.steps, 0);
        assert_eq!(both.image.get_pixel(0, 9), day.image.get_pixel(0, 9));
        assert_eq!(both.image.get_pixel(63, 9), night.image.get_pixel(63, 9));

        let (out, _) = draw("out", &[&both.image]);
        let mut changed = 0;
        for (x, y, pixel) in out.image.enumerate_pixels() {
            if (32..58).contains(&x) && (24..44).contains(&y) {
                changed += u32::from(pixel != both.image.get_pixel(x, y));
            } else {
                assert_eq!(pixel, both.image.get_pixel(x, y), "{family}: {x} {y}");
            }
        }
        assert!(changed > 400, "{family}: {changed} of 520 pixels");
    }
}

#[test]
fn small_pictures_are_made_for_who_looks_at_them() {
    let mut engine = load("klein");
    let [seen, unseen] = [false, true].map(|looks_away| {
        let mut watch = Watch {
            looks_away,
            ..Watch::default()
        };
        let drawn = engine.render(&input(plan(), "day", &[]), &mut watch);
        (drawn.unwrap().image, watch.previews)
    });
    assert_eq!((seen.1, unseen.1), (3, 0));
    assert!(seen.0 == unseen.0);
}

#[test]
fn the_text_encoder_plans_what_is_drawn() {
    for family in ["klein", "zimage"] {
        let sources = Sources {
            model: pipeline(family),
            language: None,
            critic: None,
            props: None,
        };
        let roles = [JobKind::Plan, JobKind::Render];
        let mut engine = TorchEngine::load(&sources, &roles, "cpu").unwrap();
        assert_eq!(engine.roles(), roles);
        let asked = PlanInput {
            prompt: "two red cats on a wet street at night".into(),
            seed: 3,
            ..PlanInput::default()
        };
        let planned = engine.plan(&asked, &mut Watch::default()).unwrap();
        planned.plan.validate().unwrap();
        // Random weights know no answer, but the grammar holds them to the prompt's own words.
        let nouns: Vec<&str> = planned
            .plan
            .elements
            .iter()
            .map(|element| element.noun.as_str())
            .collect();
        assert!(!nouns.is_empty());
        assert!(
            nouns.iter().all(|noun| asked.prompt.contains(noun)),
            "{nouns:?}"
        );
        let stage = planned.plan.stages[0].id.clone();
        let drawn = engine
            .render(&input(planned.plan, &stage, &[]), &mut Watch::default())
            .unwrap();
        // What is shared is not disturbed: an engine that only draws draws the same.
        let again = load(family)
            .render(
                &input(
                    engine.plan(&asked, &mut Watch::default()).unwrap().plan,
                    &stage,
                    &[],
                ),
                &mut Watch::default(),
            )
            .unwrap();
        assert_eq!(drawn.image, again.image, "{family}");
    }
}

#[test]
fn words_decide_what_is_drawn() {
    for family in ["klein", "zimage"] {
        let mut engine = load(family);
        let mut draw = |change: &dyn Fn(&mut Plan)| {
            let mut plan = without_pictures();
            change(&mut plan);
            let input = input(plan, "day", &[]);
            engine.render(&input, &mut Watch::default()).unwrap().image
        };
        let plain = draw(&|_| {});
        assert!(plain != draw(&|plan| plan.caption = "a photo of two dogs".into()));
        assert!(plain != draw(&|plan| plan.elements[1].noun = "car".into()));
        assert!(plain != draw(&|plan| plan.elements[1].colors.clear()));
        assert!(plain != draw(&|plan| plan.elements[1].bbox = None));
    }
}

/// Says stop when it is asked for the n-th time, and at no other time.
#[derive(Default)]
struct StopsOnce {
    asked: Cell<u32>,
    stops: Option<u32>,
    steps: Vec<u32>,
}

impl Control for StopsOnce {
    fn canceled(&self) -> bool {
        self.asked.set(self.asked.get() + 1);
        self.stops == Some(self.asked.get())
    }

    fn progress(&mut self, step: u32, _total: u32, _preview: Option<RgbImage>) {
        self.steps.push(step);
    }
}

#[test]
fn a_drawing_is_given_up_before_its_first_step_and_after_its_last_one() {
    let mut engine = load("klein");
    let picture = RgbImage::from_pixel(64, 48, image::Rgb([90, 120, 60]));
    let night = input(plan(), "night", &[&picture]);
    let mut ask = |stops| {
        let mut control = StopsOnce {
            stops,
            ..StopsOnce::default()
        };
        let drawn = engine.render(&night, &mut control);
        (drawn, control.asked.get(), control.steps)
    };
    // Before its words are read, before its picture is encoded, at four steps and before it is decoded.
    let (drawn, times, steps) = ask(None);
    assert!(drawn.is_ok() && steps == [0, 1, 2, 3], "{steps:?}");
    assert_eq!(times, 2 + 4 + 1);
    let told = |stops: u32| {
        let (drawn, times, steps) = ask(Some(stops));
        assert!(matches!(drawn, Err(EngineError::Canceled)), "{stops}");
        assert_eq!(times, stops, "it was asked again");
        steps.len()
    };
    assert_eq!(
        (1..=times).map(told).collect::<Vec<_>>(),
        [0, 0, 1, 2, 3, 4, 4]
    );
}

#[test]
fn one_that_is_given_up_before_its_first_step_does_not_hold_up_the_batch() {
    let mut engine = load("klein");
    let inputs: Vec<RenderInput> = (0..2)
        .map(|seed| RenderInput {
            seed,
            ..input(plan(), "day", &[])
        })
        .collect();
    for stops in [2, 8] {
        let mut controls = [None, Some(stops)].map(|stops| StopsOnce {
            stops,
            ..StopsOnce::default()
        });
        let [goes_on, stopped] = &mut controls;
        let drawn = engine.render_batch(&[&inputs[0], &inputs[1]], &mut [goes_on, stopped]);
        assert!(drawn[0].is_ok());
        assert!(matches!(drawn[1], Err(EngineError::Canceled)));
        assert_eq!(controls[0].steps, [0, 1, 2, 3, 4]);
        // Its tokens were there, and nobody decoded them.
        let steps = if stops == 2 { 0 } else { 5 };
        assert_eq!(controls[1].steps.len(), steps);
    }
}

#[test]
fn a_batch_of_unequal_seeds_is_its_members_alone() {
    let mut engine = load("klein");
    let inputs: Vec<RenderInput> = (0..3)
        .map(|seed| RenderInput {
            seed,
            ..input(plan(), "day", &[])
        })
        .collect();
    let mut watches = [(); 3].map(|()| Watch::default());
    watches[1].cancel_at = Some(2);
    let mut controls: Vec<&mut dyn Control> = watches
        .iter_mut()
        .map(|watch| watch as &mut dyn Control)
        .collect();
    let asked: Vec<&RenderInput> = inputs.iter().collect();
    let drawn = engine.render_batch(&asked, &mut controls);
    assert!(matches!(drawn[1], Err(EngineError::Canceled)));
    for i in [0, 2] {
        let alone = engine
            .render(&inputs[i], &mut Watch::default())
            .unwrap()
            .image;
        let together = &drawn[i].as_ref().unwrap().image;
        let bytes = alone.as_raw().iter().zip(together.as_raw());
        assert!(bytes.clone().all(|(a, b)| a.abs_diff(*b) <= 1));
    }
    assert_eq!(watches[1].steps, [0, 1, 2]);
    assert_eq!(watches[2].steps, [0, 1, 2, 3, 4]);
}

#[test]
fn what_a_pipeline_cannot_do_is_said() {
    let sources = |model: PathBuf| Sources {
        model,
        language: None,
        critic: None,
        props: None,
    };
    let roles = [JobKind::Render, JobKind::Critique];
    let error = TorchEngine::load(&sources(pipeline("klein")), &roles, "cpu");
    let error = error.err().unwrap().to_string();
    assert!(error.contains("--roles plan,render"), "{error}");

    let mut zimage = load("zimage");
    let error = zimage.render(&input(plan(), "day", &[]), &mut Watch::default());
    let error = error.unwrap_err().to_string();
    assert!(error.contains("reads no pictures"), "{error}");

    let mut klein = load("klein");
    let error = klein.render(&input(plan(), "night", &[]), &mut Watch::default());
    assert!(error.unwrap_err().to_string().contains("more pictures"));
    let mut nothing_sent = input(plan(), "day", &[]);
    nothing_sent.references.clear();
    let error = klein.render(&nothing_sent, &mut Watch::default());
    assert!(error.unwrap_err().to_string().contains("did not bring"));
}

#[test]
fn things_are_drawn_from_a_library_that_a_pipeline_is_given() {
    let library = tempfile::tempdir().unwrap();
    let index = r#"[{"name": "cat", "synonyms": ["kitten"], "file": "cat.png"}]"#;
    std::fs::write(library.path().join("index.json"), index).unwrap();
    let file = library.path().join("cat.png");
    let picture = RgbaImage::from_fn(32, 32, |x, y| {
        image::Rgba([x as u8 * 8, y as u8 * 8, 40, 255])
    });
    picture.save(&file).unwrap();
    let digest = Sha256(sha2::Sha256::digest(std::fs::read(&file).unwrap()).into());
    let with = |family: &str, roles: &[JobKind]| {
        let sources = Sources {
            model: pipeline(family),
            language: None,
            critic: None,
            props: Some(library.path().to_owned()),
        };
        TorchEngine::load(&sources, roles, "cpu")
    };
    let mut engine = with("klein", &[JobKind::Plan, JobKind::Render]).unwrap();
    // A planner with random weights names things of the prompt.
    let asked = PlanInput {
        prompt: "kitten kitten kitten".into(),
        seed: 3,
        ..PlanInput::default()
    };
    let planned = engine.plan(&asked, &mut Watch::default()).unwrap().plan;
    let things = &planned.elements;
    let from_it = |element: &atelier_proto::plan::Element| {
        element.noun.contains("kitten") && element.reference.as_deref() == Some("props/cat")
    };
    assert!(things.iter().any(from_it), "{things:?}");

    let mut plan = without_pictures();
    let plain = engine.render(&input(plan.clone(), "day", &[]), &mut Watch::default());
    plan.elements[0].reference = Some("props/cat".into());
    let drawn = engine.render(&input(plan.clone(), "day", &[]), &mut Watch::default());
    let drawn = drawn.unwrap();
    assert!(drawn.image != plain.unwrap().image);
    let used: Vec<_> = drawn
        .references
        .iter()
        .map(|used| (used.reference.as_str(), used.sha256))
        .collect();
    assert_eq!(used, [("props/cat", digest)]);
    // What drew it is part of what a picture comes from.
    assert_ne!(
        engine.weights(JobKind::Render),
        load("klein").weights(JobKind::Render)
    );
    // Without the library the words remain.
    let words = load("klein").render(&input(plan.clone(), "day", &[]), &mut Watch::default());
    assert!(words.unwrap().references.is_empty());
    plan.elements[0].reference = Some("props/dragon".into());
    let error = engine.render(&input(plan, "day", &[]), &mut Watch::default());
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("no prop \"dragon\"")
    );

    let error = with("zimage", &[JobKind::Render])
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("leave --props out"), "{error}");
}

#[test]
fn plans_made_at_once_are_those_made_one_by_one_and_a_draft_is_used_again() {
    let sources = Sources {
        model: pipeline("klein"),
        language: None,
        critic: None,
        props: None,
    };
    let mut engine = TorchEngine::load(&sources, &[JobKind::Plan], "cpu").unwrap();
    assert!(engine.weights(JobKind::Plan).is_some());
    assert!(engine.best_plan_batch() > 1);
    let asked = |prompt: &str, seed| PlanInput {
        prompt: prompt.into(),
        seed,
        keep_for: Some(TenantId::at(0, [1; 10])),
        ..PlanInput::default()
    };
    let anew = |input: &PlanInput| PlanInput {
        keep_for: None,
        ..input.clone()
    };
    let inputs = [
        asked("two red cats on a wet street at night", 3),
        asked("a blue sphere", 4),
        asked("a dog left of a tree", 5),
    ];
    let alone: Vec<_> = inputs
        .iter()
        .map(|input| {
            let made = engine.plan(&anew(input), &mut Watch::default()).unwrap();
            assert_eq!(made.kept, None);
            made.plan
        })
        .collect();
    for kept in [false, true] {
        let mut watches = [(); 3].map(|()| Watch::default());
        let [one, two, three] = &mut watches;
        let mut controls: [&mut dyn Control; 3] = [one, two, three];
        let [a, b, c] = &inputs;
        let made = engine.plan_batch(&[a, b, c], &mut controls);
        for (made, alone) in made.into_iter().zip(&alone) {
            let made = made.unwrap();
            assert_eq!((&made.plan, made.kept), (alone, Some(kept)));
        }
        let drafted = watches.iter().all(|watch| !watch.steps.is_empty());
        assert_eq!(drafted, !kept, "what is kept takes no pass");
    }
    // With another seed the same draft is laid out anew.
    let other = asked("a blue sphere", 9);
    let made = engine.plan(&other, &mut Watch::default()).unwrap();
    let written = engine.plan(&anew(&other), &mut Watch::default()).unwrap();
    assert_eq!((made.plan, made.kept), (written.plan, Some(true)));
}

#[test]
fn a_thought_takes_no_more_tokens_than_it_may_and_pictures_are_told() {
    let sources = Sources {
        model: pipeline("klein"),
        language: None,
        critic: None,
        props: None,
    };
    let mut engine = TorchEngine::load(&sources, &[JobKind::Plan], "cpu").unwrap();
    let mut thought = |think_tokens: u32, names: &[&str]| {
        let input = PlanInput {
            prompt: "a red cat on a wet street".into(),
            seed: 3,
            think: Think::Full,
            think_tokens: Some(think_tokens),
            reference_names: names.iter().map(|name| (*name).to_owned()).collect(),
            ..PlanInput::default()
        };
        let made = engine.plan(&input, &mut Watch::default()).unwrap();
        made.thought.reasoning
    };
    let [short, long] = [4, 24].map(|tokens| thought(tokens, &[]));
    // A random model does not come to an end by itself.
    let sure = short.trim_end_matches('\u{fffd}');
    assert!(long.starts_with(sure), "{short:?} and {long:?}");
    assert!(short.len() < long.len(), "{short:?} and {long:?}");
    // What there are pictures of is read before it is thought.
    assert_ne!(thought(24, &["cat"]), long);
    assert_eq!(thought(24, &[]), long);
}
