//! A trace for tests.

use atelier_proto::{
    ArtifactRef, MediaType, RequestId, Sha256,
    http::{Cost, RequestState, SubmitRequest},
    job::JobKind,
    made::{Made, Spent},
    plan::{BBox, Check, Element, Plan, Question},
    review::{Answer, Review, Sighting, Verdict},
    trace::{Trace, TraceJob},
};

/// Digest of the picture that is drawn.
pub const PICTURE: Sha256 = Sha256([5; 32]);

fn job(kind: JobKind, from: u64, to: u64) -> TraceJob {
    TraceJob {
        kind,
        round: 1,
        candidate: None,
        fix: None,
        kept: None,
        stage: (kind == JobKind::Render).then(|| "out".into()),
        op: (kind == JobKind::Render).then(|| "generate".into()),
        seed: Some(99),
        steps: Some(4),
        state: "done".into(),
        attempts: 1,
        worker: Some("host-1".into()),
        ready_ms: Some(from),
        started_ms: Some(from + 10),
        ended_ms: Some(to),
        wall_ms: Some(to - from),
        device_ms: Some(to - from - 10),
        batch: None,
        size: None,
        made: Some(Made {
            worker: "host-1".into(),
            device: "cpu".into(),
            version: "0.1.0".into(),
            weights: Some(Sha256([8; 32])),
            load_ms: Some(4_200),
            spent: Spent::default(),
            cached: false,
        }),
        inputs: Vec::new(),
        artifact: None,
        references: Vec::new(),
        review: None,
        reason: None,
    }
}

/// A request that was planned, drawn and found wrong.
pub fn trace() -> Trace {
    let mut plan = Plan::direct("a cat");
    plan.elements.push(Element {
        id: "cat".into(),
        noun: "cat".into(),
        count: 1,
        attributes: vec!["sleepy".into()],
        colors: vec!["orange".into()],
        bbox: Some(BBox([0.25, 0.3, 0.6, 0.95])),
        reference: Some("props/cat".into()),
    });
    plan.checks.push(Check {
        id: "k1".into(),
        question: Question::Count {
            noun: "cat".into(),
            expect: 1,
        },
    });
    let boxes = vec![BBox([0.0, 0.0, 0.5, 0.5]), BBox([0.5, 0.0, 1.0, 0.5])];
    let review = Review {
        verdicts: vec![Verdict {
            check: "k1".into(),
            answer: Answer::Fail,
            confidence: 0.9,
            found: "2 cats".into(),
            boxes: boxes.clone(),
        }],
        seen: vec![Sighting {
            name: "cat".into(),
            color: Some("orange".into()),
            confidence: 0.9,
            bbox: boxes[0],
            element: None,
        }],
        ..Review::default()
    };
    let picture = ArtifactRef {
        sha256: PICTURE,
        bytes: 9,
        media_type: MediaType::Png,
    };
    let drawing = TraceJob {
        artifact: Some(picture),
        ..job(JobKind::Render, 100, 1_500)
    };
    let critique = TraceJob {
        inputs: vec![PICTURE],
        review: Some(review),
        ..job(JobKind::Critique, 1_500, 1_600)
    };
    Trace {
        version: 1,
        request: RequestId::at(0, [1; 10]),
        submitted: SubmitRequest {
            prompt: "a cat".into(),
            seed: None,
            think: Default::default(),
            think_tokens: None,
            priority: Default::default(),
            steps: None,
            size: None,
            max_rounds: None,
            plan: None,
            plan_only: false,
            webhook: None,
            candidates: None,
            max_time_s: None,
            max_cost_s: None,
            references: Vec::new(),
            cache: None,
        },
        seed: 7,
        model: "atelier-mini".into(),
        state: RequestState::Succeeded,
        reason: None,
        image: Some(picture),
        pictures: Vec::new(),
        plan: Some(plan),
        plan_artifact: None,
        earlier_plans: Vec::new(),
        thought: None,
        outcome: None,
        decisions: Vec::new(),
        jobs: vec![job(JobKind::Plan, 0, 100), drawing, critique],
        cost: Cost {
            plan_ms: 90,
            render_ms: 1_390,
            critique_ms: 90,
            repair_ms: 0,
        },
        created_at: "2026-01-01T00:00:00Z".into(),
        finished_at: Some("2026-01-01T00:00:01.600Z".into()),
    }
}
