//! Memory comes back: after work that is canceled, and when a model makes room for another. Counted as what the process has in the host's
//! memory, so that this test is alone in its program.

use std::path::PathBuf;

use atelier_engine::{Control, Engine, EngineError, PlanInput, RenderInput};
use atelier_models::{Sources, TorchEngine, device::resident};
use atelier_proto::job::JobKind;
use image::RgbImage;

/// How much more than before may stay, as a share of what a loaded model takes: allocators keep some.
const SLACK: f64 = 0.1;

/// Stops at a step.
struct Until(u32, u32);

impl Control for Until {
    fn canceled(&self) -> bool {
        self.1 >= self.0
    }

    fn progress(&mut self, step: u32, _total: u32, _preview: Option<RgbImage>) {
        self.1 = step;
    }
}

const TO_THE_END: u32 = u32::MAX;

fn load() -> TorchEngine {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let sources = Sources {
        model: root.join("deploy/models/atelier-mini"),
        language: Some(root.join(".deps/models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")),
        critic: None,
        props: None,
    };
    TorchEngine::load(&sources, &[JobKind::Plan, JobKind::Render], "cpu")
        .expect("the shipped model")
}

fn input(engine: &mut TorchEngine) -> RenderInput {
    let input = PlanInput {
        prompt: "a cat and a red balloon on the moon".into(),
        seed: 1,
        ..PlanInput::default()
    };
    let planned = engine.plan(&input, &mut Until(TO_THE_END, 0));
    RenderInput {
        plan: planned.expect("a plan").plan.into(),
        stage: "out".into(),
        seed: 1,
        steps: Some(4),
        size: None,
        inputs: Vec::new(),
        references: Vec::new(),
        reuse: true,
    }
}

fn megabytes() -> f64 {
    resident().expect("the system says it") as f64 / 1e6
}

#[test]
fn memory_comes_back_after_a_cancel_and_with_another_model() {
    // Once for what stays for good: libtorch's threads and tables.
    let mut engine = load();
    let picture = input(&mut engine);
    engine
        .render(&picture, &mut Until(TO_THE_END, 0))
        .expect("a picture");
    let one = megabytes();
    drop(engine);
    let none = megabytes();
    assert!(
        one - none > 300.0,
        "a model takes {one:.0} MB and leaves {none:.0} MB when it goes"
    );
    let most = |before: f64| before + SLACK * (one - none);

    let mut engine = load();
    for round in 0..4 {
        let canceled = engine.render(&picture, &mut Until(1, 0));
        assert!(
            matches!(canceled, Err(EngineError::Canceled)),
            "{canceled:?}"
        );
        let now = megabytes();
        assert!(
            now < most(one),
            "cancel {round}: {one:.0} MB became {now:.0} MB"
        );
    }
    drop(engine);
    for round in 0..3 {
        let now = megabytes();
        assert!(
            now < most(none),
            "switch {round}: {none:.0} MB became {now:.0} MB"
        );
        let mut engine = load();
        let drawn = engine.render(&picture, &mut Until(TO_THE_END, 0));
        assert!(drawn.is_ok(), "{drawn:?}");
        let now = megabytes();
        assert!(
            now < most(one),
            "model {round}: {one:.0} MB became {now:.0} MB"
        );
    }
}
