use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use atelier_engine::double::{DoubleEngine, DoubleOptions};

use super::*;

#[derive(Clone, Default)]
struct Count {
    begun: Arc<AtomicU32>,
    ended: Arc<AtomicU32>,
    steps: Arc<AtomicU32>,
    canceled: bool,
    alone: bool,
}

impl Control for Count {
    fn canceled(&self) -> bool {
        self.canceled
    }

    fn progress(&mut self, step: u32, _total: u32, _preview: Option<image::RgbImage>) {
        self.steps.store(step, Ordering::SeqCst);
    }
}

impl Attended for Count {
    fn alone(&self) -> bool {
        self.alone
    }

    fn begin(&mut self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
    }

    fn end(&mut self) {
        self.ended.fetch_add(1, Ordering::SeqCst);
    }
}

async fn device() -> Device {
    let load = || {
        let options = DoubleOptions {
            model: "test".into(),
            roles: JobKind::ALL.to_vec(),
            step: Duration::ZERO,
        };
        Ok::<Box<dyn Engine>, std::io::Error>(Box::new(DoubleEngine::new(options)))
    };
    let (device, about) = Device::start(load, Some(3)).await.unwrap();
    assert_eq!(about.model, "test");
    device
}

fn plan(prompt: &str) -> Task {
    Task::Plan(PlanInput {
        prompt: prompt.into(),
        seed: 1,
        ..PlanInput::default()
    })
}

#[tokio::test]
async fn does_a_task_on_its_thread() {
    let count = Count::default();
    let done = device()
        .await
        .run(plan("a cat"), Box::new(count.clone()))
        .await;
    assert!(matches!(done.made, Ok(Made::Plan(_))));
    assert_eq!(done.batch, 1);
    assert_eq!(count.begun.load(Ordering::SeqCst), 1);
    assert_eq!(count.steps.load(Ordering::SeqCst), 1);
    assert_eq!(count.ended.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_canceled_task_never_begins() {
    let count = Count {
        canceled: true,
        ..Count::default()
    };
    let done = device()
        .await
        .run(plan("a cat"), Box::new(count.clone()))
        .await;
    assert!(matches!(
        done.made,
        Err(DeviceError::Engine(EngineError::Canceled))
    ));
    assert_eq!(count.begun.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn after_a_panic_the_engine_is_gone() {
    let device = device().await;
    let count = Count::default();
    let done = device
        .run(plan("a cat [panic:plan]"), Box::new(count.clone()))
        .await;
    assert!(matches!(done.made, Err(DeviceError::Panicked(words)) if words == "told to panic"));
    assert_eq!(count.ended.load(Ordering::SeqCst), 1);
    let done = device.run(plan("a cat"), Box::new(Count::default())).await;
    assert!(matches!(done.made, Err(DeviceError::Gone)));
}

#[tokio::test]
async fn an_engine_that_cannot_be_loaded_says_why() {
    let load = || Err::<Box<dyn Engine>, _>(std::io::Error::other("no weights"));
    let error = Device::start(load, None).await.unwrap_err();
    assert_eq!(error.to_string(), "no weights");
}

/// A drawing of so many steps that takes `ms` a step.
fn render(ms: u64, steps: u32) -> Task {
    let mut plan = atelier_proto::plan::Plan::direct("a cat");
    plan.caption = format!("a cat [slow:{ms}]");
    Task::Render(Box::new(RenderInput {
        plan: plan.into(),
        stage: "out".into(),
        seed: 1,
        steps: Some(steps),
        size: None,
        inputs: Vec::new(),
        references: Vec::new(),
        reuse: false,
    }))
}

#[tokio::test]
async fn equal_drawings_that_wait_are_made_at_once_and_a_lone_one_waits_for_nobody() {
    let device = device().await;
    let (calm, alone) = (
        Count::default(),
        Count {
            alone: true,
            ..Count::default()
        },
    );
    let run = |task, count: &Count| device.run(task, Box::new(count.clone()));
    // The first has the device to itself; what comes meanwhile is sorted by shape, four of one and one of another.
    let (first, a, b, apart, other, c, d) = tokio::join!(
        run(render(100, 2), &calm),
        run(render(0, 4), &calm),
        run(render(0, 4), &calm),
        run(render(0, 4), &alone),
        run(render(0, 5), &calm),
        run(render(0, 4), &calm),
        run(render(0, 4), &calm),
    );
    let batches = [&first, &a, &b, &apart, &other, &c, &d].map(|done| done.batch);
    assert_eq!(batches, [1, 3, 3, 1, 1, 3, 1]);
    assert!(
        [first, a, b, apart, other, c, d]
            .iter()
            .all(|done| matches!(done.made, Ok(Made::Picture(_))))
    );
    assert_eq!(calm.ended.load(Ordering::SeqCst), 6);
}

/// The double, as an engine that makes three plans at once.
struct Together(DoubleEngine);

impl Engine for Together {
    fn model(&self) -> &str {
        self.0.model()
    }

    fn device(&self) -> String {
        self.0.device()
    }

    fn roles(&self) -> Vec<JobKind> {
        self.0.roles()
    }

    fn best_plan_batch(&self) -> usize {
        3
    }

    fn plan(
        &mut self,
        input: &PlanInput,
        control: &mut dyn Control,
    ) -> Result<PlanOutput, EngineError> {
        self.0.plan(input, control)
    }

    fn render(
        &mut self,
        input: &RenderInput,
        control: &mut dyn Control,
    ) -> Result<RenderOutput, EngineError> {
        self.0.render(input, control)
    }

    fn critique(
        &mut self,
        input: &CritiqueInput,
        control: &mut dyn Control,
    ) -> Result<Review, EngineError> {
        self.0.critique(input, control)
    }
}

#[tokio::test]
async fn plans_that_wait_while_something_is_drawn_are_made_at_once() {
    let load = || {
        let options = DoubleOptions {
            model: "test".into(),
            roles: JobKind::ALL.to_vec(),
            step: Duration::ZERO,
        };
        let engine = Together(DoubleEngine::new(options));
        Ok::<Box<dyn Engine>, std::io::Error>(Box::new(engine))
    };
    let (device, about) = Device::start(load, None).await.unwrap();
    assert_eq!((about.batch, about.plans), (1, 3));
    let (calm, alone) = (
        Count::default(),
        Count {
            alone: true,
            ..Count::default()
        },
    );
    let run = |task, count: &Count| device.run(task, Box::new(count.clone()));
    let (drawn, a, b, apart, wrong, c) = tokio::join!(
        run(render(100, 2), &calm),
        run(plan("a cat"), &calm),
        run(plan("a dog"), &calm),
        run(plan("a fox"), &alone),
        run(plan("a cow [fail:plan]"), &calm),
        run(plan("a hen"), &calm),
    );
    let batches = [&drawn, &a, &b, &apart, &wrong, &c].map(|done| done.batch);
    assert_eq!(batches, [1, 3, 3, 1, 3, 1]);
    let noun = |done: &Done| match &done.made {
        Ok(Made::Plan(made)) => made.plan.elements[0].noun.clone(),
        other => format!("{other:?}"),
    };
    let nouns = [&a, &b, &apart, &c].map(noun);
    assert_eq!(nouns, ["cat", "dog", "fox", "hen"], "each its own");
    assert!(
        wrong.made.is_err(),
        "and one that fails takes no other along"
    );
}
