//! Random operations on a small farm; lists that once failed, or that a precaution is there for, are kept below with a name.

use atelier_simulate::small::{Answer, Broken, Care, Ends, Farm, Op, Publish};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

/// How many random lists are tried, unless this variable says another number.
const CASES: u32 = 2_000;
const CASES_VARIABLE: &str = "ATELIER_SIMULATION_CASES";

fn op() -> impl Strategy<Value = Op> {
    let few = || 0..2_usize;
    let many = || 0..24_usize;
    let ends = prop_oneof![
        6 => Just(Ends::Good),
        2 => Just(Ends::Poor),
        2 => any::<bool>().prop_map(|retry| Ends::Failed { retry }),
        1 => Just(Ends::Outage),
        1 => Just(Ends::Returned),
    ];
    let how = prop_oneof![
        8 => Just(Publish::Done),
        1 => Just(Publish::Unconfirmed),
        1 => Just(Publish::Vanished),
        1 => Just(Publish::Refused),
    ];
    let answer = prop_oneof![
        7 => Just(Answer::Heard),
        1 => Just(Answer::Unheard),
        1 => Just(Answer::Lost),
        1 => Just(Answer::Doubled),
    ];
    prop_oneof![
        3 => (0..4_usize).prop_map(|shape| Op::Submit { shape }),
        12 => (few(), many()).prop_map(|(coordinator, job)| Op::Claim { coordinator, job }),
        12 => (few(), many(), how).prop_map(|(coordinator, claim, how)| Op::Publish { coordinator, claim, how }),
        12 => (0..3_usize, many()).prop_map(|(worker, message)| Op::Deliver { worker, message }),
        12 => (0..3_usize, many(), ends).prop_map(|(worker, job, ends)| Op::Finish { worker, job, ends }),
        12 => (many(), answer).prop_map(|(report, answer)| Op::Report { report, answer }),
        4 => (0..3_usize, many()).prop_map(|(worker, device)| Op::Heartbeat { worker, device }),
        4 => few().prop_map(|coordinator| Op::Look { coordinator }),
        3 => few().prop_map(|coordinator| Op::Reconcile { coordinator }),
        3 => (0..12_000_u64).prop_map(|ms| Op::Wait { ms }),
        2 => (0..3_usize, many()).prop_map(|(worker, job)| Op::Repeat { worker, job }),
        1 => few().prop_map(|coordinator| Op::RestartCoordinator { coordinator }),
        1 => (0..3_usize).prop_map(|worker| Op::KillWorker { worker }),
        1 => many().prop_map(|message| Op::DropMessage { message }),
        1 => many().prop_map(|request| Op::Cancel { request }),
        1 => Just(Op::WipeStream),
    ]
}

/// Does all of it, then lets the farm work in peace until everything has ended.
fn run(care: Care, ops: &[Op]) -> Result<(), Broken> {
    let mut farm = Farm::new(care);
    for &op in ops {
        farm.step(op)?;
    }
    farm.settle()
}

#[test]
fn whatever_happens_in_whatever_order_every_promise_is_kept() {
    let cases = match std::env::var(CASES_VARIABLE) {
        Ok(text) => text.parse().expect("a number of cases"),
        Err(_) => CASES,
    };
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let lists = prop::collection::vec(op(), 1..160);
    TestRunner::new(config)
        .run(&lists, |ops| {
            run(Care::default(), &ops).map_err(|broken| TestCaseError::fail(broken.to_string()))
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
}

/// A message that waits in the stream.
const QUEUED: [Op; 4] = [
    Op::Submit { shape: 0 },
    Op::Look { coordinator: 0 },
    Op::Claim {
        coordinator: 0,
        job: 0,
    },
    Op::Publish {
        coordinator: 0,
        claim: 0,
        how: Publish::Done,
    },
];

#[test]
fn without_the_sweep_a_wiped_stream_leaves_its_requests_stuck() {
    let mut ops = QUEUED.to_vec();
    ops.push(Op::WipeStream);
    let careless = Care {
        sweep: false,
        ..Care::default()
    };
    assert!(matches!(run(careless, &ops), Err(Broken::Stuck(..))));
    assert_eq!(run(Care::default(), &ops), Ok(()));
}

#[test]
fn a_message_that_vanishes_behind_the_last_one_read_is_missed() {
    let mut ops = QUEUED.to_vec();
    // Written down as waiting, then gone: no later message moves the number up to which the role has read.
    ops.extend([Op::Look { coordinator: 0 }, Op::DropMessage { message: 0 }]);
    let careless = Care {
        empty_is_read: false,
        ..Care::default()
    };
    assert!(matches!(run(careless, &ops), Err(Broken::Stuck(..))));
    assert_eq!(run(Care::default(), &ops), Ok(()));
}

#[test]
fn a_withdrawal_that_hits_a_message_of_the_next_stream_is_made_up_for() {
    let publish = |coordinator| {
        [
            Op::Claim {
                coordinator,
                job: 0,
            },
            Op::Publish {
                coordinator,
                claim: 0,
                how: Publish::Done,
            },
        ]
    };
    let mut ops = vec![Op::Submit { shape: 0 }; 2];
    ops.push(Op::Look { coordinator: 0 });
    ops.extend(publish(0));
    ops.extend([Op::WipeStream, Op::Look { coordinator: 1 }]);
    ops.extend(publish(1));
    // The first coordinator has not seen that the stream is another one; both messages have the same number.
    ops.extend([Op::Look { coordinator: 1 }, Op::Cancel { request: 0 }]);
    let careless = Care {
        empty_is_read: false,
        ..Care::default()
    };
    assert!(matches!(run(careless, &ops), Err(Broken::Stuck(..))));
    assert_eq!(run(Care::default(), &ops), Ok(()));
}

#[test]
fn what_a_slow_worker_says_after_its_lease_changes_nothing() {
    let mut ops = QUEUED.to_vec();
    let take = |worker| Op::Deliver { worker, message: 0 };
    let finish = |worker| Op::Finish {
        worker,
        job: 0,
        ends: Ends::Good,
    };
    ops.extend([
        take(0),
        Op::Heartbeat {
            worker: 0,
            device: 0,
        },
        Op::Wait { ms: 10_000 },
        Op::Reconcile { coordinator: 0 },
        Op::Wait { ms: 250 },
    ]);
    ops.extend(&QUEUED[2..]);
    // The stream has only the second attempt's message left: the first was withdrawn.
    ops.extend([take(1), finish(1), finish(0)]);
    let mut farm = Farm::new(Care::default());
    for op in ops {
        farm.step(op).unwrap();
    }
    let late = Op::Report {
        report: 1,
        answer: Answer::Heard,
    };
    assert_eq!(farm.step(late), Ok(()));
    assert_eq!(farm.count(), (1, 1), "the first attempt does not end it");
    let current = Op::Report {
        report: 0,
        answer: Answer::Heard,
    };
    assert_eq!(farm.step(current), Ok(()));
    assert_eq!(farm.count(), (1, 0));
}
