use proptest::prelude::*;

use super::*;

const KIND: JobKind = JobKind::Render;

fn worker(n: u8) -> WorkerId {
    WorkerId::at(0, [n; 10])
}

fn job(n: u64) -> JobId {
    JobId::at(n, [0; 10])
}

fn quarantine() -> Quarantine {
    Quarantine::default()
}

#[test]
fn failures_that_others_then_did_are_the_workers_own() {
    let mut known = quarantine();
    for n in 0..3 {
        assert_eq!(known.kept_from(worker(1), KIND, n), None);
        known.failed(worker(1), KIND, job(n), &[], n);
        known.done(worker(2), KIND, job(n), &[worker(1)], n);
    }
    assert_eq!(known.kept_from(worker(1), KIND, 2), Some(30_000));
    assert_eq!(known.kept_from(worker(1), KIND, 30_001), Some(1));
    assert_eq!(known.kept_from(worker(1), KIND, 30_002), None);
    assert_eq!(known.kept_from(worker(1), JobKind::Plan, 2), None);
    assert_eq!(known.kept_from(worker(2), KIND, 2), None);
}

#[test]
fn many_failures_in_a_row_are_enough_and_one_success_in_between_is_not() {
    let mut known = quarantine();
    for n in 0..20 {
        if n % 5 == 4 {
            known.done(worker(1), KIND, job(n), &[], n);
        } else {
            known.failed(worker(1), KIND, job(n), &[], n);
        }
        assert_eq!(known.kept_from(worker(1), KIND, n), None);
    }
    for n in 20..25 {
        known.failed(worker(1), KIND, job(n), &[], n);
    }
    assert!(known.kept_from(worker(1), KIND, 24).is_some());
}

#[test]
fn one_job_again_and_again_is_one() {
    let mut known = quarantine();
    for now in 0..50 {
        known.failed(worker(1), KIND, job(1), &[worker(1)], now);
    }
    assert_eq!(known.kept_from(worker(1), KIND, 50), None);
}

#[test]
fn jobs_that_fail_everywhere_keep_nobody_from_anything() {
    let mut known = quarantine();
    for n in 0..100 {
        known.failed(worker(1), KIND, job(n), &[], n);
        known.failed(worker(2), KIND, job(n), &[worker(1)], n);
    }
    for n in 1..=2 {
        assert_eq!(known.kept_from(worker(n), KIND, 100), None);
    }
}

#[test]
fn after_it_a_failure_doubles_it_and_a_success_clears_it() {
    let mut known = quarantine();
    let mut now = 0;
    for n in 0..5 {
        known.failed(worker(1), KIND, job(n), &[], now);
    }
    let mut lengths = Vec::new();
    for n in 5..14 {
        let left = known.kept_from(worker(1), KIND, now).unwrap();
        lengths.push(left / 1_000);
        // What it had in its hands already changes nothing.
        known.failed(worker(1), KIND, job(n + 100), &[], now + 1);
        assert_eq!(known.kept_from(worker(1), KIND, now), Some(left));
        now += left;
        known.failed(worker(1), KIND, job(n), &[], now);
    }
    assert_eq!(lengths, [30, 60, 120, 240, 480, 960, 1_800, 1_800, 1_800]);
    now += 1_800_000;
    known.done(worker(1), KIND, job(1), &[], now);
    known.failed(worker(1), KIND, job(2), &[], now);
    assert_eq!(known.kept_from(worker(1), KIND, now), None);
}

#[test]
fn workers_that_are_gone_are_forgotten() {
    let mut known = quarantine();
    for n in 0..100 {
        known.failed(worker(n), KIND, job(u64::from(n)), &[], 0);
    }
    known.failed(worker(200), KIND, job(1_000), &[], 3_600_000);
    assert_eq!(known.records.len(), 1);
}

proptest! {
    #[test]
    fn nobody_is_kept_longer_than_the_longest_and_a_worker_that_never_fails_never(
        steps in prop::collection::vec((1_u8..5, 0_u64..30, any::<bool>(), 0_u64..100_000), 1..200)
    ) {
        let mut known = quarantine();
        let mut failed_on: BTreeMap<JobId, Vec<WorkerId>> = BTreeMap::new();
        let mut now = 0;
        for (n, number, fails, ms) in steps {
            now += ms;
            let (who, which) = (worker(n), job(number));
            let before = failed_on.entry(which).or_default();
            if fails && n != 1 {
                known.failed(who, KIND, which, before, now);
                before.push(who);
            } else {
                known.done(who, KIND, which, before, now);
                before.clear();
            }
            for n in 1..5 {
                let left = known.kept_from(worker(n), KIND, now);
                prop_assert!(left.unwrap_or(0) <= 1_800_000);
                prop_assert!(n != 1 || left.is_none());
            }
        }
    }
}
