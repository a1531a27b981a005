//! Kinds of requests that simulations submit.

use atelier_domain::{Graph, Limits, NewRequest};
use atelier_proto::{
    ArtifactRef, MediaType, RequestId, Sha256,
    job::Think,
    plan::{BBox, Check, Mask, Plan, Question, Stage, StageOp},
    review::{Findings, Fix, FixKind},
};

/// How a request thinks and what its plan will say.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Whether a plan is made first.
    pub think: Think,
    /// Most rounds.
    pub max_rounds: u32,
    /// Drawings of the first round.
    pub candidates: u32,
    /// What its plan says; the direct plan when there is none.
    pub graph: Graph,
    /// Jobs of a first round that works out, the plan included.
    pub jobs: u32,
}

impl Shape {
    /// The prompt alone: one picture, nobody looks at it.
    pub fn prompt() -> Self {
        Self {
            think: Think::Off,
            max_rounds: 1,
            candidates: 1,
            graph: Graph::direct(),
            jobs: 1,
        }
    }

    /// A planned picture of one stage.
    pub fn picture(checks: usize, max_rounds: u32) -> Self {
        Self::planned(&[("out", &[])], checks, max_rounds)
    }

    /// A stage made from another.
    pub fn edited(checks: usize, max_rounds: u32) -> Self {
        Self::planned(&[("day", &[]), ("night", &["day"])], checks, max_rounds)
    }

    /// Two stages side by side and one of both.
    pub fn blended(checks: usize, max_rounds: u32) -> Self {
        Self::planned(
            &[("day", &[]), ("night", &[]), ("out", &["day", "night"])],
            checks,
            max_rounds,
        )
    }

    fn planned(stages: &[(&str, &[&str])], checks: usize, max_rounds: u32) -> Self {
        let mut plan = Plan::direct("a city");
        plan.stages = stages
            .iter()
            .map(|(id, inputs)| stage(id, inputs))
            .collect();
        plan.checks = (0..checks).map(check).collect();
        Self {
            think: Think::Fast,
            max_rounds,
            candidates: 1,
            graph: Graph::of(&plan).expect("the stages above make a valid plan"),
            jobs: 1 + stages.len() as u32 + u32::from(checks > 0),
        }
    }

    /// The same with so many drawings of its first round.
    pub fn with_candidates(self, candidates: u32) -> Self {
        let extra = (self.jobs - 1) * (candidates - 1);
        Self {
            candidates,
            jobs: self.jobs + extra,
            ..self
        }
    }

    /// A request of this shape.
    pub fn request(&self, id: RequestId, seed: u64) -> NewRequest {
        NewRequest {
            id,
            seed,
            think: self.think,
            max_rounds: self.max_rounds,
            candidates: self.candidates,
            limits: Limits::default(),
            direct_plan: artifact(seed, MediaType::Json),
            given: None,
            plan_only: false,
        }
    }
}

/// What a review says where `fail` checks failed: a box for each.
pub fn findings(fail: u32) -> Findings {
    let id = |k: u32| format!("k{k}");
    let fix = |k: u32| Fix {
        kind: FixKind::Add,
        element: Some(format!("thing-{k}")),
        noun: "thing".into(),
        bbox: BBox([0.0, 0.0, 0.5, 0.5]),
        instruction: "a thing".into(),
        checks: vec![id(k)],
    };
    Findings {
        failed: (0..fail).map(id).collect(),
        fixes: (0..fail).map(fix).collect(),
        ..Findings::default()
    }
}

fn stage(id: &str, inputs: &[&str]) -> Stage {
    let op = match inputs {
        [] => StageOp::Generate {
            caption: String::new(),
        },
        [input] => StageOp::Edit {
            input: (*input).to_owned(),
            instruction: "at night".into(),
            strength: 0.5,
        },
        inputs => StageOp::Blend {
            inputs: inputs.iter().map(|id| (*id).to_owned()).collect(),
            mask: Mask::Linear {
                angle: 0.0,
                from: 0.3,
                to: 0.7,
            },
        },
    };
    Stage {
        id: id.to_owned(),
        op,
    }
}

fn check(number: usize) -> Check {
    Check {
        id: format!("k{number}"),
        question: Question::Text {
            expect: "city".into(),
        },
    }
}

/// An artifact whose name is made of `number`: equal numbers are equal bytes.
pub fn artifact(number: u64, media_type: MediaType) -> ArtifactRef {
    let mut sha256 = [0; 32];
    sha256[..8].copy_from_slice(&number.to_be_bytes());
    ArtifactRef {
        sha256: Sha256(sha256),
        bytes: 1,
        media_type,
    }
}
