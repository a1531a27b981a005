use atelier_proto::{
    RequestId,
    http::{RequestState, SubmitRequest},
    job::JobKind,
    plan::{BBox, Check, Element, Question},
    review::Verdict,
    trace::TraceJob,
};

use super::*;

fn trace() -> Trace {
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
    let review = Review {
        verdicts: vec![Verdict {
            check: "k1".into(),
            answer: Answer::Fail,
            confidence: 0.9,
            found: "2 cats".into(),
            boxes: vec![BBox([0.0, 0.0, 0.5, 0.5]), BBox([0.5, 0.0, 1.0, 0.5])],
        }],
        seen: Vec::new(),
        fixes: Vec::new(),
        findings: Vec::new(),
        contradictory: Vec::new(),
    };
    let job = |kind, review| TraceJob {
        kind,
        round: 1,
        stage: (kind == JobKind::Render).then(|| "out".into()),
        op: None,
        seed: (kind == JobKind::Render).then_some(99),
        steps: None,
        state: "done".into(),
        attempts: 2,
        worker: None,
        ready_ms: Some(0),
        started_ms: None,
        ended_ms: Some(1500),
        wall_ms: Some(1500),
        device_ms: None,
        batch: None,
        size: None,
        made: None,
        inputs: Vec::new(),
        artifact: None,
        references: Vec::new(),
        review,
        reason: None,
        candidate: None,
        fix: None,
        kept: None,
    };
    Trace {
        version: 1,
        request: RequestId::at(0, [1; 10]),
        submitted: SubmitRequest {
            prompt: "a cat\u{1b}[2J".into(),
            seed: None,
            think: Default::default(),
            think_tokens: None,
            priority: Default::default(),
            steps: None,
            size: None,
            max_rounds: None,
            references: Vec::new(),
            candidates: None,
            max_time_s: None,
            max_cost_s: None,
            plan: None,
            plan_only: false,
            webhook: None,
            cache: None,
        },
        seed: 7,
        model: "atelier-mini".into(),
        state: RequestState::Succeeded,
        reason: None,
        image: None,
        pictures: Vec::new(),
        plan: Some(plan),
        plan_artifact: None,
        earlier_plans: Vec::new(),
        thought: None,
        jobs: vec![
            job(JobKind::Render, None),
            job(JobKind::Critique, Some(review)),
        ],
        cost: Default::default(),
        created_at: "2026-01-01T00:00:00Z".into(),
        finished_at: None,
        outcome: None,
        decisions: Vec::new(),
    }
}

#[test]
fn it_tells_what_was_asked_planned_drawn_found_and_why_it_ended() {
    let told = story(&trace());
    for part in [
        "element    cat: cat (orange; sleepy) at x 25-60 %, y 30-95 %, after props/cat",
        "draw out (generate): done, 1.50 s, seed 99, 2 attempts",
        "NO  Is there exactly one cat? 2 cats at x 0-50 %, y 0-50 % and x 50-100 %, y 0-50 % (0.90)",
        "succeeded after 1 round",
        "the rounds were used up",
    ] {
        assert!(told.contains(part), "{part:?} is not in\n{told}");
    }
    assert!(!told.contains('\u{1b}'), "the prompt steers the terminal");
}

#[test]
fn a_given_plan_is_told_apart_from_one_that_was_thought_of_and_from_none() {
    let mut trace = trace();
    let given = "given with the request, so that nothing was thought";
    assert!(story(&trace).contains(given));
    trace.plan = Some(Plan::direct(&trace.submitted.prompt));
    assert!(!story(&trace).contains(given));
    trace.plan = None;
    assert!(!story(&trace).contains(given));
    let mut thought = self::trace();
    thought.jobs[0].kind = JobKind::Plan;
    assert!(!story(&thought).contains(given));
}

#[test]
fn the_end_follows_from_the_last_review() {
    let mut trace = trace();
    let review = trace.jobs[1].review.as_mut().unwrap();
    review.verdicts[0].answer = Answer::Pass;
    assert!(story(&trace).contains("all 1 checks passed"));
    trace.jobs[1].review = None;
    assert!(story(&trace).contains("nothing was to be checked"));
    trace.state = RequestState::Failed;
    trace.reason = Some("no worker".into());
    assert!(story(&trace).contains("because no worker"));
}
