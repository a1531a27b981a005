use std::time::Duration;

use atelier_engine::{
    Engine,
    double::{DoubleEngine, DoubleOptions},
};
use atelier_proto::{
    job::{CritiqueWork, JobKind, PlanWork, RenderWork},
    plan::Plan,
};

use super::*;
use crate::device::{Attended, Device};

struct Silent;

impl atelier_engine::Control for Silent {
    fn canceled(&self) -> bool {
        false
    }
    fn progress(&mut self, _step: u32, _total: u32, _preview: Option<image::RgbImage>) {}
}

impl Attended for Silent {
    fn alone(&self) -> bool {
        false
    }
    fn begin(&mut self) {}
    fn end(&mut self) {}
}

async fn device() -> Device {
    let load = || {
        Ok::<Box<dyn Engine>, std::io::Error>(Box::new(DoubleEngine::new(DoubleOptions {
            model: "test".into(),
            roles: JobKind::ALL.to_vec(),
            step: Duration::ZERO,
        })))
    };
    Device::start(load, None).await.unwrap().0
}

/// A whole job without the bus: inputs from the store, the engine, output to the store.
async fn outcome(artifacts: &Artifacts, work: Work) -> Outcome {
    outcome_with(artifacts, &Plans::default(), work).await
}

async fn outcome_with(artifacts: &Artifacts, plans: &Plans, work: Work) -> Outcome {
    let run = async {
        let task = prepare(artifacts, plans, &work).await?;
        let label = Label::of("test", &work, &task);
        let promise = Promise::of(&work, &task);
        let done = device().await.run(task, Box::new(Silent)).await;
        finish(artifacts, plans, done.made?, label, promise).await
    };
    let ended: Result<Outcome, StageError> = run.await;
    ended.unwrap_or_else(|error| error.outcome())
}

fn plan_work(prompt: &str) -> Work {
    Work::Plan(PlanWork {
        prompt: prompt.into(),
        seed: 3,
        references: Vec::new(),
        findings: Vec::new(),
        keep_for: None,
        think: Default::default(),
        think_tokens: None,
    })
}

fn render_work(plan: ArtifactRef, stage: &str, inputs: Vec<ArtifactRef>) -> Work {
    Work::Render(RenderWork {
        plan,
        stage: stage.into(),
        seed: 4,
        steps: Some(2),
        size: None,
        inputs,
        references: Vec::new(),
        fix: None,
        keep_for: None,
    })
}

#[tokio::test]
async fn a_plan_is_drawn_and_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::open(&format!("file://{}", dir.path().display())).unwrap();

    let Outcome::Planned { plan, artifact, .. } =
        outcome(&artifacts, plan_work("a cat and a dog")).await
    else {
        panic!("no plan")
    };
    assert_eq!(plan.elements.len(), 2);
    let stored = artifacts.get(&artifact, 1 << 20).await.unwrap();
    assert_eq!(serde_json::from_slice::<Plan>(&stored).unwrap(), *plan);

    let Outcome::Rendered {
        image, size, steps, ..
    } = outcome(&artifacts, render_work(artifact, "out", Vec::new())).await
    else {
        panic!("no picture")
    };
    assert_eq!((size.width, size.height, steps), (64, 64, 2));

    let critique = Work::Critique(CritiqueWork {
        plan: artifact,
        image,
    });
    let Outcome::Reviewed { review, score, .. } = outcome(&artifacts, critique).await else {
        panic!("no review")
    };
    assert_eq!((review.verdicts.len(), score.pass), (2, 2));

    // A stage that is not there, and pictures that nobody asked for, will never work.
    for work in [
        render_work(artifact, "nowhere", Vec::new()),
        render_work(artifact, "out", vec![image]),
    ] {
        assert!(matches!(
            outcome(&artifacts, work).await,
            Outcome::Failed { retry: false, .. }
        ));
    }
}

#[tokio::test]
async fn a_stage_may_read_what_the_user_sent_and_repaints_only_what_is_transparent_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::open(&format!("file://{}", dir.path().display())).unwrap();
    let open = |x: u32, y: u32| x < 8 && y >= 16;
    let sent = image::RgbaImage::from_fn(32, 32, |x, y| {
        image::Rgba([x as u8, y as u8, 7, if open(x, y) { 0 } else { 255 }])
    });
    let png = atelier_pictures::write(&sent.clone().into(), atelier_pictures::Format::Png, &[]);
    let picture = artifacts
        .put(png.unwrap().into(), MediaType::Png)
        .await
        .unwrap();
    let mut plan = Plan::direct("a hat");
    plan.stages[0].op = atelier_proto::plan::StageOp::Repair {
        input: "refs/mine".into(),
        bbox: atelier_proto::plan::BBox([0.0, 0.0, 0.25, 0.75]),
        instruction: "a hat".into(),
    };
    let json = serde_json::to_vec(&plan).unwrap();
    let plan = artifacts.put(json.into(), MediaType::Json).await.unwrap();
    let with = |references| {
        let Work::Render(work) = render_work(plan, "out", Vec::new()) else {
            unreachable!("it draws")
        };
        Work::Render(RenderWork { references, ..work })
    };
    let named = atelier_proto::job::NamedReference {
        name: "mine".into(),
        picture,
    };
    let Outcome::Rendered { image, .. } = outcome(&artifacts, with(vec![named])).await else {
        panic!("no picture")
    };
    let file = artifacts.get(&image, 1 << 20).await.unwrap();
    let drawn = image::load_from_memory(&file).unwrap().into_rgb8();
    let mut changed = 0;
    for (x, y, pixel) in drawn.enumerate_pixels() {
        let before = sent.get_pixel(x, y).0;
        if pixel.0 != before[..3] {
            // Transparent, and in the box.
            assert!(open(x, y) && y < 24, "{x},{y}");
            changed += 1;
        }
    }
    assert!(changed > 32);
    assert!(matches!(
        outcome(&artifacts, with(Vec::new())).await,
        Outcome::Failed { retry: false, .. }
    ));
}

#[tokio::test]
async fn a_repair_tells_what_it_kept_of_its_picture() {
    let dir = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::open(&format!("file://{}", dir.path().display())).unwrap();
    let prompt = "a cat and a dog [lacks:2]";
    let Outcome::Planned { artifact, .. } = outcome(&artifacts, plan_work(prompt)).await else {
        panic!("no plan")
    };
    let drawn = outcome(&artifacts, render_work(artifact, "out", Vec::new())).await;
    let Outcome::Rendered { image, kept, .. } = drawn else {
        panic!("{drawn:?}")
    };
    assert_eq!(kept, None);
    let critique = |image| {
        Work::Critique(CritiqueWork {
            plan: artifact,
            image,
        })
    };
    let Outcome::Reviewed { review, .. } = outcome(&artifacts, critique(image)).await else {
        panic!("no review")
    };
    let repair = |stage: &str| {
        let Work::Render(mut work) = render_work(artifact, stage, vec![image]) else {
            unreachable!()
        };
        work.fix = Some(review.fixes[0].clone());
        Work::Render(work)
    };
    let mended = outcome(&artifacts, repair("repair-2-1")).await;
    let Outcome::Rendered {
        image: output,
        kept: Some(kept),
        ..
    } = mended
    else {
        panic!("{mended:?}")
    };
    assert_eq!((kept.difference, &kept.inputs), (0, &vec![image.sha256]));
    assert_eq!(
        (kept.output, kept.bbox),
        (output.sha256, Some(review.fixes[0].bbox))
    );
    assert!((1..64 * 64).contains(&kept.pixels), "{kept:?}");
    let Outcome::Reviewed { score, .. } = outcome(&artifacts, critique(output)).await else {
        panic!("no review")
    };
    assert_eq!((score.pass, score.fail), (2, 0));
    // A stage of the plan is no repair of its picture.
    let refused = outcome(&artifacts, repair("out")).await;
    assert!(
        matches!(refused, Outcome::Failed { retry: false, .. }),
        "{refused:?}"
    );
}

#[tokio::test]
async fn what_draws_a_plan_that_was_made_here_need_not_fetch_it() {
    let dir = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::open(&format!("file://{}", dir.path().display())).unwrap();
    let plans = Plans::default();
    let planned = outcome_with(&artifacts, &plans, plan_work("[blend] a red cat")).await;
    let Outcome::Planned { artifact, .. } = planned else {
        panic!("no plan")
    };
    let stored = artifacts.get(&artifact, 1 << 20).await.unwrap();
    let stored = crate::inputs::read_plan(&stored).unwrap();
    artifacts.delete(&artifact).await.unwrap();
    let work = render_work(artifact, "one", Vec::new());
    let Task::Render(input) = prepare(&artifacts, &plans, &work).await.unwrap() else {
        panic!("no drawing")
    };
    assert_eq!(*input.plan, stored);
}

#[tokio::test]
async fn a_picture_says_what_it_was_made_with_unless_told_not_to() {
    let dir = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::open(&format!("file://{}", dir.path().display())).unwrap();
    let Outcome::Planned { plan, artifact, .. } = outcome(&artifacts, plan_work("a cat")).await
    else {
        panic!("no plan")
    };
    let texts = async |label: fn(&Work, &Task) -> Option<Label>| {
        let work = render_work(artifact, "out", Vec::new());
        let task = prepare(&artifacts, &Plans::default(), &work).await.unwrap();
        let label = label(&work, &task);
        let done = device().await.run(task, Box::new(Silent)).await;
        let outcome = finish(
            &artifacts,
            &Plans::default(),
            done.made.unwrap(),
            label,
            None,
        )
        .await;
        let Ok(Outcome::Rendered { image, .. }) = outcome else {
            panic!("no picture")
        };
        let file = artifacts.get(&image, 1 << 20).await.unwrap();
        (image.sha256, atelier_pictures::texts(&file).unwrap())
    };
    let (digest, said) = texts(|work, task| Label::of("test", work, task)).await;
    let made = atelier_pictures::Provenance::parse(&said[1].text).unwrap();
    assert_eq!((made.plan, made.seed, made.steps), (artifact.sha256, 4, 2));
    assert_eq!((made.model.as_str(), made.size), ("test", [64, 64]));
    assert_eq!(made.prompt, plan.caption);
    assert!(
        said[0]
            .text
            .ends_with(concat!("Version: atelier ", env!("CARGO_PKG_VERSION"))),
        "{said:?}"
    );
    // The same job makes the same file.
    assert_eq!(
        texts(|work, task| Label::of("test", work, task)).await.0,
        digest
    );
    assert_eq!(texts(|_, _| None).await.1, []);
}

#[tokio::test]
async fn faults_say_whether_another_attempt_may_do_better() {
    let dir = tempfile::tempdir().unwrap();
    let artifacts = Artifacts::open(&format!("file://{}", dir.path().display())).unwrap();
    let ended = async |prompt: &str| outcome(&artifacts, plan_work(prompt)).await;
    let failed = |reason: &str, retry| Outcome::Failed {
        reason: reason.into(),
        retry,
    };
    assert_eq!(
        ended("a cat [fail:plan]").await,
        failed("told to fail", true)
    );
    assert_eq!(
        ended("a cat [impossible:plan]").await,
        failed("told to be impossible", false)
    );
    // Out of memory: nothing against the job, and the engine goes on.
    assert_eq!(
        ended("a cat [full:plan]").await,
        failed("told to be full", true)
    );
    assert_eq!(
        ended("a cat [panic:plan]").await,
        failed("the engine panicked: told to panic", true)
    );
    assert_eq!(StageError::Stopped.outcome(), Outcome::Returned);
}

#[test]
fn long_words_are_cut_between_characters() {
    assert_eq!(truncated("äöü".into(), 3), "ä");
    let thought = bounded(Thought {
        text: "ü".repeat(20_000),
        notes: vec!["x".repeat(1_000); 100],
        ..Thought::default()
    });
    assert_eq!(
        (
            thought.text.len(),
            thought.notes.len(),
            thought.notes[0].len()
        ),
        (16_000, 64, 400)
    );
}
