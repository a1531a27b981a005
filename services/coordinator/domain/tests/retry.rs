//! Delays before another try: within their bounds, the same for the same attempt, and spread so that what failed together does not come back together.

use atelier_domain::Policy;
use atelier_proto::JobId;
use proptest::prelude::*;
use uuid::Uuid;

fn job(n: u128) -> JobId {
    JobId::from_uuid(Uuid::from_u128(n))
}

proptest! {
    #[test]
    fn a_delay_is_between_half_the_doubled_base_and_all_of_it(
        id in any::<u128>(),
        attempt in any::<u32>(),
        failures in any::<u32>(),
        backoff_ms in 0..1_u64 << 40,
        max_backoff_ms in 0..1_u64 << 40,
    ) {
        let policy = Policy { backoff_ms, max_backoff_ms, ..Policy::default() };
        let delay = policy.backoff(job(id), attempt, failures);
        let doublings = failures.saturating_sub(1).min(32);
        let whole = backoff_ms.saturating_mul(1 << doublings).min(max_backoff_ms);
        prop_assert!((whole / 2..=whole).contains(&delay), "{delay} of {whole}");
        prop_assert_eq!(delay, policy.backoff(job(id), attempt, failures));
    }

    #[test]
    fn jobs_that_fail_together_come_back_spread(first in any::<u128>(), attempt in 1..9_u32) {
        let policy = Policy { backoff_ms: 8_000, ..Policy::default() };
        let mut tenths = [0_u32; 10];
        for n in 0..2_000 {
            let delay = policy.backoff(job(first.wrapping_add(n)), attempt, 1);
            tenths[((delay - 4_000) / 401) as usize] += 1;
        }
        // 200 are expected in each; six standard deviations are 80.
        prop_assert!(tenths.iter().all(|count| (120..=280).contains(count)), "{tenths:?}");
    }

    #[test]
    fn attempts_of_one_job_are_spread(id in any::<u128>()) {
        let policy = Policy { backoff_ms: 8_000, ..Policy::default() };
        let mut delays: Vec<_> = (1..=32).map(|attempt| policy.backoff(job(id), attempt, 1)).collect();
        delays.sort_unstable();
        delays.dedup();
        prop_assert!(delays.len() >= 28, "{} different of 32", delays.len());
    }
}
