//! A spoiled picture and the shipped networks: the critic notices what is gone, its fix is a box, and the renderer paints what belongs there
//! without touching anything else.

use std::path::PathBuf;

use atelier_engine::{CritiqueInput, Engine, PlanInput, RenderInput, Unattended, planning::mend};
use atelier_models::{Sources, TorchEngine};
use atelier_proto::{
    job::{JobKind, Think},
    plan::{Plan, Question},
    review::{Answer, Fix, FixKind, Review},
};
use image::RgbImage;

fn load() -> TorchEngine {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let sources = Sources {
        model: root.join("deploy/models/atelier-mini"),
        language: Some(root.join(".deps/models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")),
        critic: None,
        props: None,
    };
    TorchEngine::load(&sources, &JobKind::ALL, "cpu").expect("the shipped model")
}

fn planned(engine: &mut TorchEngine, prompt: &str) -> Plan {
    let asked = PlanInput {
        prompt: prompt.into(),
        seed: 3,
        think: Think::Fast,
        ..PlanInput::default()
    };
    engine.plan(&asked, &mut Unattended).expect("a plan").plan
}

fn look(engine: &mut TorchEngine, plan: &Plan, image: &RgbImage) -> Review {
    let input = CritiqueInput {
        plan: plan.clone().into(),
        image: image.clone(),
    };
    engine.critique(&input, &mut Unattended).expect("a review")
}

fn drawn(
    engine: &mut TorchEngine,
    plan: &Plan,
    stage: &str,
    seed: u64,
    from: Option<&RgbImage>,
) -> RgbImage {
    let input = RenderInput {
        plan: plan.clone().into(),
        stage: stage.into(),
        seed,
        steps: None,
        size: None,
        inputs: from.cloned().into_iter().collect(),
        references: Vec::new(),
        reuse: false,
    };
    engine
        .render(&input, &mut Unattended)
        .expect("a picture")
        .image
}

/// Paints over a box with what the renderer thinks is behind it.
fn spoiled(engine: &mut TorchEngine, plan: &Plan, id: &str, picture: &RgbImage) -> RgbImage {
    let element = plan.element(id).expect("an element");
    let [x0, y0, x1, y1] = element.bbox.expect("a place").0;
    let room = |edge: f32, by: f32| (edge + by).clamp(0.0, 1.0);
    let erase = Fix {
        kind: FixKind::Erase,
        element: Some(id.into()),
        noun: element.noun.clone(),
        bbox: atelier_proto::plan::BBox([
            room(x0, -0.06),
            room(y0, -0.06),
            room(x1, 0.06),
            room(y1, 0.06),
        ]),
        instruction: format!("{}, and nothing else", plan.background),
        checks: vec!["k1".into()],
    };
    let without = mend::with_fix(plan, "spoil", &erase);
    drawn(engine, &without, "spoil", 5, Some(picture))
}

#[test]
fn spoiled_pictures_are_noticed_and_mended() {
    let mut engine = load();
    let prompts = [
        "a cat and a red balloon on the moon",
        "a dog and a green car on the beach",
        "a penguin and a yellow umbrella in the snow",
        "a rocket and a robot in the desert at night",
        "a cow and a tractor on a meadow",
        "an owl and a guitar in the forest at night",
    ];
    let (mut right, mut noticed, mut mended, mut broken) = (0, 0, 0, 0);
    for prompt in prompts {
        let plan = planned(&mut engine, prompt);
        let picture = drawn(&mut engine, &plan, "out", 3, None);
        let first = look(&mut engine, &plan, &picture);
        if first.score().fail > 0 {
            println!("{prompt}: not right from the start: {:?}", first.score());
            continue;
        }
        right += 1;
        let id = plan.elements.last().expect("two things").id.clone();
        let bad = spoiled(&mut engine, &plan, &id, &picture);
        let review = look(&mut engine, &plan, &bad);
        let fix = review
            .fixes
            .iter()
            .find(|fix| fix.kind == FixKind::Add && fix.element.as_deref() == Some(id.as_str()));
        let Some(fix) = fix else {
            println!("{prompt}: not noticed: {:#?}", review.verdicts);
            continue;
        };
        noticed += 1;
        let failed = |review: &Review| {
            let answers = review.verdicts.iter();
            answers
                .filter(|verdict| verdict.answer == Answer::Fail)
                .count()
        };
        let with_stage = mend::with_fix(&plan, "repair-2-1", fix);
        let good = drawn(&mut engine, &with_stage, "repair-2-1", 7, Some(&bad));
        let (columns, rows) = fix.bbox.pixels(bad.width(), bad.height());
        for (x, y, pixel) in good.enumerate_pixels() {
            let inside = columns.contains(&x) && rows.contains(&y);
            assert!(inside || pixel == bad.get_pixel(x, y), "{prompt}: {x}, {y}");
        }
        let again = look(&mut engine, &plan, &good);
        let (before, after) = (failed(&review), failed(&again));
        println!(
            "{prompt}: {:?} when spoiled, {:?} when mended ({before} failed, then {after})",
            review.score(),
            again.score()
        );
        mended += usize::from(after == 0);
        broken += usize::from(after > before);
    }
    println!("{right} right, {noticed} noticed when spoiled, {mended} mended, {broken} made worse");
    assert!(
        noticed * 2 >= right && right > 0,
        "{noticed} of {right} noticed"
    );
    assert!(
        mended * 2 >= noticed && broken == 0,
        "{mended} of {noticed} mended, {broken} worse"
    );
}

/// What the critic says of the light.
fn light_of(plan: &Plan, review: &Review) -> Option<Answer> {
    let asks = |question: &Question| matches!(question, Question::Light { .. });
    let check = plan.checks.iter().find(|check| asks(&check.question))?;
    let mut verdicts = review.verdicts.iter();
    verdicts
        .find(|verdict| verdict.check == check.id)
        .map(|verdict| verdict.answer)
}

#[test]
fn a_picture_in_another_light_is_noticed_and_relit() {
    let mut engine = load();
    let prompts = [
        ("a cat on the beach at night", "day"),
        ("a dog on a meadow at sunset", "night"),
        ("a red car in the city at night", "day"),
        ("a penguin in the snow by day", "night"),
        ("a robot and a rocket in the desert at dusk", "day"),
        ("an owl in the forest at night", "dusk"),
    ];
    let (mut right, mut wrong, mut noticed, mut relit) = (0, 0, 0, 0);
    for (prompt, other) in prompts {
        let plan = planned(&mut engine, prompt);
        let picture = drawn(&mut engine, &plan, "out", 3, None);
        let first = look(&mut engine, &plan, &picture);
        let first = light_of(&plan, &first);
        right += usize::from(first == Some(Answer::Pass));
        wrong += usize::from(first == Some(Answer::Fail));
        let elsewhere = Plan {
            lighting: other.into(),
            ..plan.clone()
        };
        let bad = drawn(&mut engine, &elsewhere, "out", 3, None);
        let review = look(&mut engine, &plan, &bad);
        let fix = review.fixes.iter().find(|fix| fix.kind == FixKind::Relight);
        let Some(fix) = fix else {
            let told = light_of(&plan, &review);
            println!("{prompt}: {first:?}, by {other} not noticed: {told:?}");
            continue;
        };
        noticed += 1;
        let with_stage = mend::with_fix(&plan, "repair-2-1", fix);
        let good = drawn(&mut engine, &with_stage, "repair-2-1", 7, Some(&bad));
        let again = look(&mut engine, &plan, &good);
        let told = light_of(&plan, &again);
        println!(
            "{prompt}: {first:?}, by {other} noticed, relit {told:?}, all checks {:?}",
            again.score()
        );
        relit += usize::from(told == Some(Answer::Pass));
    }
    println!("{right} right and {wrong} wrong from the start, {noticed} noticed, {relit} relit");
    assert!(right * 2 >= prompts.len() && wrong == 0, "{right}, {wrong}");
    assert!(noticed * 2 >= prompts.len(), "{noticed} noticed");
    assert!(relit * 2 >= noticed, "{relit} of {noticed} relit");
}
