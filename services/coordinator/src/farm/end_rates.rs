//! How fast each tenant's requests ended lately: what a caller is told who has to wait.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use atelier_domain::Millis;
use atelier_proto::TenantId;

/// The rate is taken over this time, and over up to twice as much.
const WINDOW_MS: u64 = 15_000;
/// Less than this tells nothing.
const SHORTEST_MS: u64 = 500;
/// Answer when nothing is known yet, in seconds.
const UNKNOWN_S: u64 = 5;
/// Longest answer, in seconds.
const LONGEST_S: u64 = 60;

/// Rates by tenant. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct EndRates(Arc<Mutex<HashMap<TenantId, Seen>>>);

/// How many requests of a tenant had ended by when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    ended: u64,
    at: Millis,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    before: Mark,
    between: Mark,
    last: Mark,
}

impl EndRates {
    /// By `at`, `ended` requests of the tenant had ended since it was made.
    pub fn saw(&self, tenant: TenantId, ended: u64, at: Millis) {
        let last = Mark { ended, at };
        let first = Seen {
            before: last,
            between: last,
            last,
        };
        let mut all = self.lock();
        let seen = all.entry(tenant).or_insert(first);
        if at.saturating_sub(seen.between.at) >= WINDOW_MS {
            (seen.before, seen.between) = (seen.between, last);
        }
        seen.last = last;
    }

    /// Seconds until the next request of the tenant is likely to end, 1..=60.
    pub fn next_end_s(&self, tenant: TenantId) -> u64 {
        self.lock()
            .get(&tenant)
            .map_or(UNKNOWN_S, |seen| next_end_s(seen.before, seen.last))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, Seen>> {
        // Nothing under the lock can panic halfway through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn next_end_s(before: Mark, last: Mark) -> u64 {
    let time_ms = last.at.saturating_sub(before.at);
    if time_ms < SHORTEST_MS {
        return UNKNOWN_S;
    }
    let each_ms = time_ms.checked_div(last.ended.saturating_sub(before.ended));
    each_ms.map_or(LONGEST_S, |each| each.div_ceil(1_000).clamp(1, LONGEST_S))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_mean_time_between_the_last_ends() {
        let rates = EndRates::default();
        let tenant = TenantId::at(1, [1; 10]);
        assert_eq!(rates.next_end_s(tenant), UNKNOWN_S);
        rates.saw(tenant, 100, 1_000);
        assert_eq!(rates.next_end_s(tenant), UNKNOWN_S);
        rates.saw(tenant, 100, 2_000);
        assert_eq!(rates.next_end_s(tenant), LONGEST_S, "nothing ends");
        rates.saw(tenant, 103, 11_000);
        assert_eq!(rates.next_end_s(tenant), 4);
        rates.saw(tenant, 5_000, 16_000);
        assert_eq!(rates.next_end_s(tenant), 1);
        // Later windows forget what was before them.
        rates.saw(tenant, 5_000, 40_000);
        rates.saw(tenant, 5_001, 50_000);
        assert_eq!(rates.next_end_s(tenant), 34);
        rates.saw(tenant, 5_001, 80_000);
        assert_eq!(rates.next_end_s(tenant), 40);
    }
}
