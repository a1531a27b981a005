use std::sync::Arc;

use atelier_proto::plan::{BBox, Stage, StageOp};
use proptest::prelude::*;

use super::*;

/// Counts steps; cancels after `stop_after`.
#[derive(Default)]
struct Watch {
    steps: u32,
    previews: u32,
    stop_after: Option<u32>,
}

impl Control for Watch {
    fn canceled(&self) -> bool {
        self.stop_after.is_some_and(|after| self.steps >= after)
    }

    fn progress(&mut self, step: u32, _total: u32, preview: Option<image::RgbImage>) {
        self.steps = step;
        self.previews += u32::from(preview.is_some());
    }
}

fn engine() -> DoubleEngine {
    DoubleEngine::new(DoubleOptions {
        model: "test".into(),
        roles: JobKind::ALL.to_vec(),
        step: Duration::ZERO,
    })
}

fn plan(prompt: &str) -> PlanOutput {
    let input = PlanInput {
        prompt: prompt.into(),
        seed: 1,
        reference_names: vec!["cat".into()],
        ..PlanInput::default()
    };
    engine().plan(&input, &mut Watch::default()).unwrap()
}

fn render_input(prompt: &str, stage: &str, seed: u64) -> RenderInput {
    RenderInput {
        plan: plan(prompt).plan.into(),
        stage: stage.into(),
        seed,
        steps: Some(6),
        size: None,
        inputs: Vec::new(),
        references: Vec::new(),
        reuse: false,
    }
}

fn critique(prompt: &str, image: &RenderOutput) -> Review {
    let input = CritiqueInput {
        plan: plan(prompt).plan.into(),
        image: image.image.clone(),
    };
    engine().critique(&input, &mut Watch::default()).unwrap()
}

proptest! {
    #[test]
    fn every_prompt_makes_a_valid_plan_with_a_check(prompt in "\\PC{0,200}") {
        let plan = plan(&prompt).plan;
        plan.validate().unwrap();
        prop_assert!(!plan.checks.is_empty());
    }

    #[test]
    fn directives_are_found_wherever_they_stand(before in "[a-z ]{0,20}", after in "[a-z \\[\\]:]{0,20}") {
        let prompt = format!("{before}[fail:render]{after}");
        prop_assert!(directives(&prompt).contains(&Directive::Fail(JobKind::Render)));
    }
}

#[test]
fn the_same_seed_draws_the_same_picture_and_another_another() {
    let draw = |seed| {
        engine()
            .render(
                &render_input("a cat and a dog", "out", seed),
                &mut Watch::default(),
            )
            .unwrap()
    };
    assert_eq!(draw(7).image, draw(7).image);
    assert_ne!(draw(7).image, draw(8).image);
}

#[test]
fn a_cancel_stops_within_one_step() {
    let mut watch = Watch {
        stop_after: Some(2),
        ..Watch::default()
    };
    let ended = engine().render(&render_input("a cat", "out", 1), &mut watch);
    assert!(matches!(ended, Err(EngineError::Canceled)));
    assert_eq!((watch.steps, watch.previews), (2, 2));
}

#[test]
fn faults_strike_the_kind_they_name() {
    let watch = &mut Watch::default();
    let mut engine = engine();
    let failing = render_input("a cat [fail:render]", "out", 1);
    assert!(matches!(
        engine.render(&failing, watch),
        Err(EngineError::Failed(_))
    ));
    let impossible = render_input("a cat [impossible:render] [fail:critique]", "out", 1);
    assert!(matches!(
        engine.render(&impossible, watch),
        Err(EngineError::Impossible(_))
    ));
    let flaky = render_input("a cat [flaky:render]", "out", 1);
    assert!(engine.render(&flaky, watch).is_err());
    assert!(engine.render(&flaky, watch).is_ok());
}

#[test]
fn payloads_are_as_long_as_wanted_and_take_one_step() {
    let mut watch = Watch::default();
    let mut input = render_input("a cat [bytes:2000]", "out", 1);
    input.steps = None;
    let picture = engine().render(&input, &mut watch).unwrap();
    assert_eq!((watch.steps, watch.previews), (1, 0));
    let bytes = picture.image.as_raw().len();
    assert!((2_000..2_200).contains(&bytes), "{bytes}");
    let review = critique("a cat [bytes:2000]", &picture);
    assert!((2_000..2_100).contains(&review.verdicts[0].found.len()));
}

#[test]
#[should_panic(expected = "told to panic")]
fn panics_when_told() {
    let _ = engine().render(
        &render_input("a cat [panic:render]", "out", 1),
        &mut Watch::default(),
    );
}

#[test]
fn a_blend_is_the_first_picture_on_the_left_and_the_second_on_the_right() {
    let one = engine()
        .render(
            &render_input("a cat [blend]", "one", 1),
            &mut Watch::default(),
        )
        .unwrap()
        .image;
    let two = engine()
        .render(
            &render_input("a cat [blend]", "two", 2),
            &mut Watch::default(),
        )
        .unwrap()
        .image;
    let mut input = render_input("a cat [blend]", "out", 3);
    assert!(matches!(
        engine().render(&input, &mut Watch::default()),
        Err(EngineError::Impossible(_))
    ));
    input.inputs = vec![one.clone(), two.clone()];
    let out = engine()
        .render(&input, &mut Watch::default())
        .unwrap()
        .image;
    assert_eq!(out.get_pixel(0, 5), one.get_pixel(0, 5));
    assert_eq!(out.get_pixel(63, 5), two.get_pixel(63, 5));
}

#[test]
fn a_repair_leaves_everything_outside_its_box() {
    let mut input = render_input("a cat", "out", 1);
    let before = engine()
        .render(&input, &mut Watch::default())
        .unwrap()
        .image;
    Arc::make_mut(&mut input.plan).stages.push(Stage {
        id: "mend".into(),
        op: StageOp::Repair {
            input: "out".into(),
            bbox: BBox([0.0, 0.0, 0.25, 0.25]),
            instruction: "a cat".into(),
        },
    });
    input.stage = "mend".into();
    input.seed = 99;
    input.inputs = vec![before.clone()];
    let after = engine()
        .render(&input, &mut Watch::default())
        .unwrap()
        .image;
    for (x, y, pixel) in after.enumerate_pixels() {
        let inside = x < 16 && y < 16;
        assert!(inside || pixel == before.get_pixel(x, y), "{x},{y}");
    }
    assert!(after != before, "nothing was painted");
}

#[test]
fn checks_pass_unless_the_prompt_says_otherwise() {
    let prompt = "a cat and a dog";
    let picture = engine()
        .render(&render_input(prompt, "out", 1), &mut Watch::default())
        .unwrap();
    let score = critique(prompt, &picture).score();
    assert_eq!((score.pass, score.fail), (2, 0));
    let score = critique("a cat and a dog [hopeless]", &picture).score();
    assert_eq!((score.pass, score.fail), (0, 2));
}

#[test]
fn drawings_made_at_once_are_those_made_alone_and_take_the_time_of_one() {
    let step = Duration::from_millis(30);
    let mut engine = DoubleEngine::new(DoubleOptions {
        step,
        ..engine().options
    });
    let inputs: Vec<_> = (0..4)
        .map(|seed| render_input("a cat and a dog", "out", seed))
        .collect();
    assert!(
        inputs
            .iter()
            .all(|input| input.shape() == inputs[0].shape())
    );
    let mut watches: [Watch; 4] = Default::default();
    let mut controls: Vec<&mut dyn Control> = Vec::new();
    controls.extend(watches.iter_mut().map(|watch| watch as &mut dyn Control));
    let start = std::time::Instant::now();
    let together = engine.render_batch(&Vec::from_iter(&inputs), &mut controls);
    let took = start.elapsed();
    assert!(took >= 6 * step && took < 4 * 6 * step, "{took:?}");
    assert!(watches.iter().all(|watch| watch.steps == 6));
    for (input, output) in inputs.iter().zip(together) {
        let alone = engine.render(input, &mut Watch::default()).unwrap();
        assert_eq!(output.unwrap().image, alone.image);
    }
}

#[test]
fn one_of_a_batch_is_canceled_or_fails_without_the_others() {
    let prompts = ["a cat", "a dog", "a cat [fail:render]", "a radio"];
    let inputs: Vec<_> = prompts.map(|prompt| render_input(prompt, "out", 1)).into();
    let mut watches: [Watch; 4] = Default::default();
    watches[1].stop_after = Some(2);
    let mut controls: Vec<&mut dyn Control> = Vec::new();
    controls.extend(watches.iter_mut().map(|watch| watch as &mut dyn Control));
    let ended = engine().render_batch(&Vec::from_iter(&inputs), &mut controls);
    assert!(ended[0].is_ok() && ended[3].is_ok());
    assert!(matches!(ended[1], Err(EngineError::Canceled)));
    assert!(matches!(ended[2], Err(EngineError::Failed(_))));
    assert_eq!(watches.map(|watch| watch.steps), [6, 2, 0, 6]);
}

#[test]
fn only_drawings_of_equal_steps_size_and_inputs_have_the_same_shape() {
    let one = render_input("a cat", "out", 1);
    let shape = |change: fn(&mut RenderInput)| {
        let mut other = render_input("a dog", "out", 2);
        change(&mut other);
        other.shape()
    };
    assert_eq!(shape(|_| {}), one.shape());
    assert_ne!(shape(|other| other.steps = Some(7)), one.shape());
    assert_ne!(
        shape(|other| other.inputs.push(image::RgbImage::new(8, 8))),
        one.shape()
    );
    assert_eq!(shape(|other| other.stage = "nowhere".into()), None);
}

#[test]
fn what_is_lacking_is_seen_and_a_repair_paints_it() {
    let prompt = "a cat and a dog [lacks:2]";
    let mut input = render_input(prompt, "out", 1);
    let drawn = engine().render(&input, &mut Watch::default()).unwrap();
    let review = critique(prompt, &drawn);
    assert_eq!((review.score().pass, review.score().fail), (1, 1));
    let [fix] = &review.fixes[..] else {
        panic!("{:#?}", review.fixes)
    };
    assert_eq!(
        (fix.element.as_deref(), &fix.checks[..]),
        (Some("dog"), &["dog-is-there".to_owned()][..])
    );
    input.plan = crate::planning::mend::with_fix(&input.plan, "repair-2-1", fix).into();
    input.stage = "repair-2-1".into();
    input.inputs = vec![drawn.image];
    let mended = engine().render(&input, &mut Watch::default()).unwrap();
    let review = critique(prompt, &mended);
    assert_eq!((review.score().fail, review.fixes.len()), (0, 0));
}
