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
    let (device, about) = Device::start(load).await.unwrap();
    assert_eq!(about.model, "test");
    device
}

fn plan(prompt: &str) -> Task {
    Task::Plan(PlanInput {
        prompt: prompt.into(),
        seed: 1,
        reference_names: Vec::new(),
    })
}

#[tokio::test]
async fn does_a_task_on_its_thread() {
    let count = Count::default();
    let (made, _) = device()
        .await
        .run(plan("a cat"), Box::new(count.clone()))
        .await;
    assert!(matches!(made, Ok(Made::Plan(_))));
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
    let (made, _) = device()
        .await
        .run(plan("a cat"), Box::new(count.clone()))
        .await;
    assert!(matches!(
        made,
        Err(DeviceError::Engine(EngineError::Canceled))
    ));
    assert_eq!(count.begun.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn after_a_panic_the_engine_is_gone() {
    let device = device().await;
    let count = Count::default();
    let (made, _) = device
        .run(plan("a cat [panic:plan]"), Box::new(count.clone()))
        .await;
    assert!(matches!(made, Err(DeviceError::Panicked(words)) if words == "told to panic"));
    assert_eq!(count.ended.load(Ordering::SeqCst), 1);
    let (made, _) = device.run(plan("a cat"), Box::new(Count::default())).await;
    assert!(matches!(made, Err(DeviceError::Gone)));
}

#[tokio::test]
async fn an_engine_that_cannot_be_loaded_says_why() {
    let load = || Err::<Box<dyn Engine>, _>(std::io::Error::other("no weights"));
    let error = Device::start(load).await.unwrap_err();
    assert_eq!(error.to_string(), "no weights");
}
