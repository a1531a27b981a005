use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

fn job(n: u64) -> JobId {
    JobId::at(n, [0; 10])
}

fn request(n: u64) -> RequestId {
    RequestId::at(n, [0; 10])
}

#[test]
fn a_second_delivery_of_a_held_attempt_is_not_taken_again() {
    let mut ledger = Ledger::default();
    assert_eq!(
        ledger.decide(job(1), 1, request(1)),
        Decision::Take { stop: None }
    );
    assert_eq!(ledger.decide(job(1), 1, request(1)), Decision::Again);
}

#[test]
fn a_newer_attempt_stops_the_older_and_the_older_is_past_then() {
    let mut ledger = Ledger::default();
    ledger.decide(job(1), 1, request(1));
    assert_eq!(
        ledger.decide(job(1), 3, request(1)),
        Decision::Take { stop: Some(1) }
    );
    assert_eq!(ledger.decide(job(1), 2, request(1)), Decision::Past);
    // The end of the older attempt does not let go of the newer.
    ledger.release(job(1), 1, true);
    assert_eq!(ledger.decide(job(1), 3, request(1)), Decision::Again);
    // Nor does the end of the newer make the older new again.
    ledger.release(job(1), 3, true);
    assert_eq!(ledger.decide(job(1), 2, request(1)), Decision::Past);
}

#[test]
fn a_settled_attempt_is_past_and_an_unsettled_one_is_taken_again() {
    let mut ledger = Ledger::default();
    ledger.decide(job(1), 1, request(1));
    ledger.release(job(1), 1, true);
    assert_eq!(ledger.decide(job(1), 1, request(1)), Decision::Past);
    ledger.decide(job(2), 1, request(1));
    ledger.release(job(2), 1, false);
    assert_eq!(
        ledger.decide(job(2), 1, request(1)),
        Decision::Take { stop: None }
    );
}

#[test]
fn a_job_of_a_canceled_request_is_not_worked_on() {
    let mut ledger = Ledger::default();
    ledger.cancel(request(1));
    assert_eq!(ledger.decide(job(1), 1, request(1)), Decision::Canceled);
    assert_eq!(
        ledger.decide(job(2), 1, request(2)),
        Decision::Take { stop: None }
    );
}

proptest! {
    #[test]
    fn no_attempt_is_taken_twice_while_it_is_held_or_after_it_was_settled(
        steps in prop::collection::vec((0_u64..3, 1_u32..4, 0_u8..4), 1..80)
    ) {
        let mut ledger = Ledger::default();
        let mut working: HashSet<(JobId, u32)> = HashSet::new();
        let mut settled: HashSet<(JobId, u32)> = HashSet::new();
        for (n, attempt, what) in steps {
            let key = (job(n), attempt);
            match what {
                0 | 1 => if let Decision::Take { stop } = ledger.decide(key.0, attempt, request(0)) {
                    prop_assert!(!settled.contains(&key));
                    prop_assert!(working.insert(key), "taken twice");
                    if let Some(older) = stop {
                        prop_assert!(older < attempt);
                    }
                },
                _ => if working.remove(&key) {
                    ledger.release(key.0, attempt, what == 2);
                    if what == 2 {
                        settled.insert(key);
                    }
                },
            }
        }
    }
}
