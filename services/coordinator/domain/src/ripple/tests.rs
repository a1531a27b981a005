use atelier_proto::{
    ArtifactRef, JobId, MediaType, RequestId, Sha256, WorkerId,
    job::{JobKind, Think},
    plan::{BBox, Check, Plan, Question, Stage, StageOp},
    review::{Action, Findings, Fix, FixKind, Score},
};

use crate::{
    Effect, Event, Graph, JobState, Limits, NewRequest, NotApplied, Outcome, Policy, Request, State,
};

const POLICY: Policy = Policy {
    lease_ms: 10_000,
    max_failures: 4,
    max_failed_workers: 2,
    max_losses: 8,
    backoff_ms: 250,
    max_backoff_ms: 8_000,
};

fn artifact(n: u8) -> ArtifactRef {
    ArtifactRef {
        sha256: Sha256([n; 32]),
        bytes: 1,
        media_type: MediaType::Png,
    }
}

fn start(think: Think, max_rounds: u32) -> Request {
    let new = NewRequest {
        id: RequestId::at(1, [7; 10]),
        seed: 42,
        think,
        max_rounds,
        candidates: 1,
        limits: Limits::default(),
        direct_plan: artifact(1),
        given: None,
        plan_only: false,
    };
    Request::start(new, 0)
}

fn worker(n: u8) -> WorkerId {
    WorkerId::at(0, [n; 10])
}

/// Day, and night made from it; two checks.
fn day_and_night() -> Graph {
    let mut plan = Plan::direct("a city by day and night");
    plan.stages[0].id = "day".into();
    plan.stages.push(Stage {
        id: "night".into(),
        op: StageOp::Edit {
            input: "day".into(),
            instruction: "at night".into(),
            strength: 0.7,
        },
    });
    for id in ["k1", "k2"] {
        let question = Question::Text {
            expect: "city".into(),
        };
        plan.checks.push(Check {
            id: id.into(),
            question,
        });
    }
    Graph::of(&plan).unwrap()
}

fn find(request: &Request, kind: JobKind, stage: &str, round: u32) -> JobId {
    let wanted = |job: &&crate::Job| (job.kind, job.stage_id(), job.round) == (kind, stage, round);
    request.jobs.iter().find(wanted).unwrap().id
}

/// Dispatches the job and reports `outcome`.
fn run(request: &mut Request, job: JobId, now: u64, outcome: Outcome) -> Vec<Effect> {
    request
        .apply(Event::Dispatched { job }, now, &POLICY)
        .unwrap();
    let attempt = request.job(job).unwrap().attempt;
    let event = Event::Reported {
        job,
        attempt,
        worker: worker(1),
        device_ms: 100,
        outcome,
    };
    request.apply(event, now, &POLICY).unwrap()
}

fn planned(request: &mut Request) {
    let job = request.jobs[0].id;
    let outcome = Outcome::Planned {
        artifact: artifact(2),
        graph: day_and_night(),
    };
    run(request, job, 0, outcome);
}

/// What a review of this score says: as many checks failed, none of which can be mended.
fn failed(score: Score) -> Findings {
    Findings {
        failed: (1..=score.fail).map(|k| format!("k{k}")).collect(),
        ..Findings::default()
    }
}

/// Draws both stages of `round` and answers its checks.
fn round(request: &mut Request, number: u32, score: Score) -> Vec<Effect> {
    for (stage, image) in [("day", 10 * number), ("night", 10 * number + 1)] {
        let job = find(request, JobKind::Render, stage, number);
        let image = artifact(image as u8);
        run(request, job, 0, Outcome::Rendered { image });
    }
    let job = find(request, JobKind::Critique, "", number);
    let outcome = Outcome::Reviewed {
        artifact: artifact(3),
        score,
        findings: failed(score),
    };
    run(request, job, 0, outcome)
}

const HALF: Score = Score {
    pass: 1,
    fail: 1,
    unknown: 0,
};
const ALL: Score = Score {
    pass: 2,
    fail: 0,
    unknown: 0,
};

#[test]
fn without_thinking_one_picture_ends_it() {
    let mut request = start(Think::Off, 2);
    assert_eq!(request.jobs.len(), 1);
    let job = request.jobs[0].id;
    assert_eq!(
        request.jobs[0].seed, 42,
        "the first picture uses the request's own seed"
    );
    let effects = run(
        &mut request,
        job,
        0,
        Outcome::Rendered { image: artifact(9) },
    );
    assert_eq!(
        effects,
        [
            Effect::BestPicture(artifact(9)),
            Effect::Ended(State::Succeeded)
        ]
    );
}

#[test]
fn stages_wait_for_their_inputs() {
    let mut request = start(Think::Fast, 2);
    planned(&mut request);
    let day = find(&request, JobKind::Render, "day", 1);
    let night = find(&request, JobKind::Render, "night", 1);
    assert_eq!(request.job(night).unwrap().state, JobState::Waiting);
    let effects = run(
        &mut request,
        day,
        0,
        Outcome::Rendered { image: artifact(9) },
    );
    assert_eq!(effects, [Effect::JobReady(night)]);
    assert_eq!(request.best, None, "an inner stage is no result");
}

#[test]
fn all_checks_passed_ends_it_in_the_first_round() {
    let mut request = start(Think::Fast, 4);
    planned(&mut request);
    round(&mut request, 1, ALL);
    assert_eq!(
        (request.state.clone(), request.round),
        (State::Succeeded, 1)
    );
    assert_eq!(request.best.unwrap().score, Some(ALL));
}

#[test]
fn a_later_picture_must_be_strictly_better() {
    let mut request = start(Think::Fast, 2);
    planned(&mut request);
    round(&mut request, 1, HALF);
    assert_eq!((request.state.clone(), request.round), (State::Active, 2));
    round(&mut request, 2, HALF);
    assert_eq!(request.state, State::Succeeded);
    assert_eq!(request.best.unwrap().image, artifact(11));

    let mut request = start(Think::Fast, 2);
    planned(&mut request);
    round(&mut request, 1, HALF);
    let effects = round(&mut request, 2, ALL);
    assert_eq!(request.best.unwrap().image, artifact(21));
    assert!(effects.contains(&Effect::BestPicture(artifact(21))));
}

#[test]
fn a_plan_that_fails_for_good_falls_back_to_the_prompt() {
    let mut request = start(Think::Fast, 2);
    let job = request.jobs[0].id;
    for failures in 1..=4_u32 {
        let outcome = Outcome::Failed {
            reason: "not a plan".into(),
            retry: true,
        };
        run(&mut request, job, u64::from(failures) * 100_000, outcome);
    }
    assert_eq!(request.plan.unwrap().artifact, artifact(1));
    assert!(
        request.notes[0].contains("not a plan"),
        "{:?}",
        request.notes
    );
    let render = find(&request, JobKind::Render, "out", 1);
    run(
        &mut request,
        render,
        900_000,
        Outcome::Rendered { image: artifact(9) },
    );
    assert_eq!(request.state, State::Succeeded);
}

#[test]
fn failures_are_tried_again_later_and_later() {
    let mut request = start(Think::Off, 1);
    let job = request.jobs[0].id;
    for (failures, longest) in [(1, 250), (2, 500), (3, 1_000)] {
        let outcome = Outcome::Failed {
            reason: "store".into(),
            retry: true,
        };
        run(&mut request, job, 100_000, outcome);
        let delay = POLICY.backoff(job, failures, failures);
        assert!((longest / 2..=longest).contains(&delay), "{delay}");
        let not_before = 100_000 + delay;
        assert_eq!(
            request.job(job).unwrap().state,
            JobState::Ready { not_before }
        );
        let early = request
            .clone()
            .apply(Event::Dispatched { job }, not_before - 1, &POLICY);
        assert_eq!(early, Err(NotApplied::Superseded));
        request.jobs[0].state = JobState::Ready { not_before: 0 };
    }
    run(
        &mut request,
        job,
        100_000,
        Outcome::Failed {
            reason: "store".into(),
            retry: true,
        },
    );
    assert_eq!(request.state.reason(), Some("store (failed 4 times)"));
}

/// Dispatches the job, lets `worker` give a sign of life and then fall silent.
fn die(request: &mut Request, job: JobId, now: u64, worker: WorkerId, begun: bool) {
    request
        .apply(Event::Dispatched { job }, now, &POLICY)
        .unwrap();
    let alive = Event::Alive {
        job,
        attempt: request.job(job).unwrap().attempt,
        worker,
        begun,
    };
    request.apply(alive, now, &POLICY).unwrap();
    request
        .apply(Event::LeasesChecked, now + 10_000, &POLICY)
        .unwrap();
}

#[test]
fn a_job_that_kills_two_workers_is_parked() {
    let mut request = start(Think::Off, 1);
    let job = request.jobs[0].id;
    die(&mut request, job, 60_000, worker(1), true);
    assert_eq!(request.state, State::Active);
    die(&mut request, job, 120_000, worker(2), true);
    assert_eq!(
        request.state.reason(),
        Some("parked: failed on 2 different workers, the last time: its worker fell silent")
    );
}

#[test]
fn a_job_that_fails_on_one_worker_and_kills_another_is_parked() {
    let mut request = start(Think::Off, 1);
    let job = request.jobs[0].id;
    let reason = "no memory".into();
    let failed = Outcome::Failed {
        reason,
        retry: true,
    };
    run(&mut request, job, 0, failed.clone());
    run(&mut request, job, 60_000, failed);
    assert_eq!(
        request.state,
        State::Active,
        "one worker may be at fault itself"
    );
    assert_eq!(request.job(job).unwrap().failed_on, [worker(1)]);
    die(&mut request, job, 120_000, worker(2), true);
    assert!(request.state.reason().unwrap().starts_with("parked"));
}

#[test]
fn what_lay_beside_the_job_that_killed_its_worker_goes_back_without_blame() {
    let mut request = start(Think::Off, 1);
    let job = request.jobs[0].id;
    for n in 1..=7 {
        die(&mut request, job, u64::from(n) * 60_000, worker(n), false);
        let job = request.job(job).unwrap();
        assert_eq!((job.failures, job.losses), (0, u32::from(n)));
        assert!(job.failed_on.is_empty() && matches!(job.state, JobState::Ready { .. }));
    }
    // What kills its workers before they begin must not go on for ever.
    die(&mut request, job, 600_000, worker(8), false);
    assert!(request.state.reason().unwrap().starts_with("parked: 8"));
}

#[test]
fn nobody_takes_over_what_another_worker_has_begun() {
    let mut request = start(Think::Off, 1);
    let job = request.jobs[0].id;
    request
        .apply(Event::Dispatched { job }, 0, &POLICY)
        .unwrap();
    let mut alive = |n, begun| {
        let sign = Event::Alive {
            job,
            attempt: 1,
            worker: worker(n),
            begun,
        };
        request.apply(sign, 1, &POLICY).map(drop)
    };
    assert_eq!(alive(1, false), Ok(()));
    assert_eq!(alive(2, true), Ok(()));
    assert_eq!(alive(1, true), Err(NotApplied::Superseded));
    // It is off the device: only the report is missing.
    assert_eq!(alive(2, false), Ok(()));
    assert_eq!(alive(1, false), Ok(()));
}

#[test]
fn an_outage_says_nothing_against_a_worker_and_still_ends() {
    let mut request = start(Think::Off, 1);
    let job = request.jobs[0].id;
    for n in 1..=4_u64 {
        assert_eq!(request.state, State::Active);
        let outcome = Outcome::Outage {
            reason: "the store is away".into(),
        };
        run(&mut request, job, n * 100_000, outcome);
        assert!(request.job(job).unwrap().failed_on.is_empty());
    }
    assert_eq!(
        request.state.reason(),
        Some("the store is away (failed 4 times)")
    );
}

#[test]
fn a_lost_message_costs_no_failure() {
    let mut request = start(Think::Off, 1);
    let job = request.jobs[0].id;
    for attempt in 1..=20_u32 {
        let now = u64::from(attempt) * 20_000;
        request
            .apply(Event::Dispatched { job }, now, &POLICY)
            .unwrap();
        request
            .apply(Event::LeasesChecked, now + 10_000, &POLICY)
            .unwrap();
    }
    let job = request.job(job).unwrap();
    assert_eq!((job.attempt, job.failures), (20, 0));
}

#[test]
fn a_late_report_changes_nothing() {
    let mut request = start(Think::Off, 1);
    let job = request.jobs[0].id;
    request
        .apply(Event::Dispatched { job }, 0, &POLICY)
        .unwrap();
    request
        .apply(Event::LeasesChecked, 10_000, &POLICY)
        .unwrap();
    request
        .apply(Event::Dispatched { job }, 10_000, &POLICY)
        .unwrap();
    let before = request.clone();
    let outcome = Outcome::Rendered { image: artifact(9) };
    let late = Event::Reported {
        job,
        attempt: 1,
        worker: worker(1),
        device_ms: 100,
        outcome,
    };
    assert_eq!(
        request.apply(late, 10_001, &POLICY),
        Err(NotApplied::Superseded)
    );
    assert_eq!(request, before);
}

#[test]
fn wrong_reports_are_told_from_late_ones() {
    let mut request = start(Think::Off, 1);
    let job = request.jobs[0].id;
    request
        .apply(Event::Dispatched { job }, 0, &POLICY)
        .unwrap();
    let outcome = Outcome::Reviewed {
        artifact: artifact(3),
        score: ALL,
        findings: Findings::default(),
    };
    let wrong = Event::Reported {
        job,
        attempt: 1,
        worker: worker(1),
        device_ms: 100,
        outcome,
    };
    assert_eq!(request.apply(wrong, 1, &POLICY), Err(NotApplied::WrongKind));

    let mut request = start(Think::Fast, 1);
    planned(&mut request);
    for stage in ["day", "night"] {
        let job = find(&request, JobKind::Render, stage, 1);
        run(
            &mut request,
            job,
            0,
            Outcome::Rendered { image: artifact(9) },
        );
    }
    let job = find(&request, JobKind::Critique, "", 1);
    request
        .apply(Event::Dispatched { job }, 0, &POLICY)
        .unwrap();
    let score = Score { pass: 1, ..ALL };
    let outcome = Outcome::Reviewed {
        artifact: artifact(3),
        score,
        findings: failed(score),
    };
    let wrong = Event::Reported {
        job,
        attempt: 1,
        worker: worker(1),
        device_ms: 100,
        outcome,
    };
    let refused = NotApplied::WrongChecks {
        answers: 1,
        checks: 2,
    };
    assert_eq!(request.apply(wrong, 1, &POLICY), Err(refused));
}

#[test]
fn cancel_stops_what_runs() {
    let mut request = start(Think::Fast, 2);
    let job = request.jobs[0].id;
    request
        .apply(Event::Dispatched { job }, 0, &POLICY)
        .unwrap();
    let reason = String::from("by the user");
    let effects = request
        .apply(
            Event::Canceled {
                reason: reason.clone(),
            },
            1,
            &POLICY,
        )
        .unwrap();
    assert_eq!(
        effects,
        [
            Effect::StopWork(job),
            Effect::Ended(State::Canceled { reason })
        ]
    );
    let report = Event::Reported {
        job,
        attempt: 1,
        worker: worker(1),
        device_ms: 100,
        outcome: Outcome::Returned,
    };
    assert_eq!(
        request.apply(report, 2, &POLICY),
        Err(NotApplied::Superseded)
    );
}

#[test]
fn a_critique_that_fails_leaves_the_picture() {
    let mut request = start(Think::Fast, 2);
    planned(&mut request);
    for stage in ["day", "night"] {
        let job = find(&request, JobKind::Render, stage, 1);
        run(
            &mut request,
            job,
            0,
            Outcome::Rendered { image: artifact(9) },
        );
    }
    let job = find(&request, JobKind::Critique, "", 1);
    let outcome = Outcome::Failed {
        reason: "no eyes".into(),
        retry: false,
    };
    run(&mut request, job, 0, outcome);
    assert_eq!(request.state, State::Succeeded);
    assert!(request.notes[0].contains("no eyes"));
}

#[test]
fn a_failed_drawing_fails_the_first_round_and_keeps_the_picture_later() {
    let failed = || Outcome::Failed {
        reason: "no paint".into(),
        retry: false,
    };
    let mut request = start(Think::Fast, 2);
    planned(&mut request);
    let day = find(&request, JobKind::Render, "day", 1);
    run(&mut request, day, 0, failed());
    assert_eq!(request.state.reason(), Some("no paint"));

    let mut request = start(Think::Fast, 2);
    planned(&mut request);
    round(&mut request, 1, HALF);
    let day = find(&request, JobKind::Render, "day", 2);
    run(&mut request, day, 0, failed());
    assert_eq!(request.state, State::Succeeded);
    assert_eq!(request.best.unwrap().image, artifact(11));
}

#[test]
fn a_plan_alone_ends_with_it() {
    let ask = || {
        let new = NewRequest {
            id: RequestId::at(1, [7; 10]),
            seed: 42,
            think: Think::Full,
            max_rounds: 2,
            candidates: 1,
            limits: Limits::default(),
            direct_plan: artifact(1),
            given: None,
            plan_only: true,
        };
        Request::start(new, 0)
    };
    let mut request = ask();
    let job = request.jobs[0].id;
    let outcome = Outcome::Planned {
        artifact: artifact(5),
        graph: day_and_night(),
    };
    run(&mut request, job, 0, outcome);
    assert_eq!(request.state, State::Succeeded);
    assert_eq!(request.plan.map(|plan| plan.artifact), Some(artifact(5)));
    assert_eq!((request.jobs.len(), request.best), (1, None));

    let mut request = ask();
    let outcome = Outcome::Failed {
        reason: "no words".into(),
        retry: false,
    };
    run(&mut request, job, 0, outcome);
    assert!(matches!(request.state, State::Failed { .. }), "{request:?}");
    assert_eq!((request.jobs.len(), request.plan), (1, None));
}

#[test]
fn a_given_plan_is_carried_out_without_planning() {
    let new = NewRequest {
        id: RequestId::at(1, [7; 10]),
        seed: 42,
        think: Think::Fast,
        max_rounds: 2,
        candidates: 1,
        limits: Limits::default(),
        direct_plan: artifact(1),
        given: Some(day_and_night()),
        plan_only: false,
    };
    let request = Request::start(new, 0);
    let kinds: Vec<_> = request
        .jobs
        .iter()
        .map(|job| (job.kind, job.stage_id()))
        .collect();
    assert_eq!(
        kinds,
        [
            (JobKind::Render, "day"),
            (JobKind::Render, "night"),
            (JobKind::Critique, "")
        ]
    );
    let plan = request.plan.unwrap();
    assert_eq!((plan.artifact, plan.checks), (artifact(1), 2));
}

fn mendable(score: Score) -> Findings {
    let fix = |n: u32| Fix {
        kind: FixKind::Add,
        element: Some(format!("thing-{n}")),
        noun: "thing".into(),
        bbox: BBox([0.0, 0.0, 0.5, 0.5]),
        instruction: "a thing".into(),
        checks: vec![format!("k{n}")],
    };
    Findings {
        fixes: (1..=score.fail).map(fix).collect(),
        sentences: vec!["k1: no thing was found".into()],
        ..failed(score)
    }
}

/// A plan of one stage with `checks` checks is made.
fn planned_alone(request: &mut Request, checks: usize) {
    let mut plan = Plan::direct("a cat");
    for k in 1..=checks {
        plan.checks.push(Check {
            id: format!("k{k}"),
            question: Question::Text {
                expect: "cat".into(),
            },
        });
    }
    let plans = |job: &&crate::Job| job.kind == JobKind::Plan && !job.state.is_terminal();
    let job = request.jobs.iter().find(plans).unwrap().id;
    let outcome = Outcome::Planned {
        artifact: artifact(50 + request.round as u8),
        graph: Graph::of(&plan).unwrap(),
    };
    run(request, job, 0, outcome);
}

/// Draws what is ready one after another, then answers the checks of `candidate`.
fn look(request: &mut Request, candidate: u32, image: u8, score: Score, findings: Findings) {
    let round = request.round;
    let ready = |request: &Request| {
        let is_ready = |job: &&crate::Job| matches!(job.state, JobState::Ready { .. });
        let mut renders = request.renders(round, candidate);
        renders.find(is_ready).map(|job| job.id)
    };
    let mut next = image;
    while let Some(job) = ready(request) {
        let image = artifact(next);
        run(request, job, 0, Outcome::Rendered { image });
        next += 1;
    }
    let of_candidate = |job: &&crate::Job| job.candidate == candidate;
    let job = request.critiques(round).find(of_candidate).unwrap().id;
    let outcome = Outcome::Reviewed {
        artifact: artifact(3),
        score,
        findings,
    };
    run(request, job, 0, outcome);
}

fn actions(request: &Request) -> Vec<(u32, Action)> {
    let decisions = request.decisions.iter();
    decisions
        .map(|decision| (decision.round, decision.action))
        .collect()
}

const MOST: Score = Score {
    pass: 2,
    fail: 2,
    unknown: 0,
};

#[test]
fn a_repair_mends_boxes_of_the_best_picture_one_after_another() {
    let mut request = start(Think::Fast, 4);
    planned_alone(&mut request, 4);
    look(&mut request, 1, 10, MOST, mendable(MOST));
    assert_eq!(actions(&request), [(1, Action::Repair)]);
    let first = find(&request, JobKind::Render, "repair-2-1", 2);
    let second = find(&request, JobKind::Render, "repair-2-2", 2);
    let job = |id| request.job(id).unwrap();
    assert_eq!(request.pictures_read_by(job(first)), [artifact(10)]);
    assert_eq!(job(second).state, JobState::Waiting);
    let fixed = |id| &job(id).repair.as_ref().unwrap().fix.checks;
    assert_eq!(
        (fixed(first), fixed(second)),
        (&vec!["k1".to_owned()], &vec!["k2".to_owned()])
    );

    // It broke something: the next drawing is a new one of the plan's stages, and the picture before the repair is still the best.
    let worse = Score {
        pass: 1,
        fail: 3,
        unknown: 0,
    };
    look(&mut request, 1, 20, worse, mendable(worse));
    assert_eq!(
        actions(&request),
        [(1, Action::Repair), (2, Action::Redraw)]
    );
    assert_eq!(request.best.unwrap().image, artifact(10));
    let drawn: Vec<&str> = request.renders(3, 1).map(crate::Job::stage_id).collect();
    assert_eq!(drawn, ["out"]);

    // The same failed after both.
    look(&mut request, 1, 30, worse, mendable(worse));
    let last = request.decisions.last().unwrap();
    assert_eq!(
        (last.action, &last.checks),
        (Action::Replan, &vec!["k1".to_owned(), "k2".to_owned()])
    );
    assert_eq!(request.findings.sentences.len(), 1);
    planned_alone(&mut request, 5);
    let better = Score {
        pass: 4,
        fail: 1,
        unknown: 0,
    };
    look(&mut request, 1, 40, better, mendable(better));
    assert_eq!(request.state, State::Succeeded);
    assert_eq!(request.best.unwrap().image, artifact(40));
    assert_eq!(request.plan.unwrap().artifact, artifact(54));
    assert_eq!(request.decisions.last().unwrap().action, Action::Stop);
    assert_eq!(request.cost().plan_ms, 200);
    assert_eq!(request.cost().repair_ms, 200);
}

#[test]
fn light_is_changed_by_an_edit_before_boxes_are_painted_in_it() {
    let mut request = start(Think::Fast, 2);
    planned_alone(&mut request, 4);
    let mut findings = mendable(MOST);
    findings.fixes[0].kind = FixKind::Relight;
    look(&mut request, 1, 10, MOST, findings);
    let last = request.decisions.last().unwrap();
    assert_eq!(last.action, Action::Repair, "{last:?}");
    assert!(
        last.reason
            .contains("another light for, then repainting one box of")
    );
    let ops: Vec<(&str, &[String])> = request
        .renders(2, 1)
        .filter_map(|job| job.stage.as_ref())
        .map(|stage| (stage.op.as_str(), stage.inputs.as_slice()))
        .collect();
    let relit = ["repair-2-1".to_owned()];
    assert_eq!(ops, [("edit", &[][..]), ("repair", &relit[..])]);
    let first = find(&request, JobKind::Render, "repair-2-1", 2);
    let first = request.job(first).unwrap();
    assert_eq!(request.pictures_read_by(first), [artifact(10)]);
}

#[test]
fn a_blended_picture_is_mended_like_any_other() {
    let mut request = start(Think::Fast, 2);
    planned(&mut request);
    let score = Score {
        pass: 1,
        fail: 1,
        unknown: 0,
    };
    look(&mut request, 1, 10, score, mendable(score));
    assert_eq!(actions(&request), [(1, Action::Repair)]);
    let mended = find(&request, JobKind::Render, "repair-2-1", 2);
    let mended = request.job(mended).unwrap();
    assert_eq!(
        request.pictures_read_by(mended),
        [request.best.unwrap().image]
    );
}

#[test]
fn what_was_planned_again_in_vain_leaves_picture_and_plan_as_they_were() {
    let mut request = start(Think::Fast, 2);
    planned_alone(&mut request, 2);
    let findings = Findings {
        contradictory: vec!["k1".into()],
        ..failed(HALF)
    };
    look(&mut request, 1, 10, HALF, findings);
    assert_eq!(actions(&request), [(1, Action::Replan)]);
    let mut other = request.clone();
    planned_alone(&mut request, 4);
    look(&mut request, 1, 20, MOST, failed(MOST));
    assert_eq!(
        (request.state.clone(), request.plan.unwrap().artifact),
        (State::Succeeded, artifact(51))
    );
    assert_eq!(
        request.best.unwrap().image,
        artifact(10),
        "half of the checks is no more than half"
    );

    let job = find(&other, JobKind::Plan, "", 2);
    let reason = "no words".into();
    run(
        &mut other,
        job,
        0,
        Outcome::Failed {
            reason,
            retry: false,
        },
    );
    assert_eq!(other.state, State::Succeeded);
    let last = other.decisions.last().unwrap();
    assert!(
        last.action == Action::Stop && last.reason.contains("no words"),
        "{last:?}"
    );
}

#[test]
fn a_budget_that_is_used_ends_it_with_the_best_picture() {
    for limits in [
        Limits {
            cost_ms: Some(300),
            time_ms: None,
        },
        Limits {
            cost_ms: None,
            time_ms: Some(0),
        },
    ] {
        let mut request = start(Think::Fast, 4);
        request.limits = limits;
        planned_alone(&mut request, 2);
        look(&mut request, 1, 10, HALF, mendable(HALF));
        assert_eq!(request.state, State::Succeeded);
        assert_eq!(actions(&request), [(1, Action::Stop)]);
        assert!(
            request.decisions[0].reason.contains(" s "),
            "{:?}",
            request.decisions
        );
    }
    // Planning again used what was left: what it planned is not drawn.
    let mut request = start(Think::Fast, 4);
    request.limits.cost_ms = Some(350);
    planned_alone(&mut request, 2);
    let hopeless = Findings {
        contradictory: vec!["k1".into()],
        ..failed(HALF)
    };
    look(&mut request, 1, 10, HALF, hopeless);
    assert_eq!(actions(&request), [(1, Action::Replan)]);
    planned_alone(&mut request, 2);
    assert_eq!(request.state, State::Succeeded);
    assert_eq!(actions(&request), [(1, Action::Replan), (2, Action::Stop)]);
    assert_eq!(request.best.unwrap().image, artifact(10));
    assert_eq!(request.plan.unwrap().artifact, artifact(51));
    assert_eq!(request.renders(2, 1).count(), 0);

    let mut request = start(Think::Fast, 4);
    request.limits = Limits {
        cost_ms: Some(301),
        time_ms: Some(1),
    };
    planned_alone(&mut request, 2);
    look(&mut request, 1, 10, HALF, mendable(HALF));
    assert_eq!(request.state, State::Active);
}

/// A request whose first picture was looked at, with another drawing of it dispatched, and `limits` from then on.
fn waiting_for_round_two(limits: Limits) -> (Request, JobId) {
    let mut request = start(Think::Fast, 4);
    planned_alone(&mut request, 2);
    look(&mut request, 1, 10, HALF, failed(HALF));
    assert_eq!(actions(&request), [(1, Action::Redraw)]);
    request.limits = limits;
    let job = request.renders(2, 1).next().unwrap().id;
    request
        .apply(Event::Dispatched { job }, 5, &POLICY)
        .unwrap();
    (request, job)
}

#[test]
fn a_round_that_waits_when_its_time_is_over_is_not_begun() {
    let limits = Limits {
        time_ms: Some(1_000),
        cost_ms: None,
    };
    let (mut request, job) = waiting_for_round_two(limits);
    let early = request.apply(Event::LimitsChecked, 999, &POLICY);
    assert_eq!(early, Err(NotApplied::Superseded));
    let mut begun = request.clone();
    let effects = request.apply(Event::LimitsChecked, 1_000, &POLICY).unwrap();
    assert_eq!(
        effects,
        [Effect::StopWork(job), Effect::Ended(State::Succeeded)]
    );
    assert_eq!(request.job(job).unwrap().state, JobState::Canceled);
    assert_eq!(actions(&request), [(1, Action::Redraw), (2, Action::Stop)]);
    let reason = &request.decisions[1].reason;
    assert!(reason.contains("its 1 s are over"), "{reason}");
    assert_eq!(request.best.unwrap().image, artifact(10));

    // In a worker's hands it goes on, and what is drawn is looked at.
    let alive = Event::Alive {
        job,
        attempt: 1,
        worker: worker(1),
        begun: false,
    };
    begun.apply(alive, 900, &POLICY).unwrap();
    let refused = |request: &mut Request| request.apply(Event::LimitsChecked, 2_000, &POLICY);
    assert!(refused(&mut begun).is_err());
    let mut lost = begun.clone();
    let drawn = Outcome::Rendered {
        image: artifact(20),
    };
    let report = |outcome| Event::Reported {
        job,
        attempt: 1,
        worker: worker(1),
        device_ms: 5,
        outcome,
    };
    begun.apply(report(drawn), 2_000, &POLICY).unwrap();
    assert!(refused(&mut begun).is_err());
    assert_eq!(begun.state, State::Active);
    // One that comes back to the queue stays there no longer.
    lost.apply(report(Outcome::Returned), 2_000, &POLICY)
        .unwrap();
    assert_eq!(lost.state, State::Succeeded);
}

#[test]
fn an_attempt_that_used_the_rest_of_the_cost_is_the_last() {
    let limits = Limits {
        time_ms: None,
        cost_ms: Some(5_000),
    };
    for (device_ms, state) in [(4_000, State::Active), (5_000, State::Succeeded)] {
        let (mut request, job) = waiting_for_round_two(limits);
        let failed = Event::Reported {
            job,
            attempt: 1,
            worker: worker(1),
            device_ms,
            outcome: Outcome::Failed {
                reason: "no memory".into(),
                retry: true,
            },
        };
        request.apply(failed, 6, &POLICY).unwrap();
        assert_eq!(request.state, state);
    }
}

#[test]
fn the_best_candidate_goes_on_and_a_lost_one_is_left_out() {
    let mut request = start(Think::Fast, 2);
    request.candidates = 3;
    planned_alone(&mut request, 4);
    let mut seeds: Vec<u64> = request
        .renders(1, 1)
        .chain(request.renders(1, 2))
        .chain(request.renders(1, 3))
        .map(|job| job.seed)
        .collect();
    assert_eq!(seeds[0], 42, "the first one is drawn as it would be alone");
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), 3);
    look(
        &mut request,
        1,
        10,
        Score {
            pass: 1,
            fail: 3,
            unknown: 0,
        },
        failed(MOST),
    );
    assert_eq!(request.decisions, [], "the others are not looked at yet");
    look(&mut request, 2, 20, MOST, mendable(MOST));
    let third = request.renders(1, 3).next().unwrap().id;
    let reason = "no paint".into();
    run(
        &mut request,
        third,
        0,
        Outcome::Failed {
            reason,
            retry: false,
        },
    );
    assert_eq!(request.notes, ["candidate 3 could not be drawn: no paint"]);
    assert_eq!(actions(&request), [(1, Action::Repair)]);
    let first = find(&request, JobKind::Render, "repair-2-1", 2);
    assert_eq!(
        request.pictures_read_by(request.job(first).unwrap()),
        [artifact(20)]
    );

    // One that passes ends it, whatever the others are at.
    let mut request = start(Think::Fast, 2);
    request.candidates = 2;
    planned_alone(&mut request, 2);
    look(&mut request, 2, 20, ALL, Findings::default());
    assert_eq!(
        (request.state.clone(), request.best.unwrap().image),
        (State::Succeeded, artifact(20))
    );
}
