//! An exhaustive walk: every state that small requests can get into, by every order of every event, until there is no new one. The invariants
//! hold in each, what is refused changes nothing, and from every active state an end can be reached.
//!
//! Attempt numbers, times and texts are made equal in states that are otherwise the same, so that there are finitely many. Time stands still: any
//! set of leases may run out at any moment.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
};

use atelier_domain::{
    Delta, Event, Graph, JobState, Limits, NewRequest, Outcome, Policy, Request, State, invariants,
};
use atelier_proto::{
    ArtifactRef, MediaType, RequestId, Sha256, WorkerId,
    job::{JobKind, Think},
    plan::{BBox, Check, Mask, Plan, Question, Stage, StageOp},
    review::{Findings, Fix, FixKind, Score},
};
use uuid::Uuid;

/// The moment at which everything happens.
const NOW: u64 = 1;
/// When leases end that have not run out.
const LATER: u64 = 2;
/// A walk that gets further than this has no end.
const MOST_STATES: usize = 2_000_000;
const POLICY: Policy = Policy {
    lease_ms: LATER - NOW,
    max_failures: 2,
    max_failed_workers: 2,
    max_losses: 2,
    backoff_ms: 0,
    max_backoff_ms: 0,
};

/// What kind of request is walked.
struct Shape {
    name: &'static str,
    think: Think,
    max_rounds: u32,
    candidates: u32,
    /// Boxes that a review says would mend a picture; 0 of a shape whose pictures are only drawn again.
    fixes: usize,
    /// Whether a review may say that no picture can pass.
    contradicts: bool,
    /// What its plan says, when there is one.
    graph: Graph,
    /// The user gave that plan.
    given: bool,
    plan_only: bool,
}

/// What a walk found.
#[derive(Debug, Default)]
struct Found {
    active: usize,
    succeeded: usize,
    failed: usize,
    canceled: usize,
    steps: usize,
    refused: usize,
    /// Events on the shortest way to the state that is furthest away.
    depth: usize,
}

fn artifact(n: u8, media_type: MediaType) -> ArtifactRef {
    ArtifactRef {
        sha256: Sha256([n; 32]),
        bytes: 1,
        media_type,
    }
}

fn worker(n: u8) -> WorkerId {
    WorkerId::from_uuid(Uuid::from_u128(u128::from(n)))
}

fn graph(stages: &[(&str, &[&str])], checks: usize) -> Graph {
    let mut plan = Plan::direct("a city");
    plan.stages = stages
        .iter()
        .map(|(id, inputs)| Stage {
            id: (*id).to_owned(),
            op: match inputs {
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
            },
        })
        .collect();
    plan.checks = (0..checks)
        .map(|k| Check {
            id: format!("k{k}"),
            question: Question::Text {
                expect: "city".into(),
            },
        })
        .collect();
    Graph::of(&plan).expect("the plans of this test are valid")
}

/// The same request with everything evened out that decides nothing any more.
fn canonical(mut request: Request) -> Request {
    request.notes.clear();
    for decision in &mut request.decisions {
        decision.reason.clear();
    }
    if let State::Failed { reason } | State::Canceled { reason } = &mut request.state {
        reason.clear();
    }
    for job in &mut request.jobs {
        match &mut job.state {
            JobState::Ready { not_before } => *not_before = NOW,
            JobState::Dispatched { lease_until, .. } => *lease_until = LATER,
            JobState::Failed { reason } => reason.clear(),
            JobState::Waiting | JobState::Done(_) | JobState::Canceled => {}
        }
        job.device_ms = 0;
        if job.state.is_terminal() {
            job.failures = 0;
            job.losses = 0;
            job.failed_on.clear();
        }
        let running = matches!(job.state, JobState::Dispatched { .. });
        job.attempt = job.failures + job.losses + u32::from(running);
    }
    request
}

fn key(request: &Request) -> (u64, u64) {
    let digest = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        request.hash(&mut hasher);
        hasher.finish()
    };
    (digest(0), digest(1))
}

/// What a review may say beside its counts.
fn findings(fail: u32, shape: &Shape) -> impl Iterator<Item = Findings> {
    let failed: Vec<String> = (0..fail).map(|k| format!("k{k}")).collect();
    let nothing = Findings {
        failed: failed.clone(),
        ..Findings::default()
    };
    let fix = |n: usize| Fix {
        kind: FixKind::Add,
        element: Some(format!("thing-{n}")),
        noun: "thing".into(),
        bbox: BBox([0.0, 0.0, 0.5, 0.5]),
        instruction: "a thing".into(),
        checks: failed.clone(),
    };
    let mendable = (fail > 0 && shape.fixes > 0).then(|| Findings {
        fixes: (0..shape.fixes).map(fix).collect(),
        ..nothing.clone()
    });
    let hopeless = (fail > 0 && shape.contradicts).then(|| Findings {
        contradictory: failed.clone(),
        ..nothing.clone()
    });
    [Some(nothing), mendable, hopeless].into_iter().flatten()
}

/// Everything that may be said about the job at `index`, right or wrong.
fn events_of_job(request: &Request, index: usize, shape: &Shape) -> Vec<Event> {
    let job = &request.jobs[index];
    let (id, kind) = (job.id, job.kind);
    let mut outcomes = vec![
        Outcome::Returned,
        Outcome::Outage {
            reason: "no store".into(),
        },
        Outcome::Failed {
            reason: "no memory".into(),
            retry: true,
        },
        Outcome::Failed {
            reason: "no such model".into(),
            retry: false,
        },
        Outcome::Planned {
            artifact: artifact(200, MediaType::Json),
            graph: shape.graph.clone(),
        },
        Outcome::Rendered {
            image: artifact(index as u8, MediaType::Png),
        },
    ];
    let checks = if kind == JobKind::Critique {
        shape.graph.checks()
    } else {
        1
    };
    for pass in 0..=checks {
        for fail in 0..=checks - pass {
            let score = Score {
                pass,
                fail,
                unknown: checks - pass - fail,
            };
            outcomes.extend(findings(fail, shape).map(|findings| Outcome::Reviewed {
                artifact: artifact(201, MediaType::Json),
                score,
                findings,
            }));
        }
    }
    let mut events = vec![Event::Dispatched { job: id }];
    for attempt in [job.attempt, job.attempt + 1, job.attempt.wrapping_sub(1)] {
        events.push(Event::MessageLost { job: id, attempt });
        for (n, begun) in [(1, false), (1, true), (2, false), (2, true)] {
            events.push(Event::Alive {
                job: id,
                attempt,
                worker: worker(n),
                begun,
            });
        }
        for n in [1, 2] {
            events.extend(outcomes.iter().map(|outcome| Event::Reported {
                job: id,
                attempt,
                worker: worker(n),
                device_ms: 1,
                outcome: outcome.clone(),
            }));
        }
    }
    events
}

/// Every event that may come now, with the request as the event finds it: leases may have run out before.
fn events(request: &Request, shape: &Shape) -> Vec<(Request, Event)> {
    let mut events: Vec<_> = (0..request.jobs.len())
        .flat_map(|index| events_of_job(request, index, shape))
        .chain([Event::Canceled {
            reason: "by the user".into(),
        }])
        .map(|event| (request.clone(), event))
        .collect();
    let running: Vec<_> = (0..request.jobs.len())
        .filter(|&index| matches!(request.jobs[index].state, JobState::Dispatched { .. }))
        .collect();
    for set in 0..1_u32 << running.len() {
        let mut late = request.clone();
        for (bit, &index) in running.iter().enumerate() {
            if let JobState::Dispatched { lease_until, .. } = &mut late.jobs[index].state
                && set & (1 << bit) != 0
            {
                *lease_until = NOW;
            }
        }
        events.push((late, Event::LeasesChecked));
    }
    events
}

/// Applies `event` and checks everything that must hold; the state after it when it was not refused.
fn step(before: &Request, event: &Event) -> Option<Request> {
    let mut after = before.clone();
    let applied = after.apply(event.clone(), NOW, &POLICY);
    if applied.is_err() {
        assert!(
            Delta::between(before, &after).is_empty() && *before == after,
            "{event:?} was refused and changed something: {before:?}"
        );
        return None;
    }
    if let Err(violation) =
        invariants::check(&after).and_then(|()| invariants::check_step(before, &after))
    {
        panic!("{violation}, after {event:?} of {before:?}");
    }
    Some(after)
}

fn walk(shape: &Shape) -> Found {
    let start = Request::start(
        NewRequest {
            id: RequestId::from_uuid(Uuid::from_u128(7)),
            seed: 11,
            think: shape.think,
            max_rounds: shape.max_rounds,
            candidates: shape.candidates,
            limits: Limits::default(),
            direct_plan: artifact(202, MediaType::Json),
            given: shape.given.then(|| shape.graph.clone()),
            plan_only: shape.plan_only,
        },
        NOW,
    );
    invariants::check(&start).expect("a request starts well");
    let mut found = Found::default();
    let mut known = HashMap::from([(key(&canonical(start.clone())), 0_u32)]);
    let mut frontier = VecDeque::from([(canonical(start), 0_u32, 0_usize)]);
    let mut came_from: Vec<Vec<u32>> = vec![Vec::new()];
    let mut ends = Vec::new();
    while let Some((request, number, depth)) = frontier.pop_front() {
        found.depth = depth;
        match request.state {
            State::Active => found.active += 1,
            State::Succeeded => found.succeeded += 1,
            State::Failed { .. } => found.failed += 1,
            State::Canceled { .. } => found.canceled += 1,
        }
        if request.state != State::Active {
            ends.push(number);
        }
        for (before, event) in events(&request, shape) {
            let Some(after) = step(&before, &event) else {
                found.refused += 1;
                continue;
            };
            found.steps += 1;
            let after = canonical(after);
            let next = came_from.len() as u32;
            let to = *known.entry(key(&after)).or_insert_with(|| {
                came_from.push(Vec::new());
                frontier.push_back((after, next, depth + 1));
                next
            });
            came_from[to as usize].push(number);
        }
        assert!(
            known.len() < MOST_STATES,
            "{}: no end of states",
            shape.name
        );
    }
    let mut ending = vec![false; came_from.len()];
    while let Some(number) = ends.pop() {
        if !std::mem::replace(&mut ending[number as usize], true) {
            ends.extend(&came_from[number as usize]);
        }
    }
    assert!(
        ending.iter().all(|&reaches| reaches),
        "{}: from {} states no end can be reached",
        shape.name,
        ending.iter().filter(|&&reaches| !reaches).count()
    );
    found
}

fn shapes() -> [Shape; 11] {
    let fast = |name, max_rounds, graph| Shape {
        name,
        think: Think::Fast,
        max_rounds,
        candidates: 1,
        fixes: 0,
        contradicts: false,
        graph,
        given: false,
        plan_only: false,
    };
    [
        Shape {
            name: "the prompt alone",
            think: Think::Off,
            max_rounds: 2,
            candidates: 1,
            fixes: 0,
            contradicts: false,
            graph: Graph::direct(),
            given: false,
            plan_only: false,
        },
        Shape {
            plan_only: true,
            ..fast("a plan alone", 1, graph(&[("out", &[])], 1))
        },
        Shape {
            given: true,
            ..fast(
                "a given plan, one check, two rounds",
                2,
                graph(&[("out", &[])], 1),
            )
        },
        fast("one stage without checks", 2, graph(&[("out", &[])], 0)),
        fast(
            "one stage, two checks, one round",
            1,
            graph(&[("out", &[])], 2),
        ),
        fast(
            "one stage, two checks, three rounds",
            3,
            graph(&[("out", &[])], 2),
        ),
        fast(
            "a stage after another, one check, two rounds",
            2,
            graph(&[("day", &[]), ("night", &["day"])], 1),
        ),
        fast(
            "two stages blended, one check, two rounds",
            2,
            graph(
                &[("day", &[]), ("night", &[]), ("out", &["day", "night"])],
                1,
            ),
        ),
        Shape {
            fixes: 2,
            ..fast(
                "one stage, two checks, two boxes to mend, three rounds",
                3,
                graph(&[("out", &[])], 2),
            )
        },
        Shape {
            contradicts: true,
            ..fast(
                "one stage, two checks that may contradict each other, two rounds",
                2,
                graph(&[("out", &[])], 2),
            )
        },
        Shape {
            candidates: 2,
            ..fast(
                "two candidates, one check, one round",
                1,
                graph(&[("out", &[])], 1),
            )
        },
    ]
}

#[test]
fn every_state_of_small_requests_is_sound_and_can_end() {
    for shape in shapes() {
        let found = walk(&shape);
        println!(
            "{}: {} active states and {} ends ({} succeeded, {} failed, {} canceled), {} steps between them, {} refused events, at most {} events deep",
            shape.name,
            found.active,
            found.succeeded + found.failed + found.canceled,
            found.succeeded,
            found.failed,
            found.canceled,
            found.steps,
            found.refused,
            found.depth,
        );
        assert!(
            found.succeeded > 0 && found.failed > 0 && found.canceled > 0,
            "{}: {found:?}",
            shape.name
        );
    }
}
