//! The wall clock as a value, so that whatever depends on the time of day can be tested at any time of day.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Tells the time of day.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since 1970, UTC.
    fn unix_millis(&self) -> u64;

    /// The same as a point in time, as finely as the clock ticks.
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.unix_millis())
    }
}

impl<C: Clock + ?Sized> Clock for Arc<C> {
    fn unix_millis(&self) -> u64 {
        (**self).unix_millis()
    }
}

/// The clock of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn unix_millis(&self) -> u64 {
        // A clock before 1970 is a broken machine; 0 keeps ids and logs going.
        let since = self.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn now(&self) -> SystemTime {
        #[expect(
            clippy::disallowed_methods,
            reason = "the one place that reads the wall clock"
        )]
        SystemTime::now()
    }
}

/// A clock that stands until it is moved; clones share the time.
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock that stands at `unix_millis`.
    pub fn at(unix_millis: u64) -> Self {
        Self(Arc::new(AtomicU64::new(unix_millis)))
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.0.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn unix_millis(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told_and_for_all_its_clones() {
        let clock = ManualClock::at(1_000);
        let other = clock.clone();
        assert_eq!(other.unix_millis(), 1_000);
        clock.advance(Duration::from_secs(2));
        assert_eq!(other.unix_millis(), 3_000);
        assert_eq!(other.now(), UNIX_EPOCH + Duration::from_secs(3));
    }

    #[test]
    fn the_system_clock_is_past_the_year_2020() {
        assert!(SystemClock.unix_millis() > 1_577_836_800_000);
    }
}
