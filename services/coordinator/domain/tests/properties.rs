//! Whatever happens in whatever order, also twice and too late: the invariants hold, and a request that is worked on ends.

use atelier_domain::{
    Delta, Event, Graph, Job, JobState, Limits, NewRequest, Outcome, Policy, Request, State,
    invariants,
};
use atelier_proto::{
    ArtifactRef, JobId, MediaType, RequestId, Sha256, WorkerId,
    job::{JobKind, Think},
    plan::{BBox, Check, Mask, Plan, Question, Stage, StageOp},
    review::{Action, Findings, Fix, FixKind, Score},
};
use proptest::prelude::*;
use uuid::Uuid;

/// One thing that happens; `job` picks one of the jobs there are.
#[derive(Clone, Debug)]
enum Op {
    Dispatch {
        job: usize,
    },
    Alive {
        job: usize,
        worker: u8,
        begun: bool,
    },
    Succeed {
        job: usize,
        stale: u32,
        pass: u32,
        fail: u32,
        stages: usize,
        fixes: usize,
    },
    Fail {
        job: usize,
        stale: u32,
        worker: u8,
        retry: bool,
    },
    Outage {
        job: usize,
    },
    Return {
        job: usize,
    },
    Lose {
        job: usize,
    },
    Wait {
        ms: u64,
    },
    CheckLimits,
    Cancel,
}

fn op() -> impl Strategy<Value = Op> {
    let job = 0..12_usize;
    let stale = prop_oneof![4 => Just(0_u32), 1 => 1..3_u32];
    prop_oneof![
        8 => job.clone().prop_map(|job| Op::Dispatch { job }),
        3 => (job.clone(), 0..4_u8, any::<bool>()).prop_map(|(job, worker, begun)| Op::Alive { job, worker, begun }),
        8 => (job.clone(), stale.clone(), 0..4_u32, 0..3_u32, 1..4_usize, 0..6_usize)
            .prop_map(|(job, stale, pass, fail, stages, fixes)| Op::Succeed { job, stale, pass, fail, stages, fixes }),
        3 => (job.clone(), stale, 0..4_u8, any::<bool>())
            .prop_map(|(job, stale, worker, retry)| Op::Fail { job, stale, worker, retry }),
        1 => job.clone().prop_map(|job| Op::Outage { job }),
        1 => job.clone().prop_map(|job| Op::Return { job }),
        1 => job.prop_map(|job| Op::Lose { job }),
        4 => (0..20_000_u64).prop_map(|ms| Op::Wait { ms }),
        2 => Just(Op::CheckLimits),
        1 => Just(Op::Cancel),
    ]
}

fn artifact(n: u64, media_type: MediaType) -> ArtifactRef {
    let mut sha256 = [0; 32];
    sha256[..8].copy_from_slice(&n.to_le_bytes());
    ArtifactRef {
        sha256: Sha256(sha256),
        bytes: 1,
        media_type,
    }
}

/// A chain of `stages` whose last one blends when it can, with four checks.
fn plan(stages: usize) -> Plan {
    let mut plan = Plan::direct("a cat");
    plan.stages.clear();
    for index in 0..stages {
        let id = format!("s{index}");
        let op = match index {
            0 => StageOp::Generate {
                caption: String::new(),
            },
            1 => StageOp::Edit {
                input: "s0".into(),
                instruction: "night".into(),
                strength: 0.5,
            },
            _ => StageOp::Blend {
                inputs: vec![format!("s{}", index - 2), format!("s{}", index - 1)],
                mask: Mask::Linear {
                    angle: 0.0,
                    from: 0.3,
                    to: 0.7,
                },
            },
        };
        plan.stages.push(Stage { id, op });
    }
    plan.checks = (0..4)
        .map(|k| Check {
            id: format!("k{k}"),
            question: Question::Count {
                noun: "cat".into(),
                expect: 1,
            },
        })
        .collect();
    plan
}

fn start(think: Think, max_rounds: u32, candidates: u32, limits: Limits) -> Request {
    let new = NewRequest {
        id: RequestId::from_uuid(Uuid::from_u128(7)),
        seed: 11,
        think,
        max_rounds,
        candidates,
        limits,
        direct_plan: artifact(0, MediaType::Json),
        given: None,
        plan_only: false,
    };
    Request::start(new, 0)
}

fn worker(n: u8) -> WorkerId {
    WorkerId::from_uuid(Uuid::from_u128(u128::from(n) + 1))
}

/// What is wrong where `fail` checks failed: so many boxes that would mend it; five are two that belong together and three alone, six contradict.
fn findings(fail: u32, fixes: usize) -> Findings {
    if fail == 0 {
        return Findings::default();
    }
    let failed: Vec<String> = (0..fail).map(|k| format!("k{k}")).collect();
    let fix = |n: usize| Fix {
        kind: [FixKind::Relight, FixKind::Add, FixKind::Recolor][n % 3],
        element: Some(format!("thing-{}", n.max(1))),
        noun: "thing".into(),
        bbox: BBox([0.0, 0.25, 0.5, 0.75]),
        instruction: "a thing".into(),
        checks: failed.clone(),
    };
    Findings {
        contradictory: if fixes == 5 {
            failed.clone()
        } else {
            Vec::new()
        },
        fixes: (0..fixes).map(fix).collect(),
        sentences: vec!["no thing was found".into()],
        failed,
    }
}

/// The outcome of `job` if it works out.
fn success(
    kind: JobKind,
    (pass, fail, fixes): (u32, u32, usize),
    stages: usize,
    nonce: u64,
) -> Outcome {
    match kind {
        JobKind::Plan => Outcome::Planned {
            artifact: artifact(nonce, MediaType::Json),
            graph: Graph::of(&plan(stages)).expect("the plan above is valid"),
        },
        JobKind::Render => Outcome::Rendered {
            image: artifact(nonce, MediaType::Png),
        },
        JobKind::Critique => {
            let pass = pass.min(4);
            let fail = fail.min(4 - pass);
            let score = Score {
                pass,
                fail,
                unknown: 4 - pass - fail,
            };
            Outcome::Reviewed {
                artifact: artifact(nonce, MediaType::Json),
                score,
                findings: findings(fail, fixes),
            }
        }
    }
}

fn event_of(op: &Op, request: &Request, nonce: u64) -> Event {
    let pick = |index: usize| &request.jobs[index % request.jobs.len()];
    match *op {
        Op::Dispatch { job } => Event::Dispatched { job: pick(job).id },
        Op::Alive {
            job,
            worker: n,
            begun,
        } => Event::Alive {
            job: pick(job).id,
            attempt: pick(job).attempt,
            worker: worker(n),
            begun,
        },
        Op::Succeed {
            job,
            stale,
            pass,
            fail,
            stages,
            fixes,
        } => Event::Reported {
            job: pick(job).id,
            attempt: pick(job).attempt.saturating_sub(stale),
            worker: worker(0),
            device_ms: 7,
            outcome: success(pick(job).kind, (pass, fail, fixes), stages, nonce),
        },
        Op::Fail {
            job,
            stale,
            worker: n,
            retry,
        } => Event::Reported {
            job: pick(job).id,
            attempt: pick(job).attempt.saturating_sub(stale),
            worker: worker(n),
            device_ms: 7,
            outcome: Outcome::Failed {
                reason: "no memory".into(),
                retry,
            },
        },
        Op::Outage { job } => Event::Reported {
            job: pick(job).id,
            attempt: pick(job).attempt,
            worker: worker(0),
            device_ms: 7,
            outcome: Outcome::Outage {
                reason: "the store is away".into(),
            },
        },
        Op::Return { job } => Event::Reported {
            job: pick(job).id,
            attempt: pick(job).attempt,
            worker: worker(0),
            device_ms: 7,
            outcome: Outcome::Returned,
        },
        Op::Lose { job } => Event::MessageLost {
            job: pick(job).id,
            attempt: pick(job).attempt,
        },
        Op::Wait { .. } => Event::LeasesChecked,
        Op::CheckLimits => Event::LimitsChecked,
        Op::Cancel => Event::Canceled {
            reason: "by the user".into(),
        },
    }
}

/// Applies `event` twice; checks every rule after each.
fn apply_checked(request: &mut Request, event: &Event, now: u64) -> Result<(), TestCaseError> {
    let policy = Policy::default();
    for _ in 0..2 {
        let before = request.clone();
        let applied = request.apply(event.clone(), now, &policy);
        invariants::check(request)
            .map_err(|violation| TestCaseError::fail(violation.to_string()))?;
        invariants::check_step(&before, request)
            .map_err(|violation| TestCaseError::fail(violation.to_string()))?;
        let delta = Delta::between(&before, request);
        match applied {
            Err(_) => prop_assert!(delta.is_empty(), "refused events change nothing"),
            Ok(_) => prop_assert!(
                !delta.is_empty() || matches!(event, Event::Alive { .. }),
                "applied events change something"
            ),
        }
    }
    Ok(())
}

/// Whether a limit is used, there is a picture that was looked at, and nothing of another one was begun.
fn is_over(request: &Request, now: u64) -> bool {
    let used = |used: u64, limit: Option<u64>| limit.is_some_and(|limit| used >= limit);
    let Limits { time_ms, cost_ms } = request.limits;
    let spent = used(now, time_ms) || used(request.cost().total_ms(), cost_ms);
    let begun = request.jobs.iter().any(|job| match job.state {
        JobState::Dispatched { worker, .. } => worker.is_some() || drawn_beside(request, job),
        JobState::Waiting | JobState::Ready { .. } => drawn_beside(request, job),
        _ => false,
    });
    let looked_at = request.best.is_some_and(|best| best.score.is_some());
    request.state == State::Active && looked_at && spent && !begun
}

/// Whether something of the picture that `job` belongs to is drawn.
fn drawn_beside(request: &Request, job: &Job) -> bool {
    let same = |other: &&Job| (other.round, other.candidate) == (job.round, job.candidate);
    let mut beside = request.jobs.iter().filter(same);
    beside.any(|other| other.picture().is_some())
}

/// Works like a farm without faults until nothing is left to do; returns the number of steps.
fn finish(request: &mut Request, mut now: u64, fail: u32) -> Result<u32, TestCaseError> {
    let policy = Policy::default();
    for step in 0..500 {
        if request.state != State::Active {
            return Ok(step);
        }
        let Some(job) = request
            .jobs
            .iter()
            .find(|job| !job.state.is_terminal() && job.state != JobState::Waiting)
        else {
            return Err(TestCaseError::fail("stuck"));
        };
        let (job, attempt, kind) = (job.id, job.attempt, job.kind);
        let event = match &request.job(job).expect("picked above").state {
            JobState::Ready { not_before } => {
                now = now.max(*not_before);
                Event::Dispatched { job }
            }
            _ => Event::Reported {
                job,
                attempt,
                worker: worker(0),
                device_ms: 7,
                outcome: success(
                    kind,
                    (1, fail, step as usize % 6),
                    3,
                    1_000 + u64::from(step),
                ),
            },
        };
        request
            .apply(event, now, &policy)
            .map_err(|refused| TestCaseError::fail(refused.to_string()))?;
        invariants::check(request)
            .map_err(|violation| TestCaseError::fail(violation.to_string()))?;
    }
    Err(TestCaseError::fail("did not end in 500 steps"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn invariants_hold_and_requests_end(
        off in any::<bool>(),
        max_rounds in 0..7_u32,
        candidates in 0..6_u32,
        cost in prop::option::of(0..60_u64),
        time in prop::option::of(1..100_000_u64),
        ops in prop::collection::vec(op(), 0..120),
        fail in 0..2_u32,
    ) {
        let think = if off { Think::Off } else { Think::Fast };
        let limits = Limits { time_ms: time, cost_ms: cost };
        let mut request = start(think, max_rounds, candidates, limits);
        invariants::check(&request).unwrap();
        let mut now = 0;
        for (nonce, op) in ops.iter().enumerate() {
            if let Op::Wait { ms } = op {
                now += ms;
            }
            let event = event_of(op, &request, nonce as u64 + 1);
            let before = request.clone();
            apply_checked(&mut request, &event, now)?;
            if matches!(op, Op::CheckLimits) {
                match is_over(&before, now) {
                    true => prop_assert_eq!(&request.state, &State::Succeeded),
                    false => prop_assert_eq!(&request, &before),
                }
                prop_assert_eq!(request.best, before.best);
            }
        }
        finish(&mut request, now, fail)?;
        prop_assert!(request.state != State::Active);
        // Whoever gets a picture with a failed check is told why there is no better one.
        let failed = request.best.and_then(|best| best.score).is_some_and(|score| score.fail > 0);
        if request.state == State::Succeeded && failed {
            let last = request.decisions.last();
            prop_assert!(last.is_some_and(|last| last.action == Action::Stop), "{:?}", request.decisions);
        }
    }

    #[test]
    fn the_same_request_makes_the_same_jobs(seed in any::<u64>()) {
        let new = NewRequest {
            id: RequestId::from_uuid(Uuid::from_u128(u128::from(seed))),
            seed,
            think: Think::Fast,
            max_rounds: 3,
            candidates: 2,
            limits: Limits::default(),
            direct_plan: artifact(0, MediaType::Json),
            given: None,
            plan_only: false,
        };
        let mut pair = [Request::start(new.clone(), 5), Request::start(new, 5)];
        for request in &mut pair {
            finish(request, 5, 1)?;
        }
        prop_assert_eq!(&pair[0], &pair[1]);
        let mut ids: Vec<JobId> = pair[0].jobs.iter().map(|job| job.id).collect();
        ids.sort();
        ids.dedup();
        prop_assert_eq!(ids.len(), pair[0].jobs.len());
        let mut seeds: Vec<u64> = pair[0].jobs.iter().filter(|j| j.kind == JobKind::Render).map(|j| j.seed).collect();
        seeds.sort_unstable();
        seeds.dedup();
        prop_assert_eq!(seeds.len(), pair[0].jobs.iter().filter(|j| j.kind == JobKind::Render).count());
    }
}
