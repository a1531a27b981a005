//! The database's clock, told by this process's own: good to a round trip, without asking.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};

use atelier_domain::Millis;

/// Asks for this moment, in milliseconds since 1970.
pub(super) const NOW: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/// Microseconds as milliseconds.
pub(super) fn rounded_ms(us: i64) -> i64 {
    (us + 500).div_euclid(1_000)
}

/// Stands for "never heard of it".
const UNKNOWN: i64 = i64::MIN;

/// What the database's clock shows. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct DatabaseClock {
    start: Instant,
    /// The database's milliseconds at `start`.
    offset: Arc<AtomicI64>,
}

impl Default for DatabaseClock {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            offset: Arc::new(AtomicI64::new(UNKNOWN)),
        }
    }
}

impl DatabaseClock {
    /// The database said that it is `now`.
    pub fn heard(&self, now: Millis) {
        let offset = now.cast_signed() - self.elapsed();
        self.offset.store(offset, Ordering::Relaxed);
    }

    /// What it shows by now; none when it was never heard.
    pub fn now(&self) -> Option<Millis> {
        match self.offset.load(Ordering::Relaxed) {
            UNKNOWN => None,
            offset => Some((offset + self.elapsed()).unsigned_abs()),
        }
    }

    fn elapsed(&self) -> i64 {
        i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}
