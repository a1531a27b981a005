//! New ids and seeds: the time of day and randomness enter here and nowhere else.

use std::{fmt, sync::Arc};

use atelier_platform::Clock;
use atelier_proto::RequestId;

/// Makes ids and seeds.
#[derive(Clone)]
pub struct Ids {
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ids")
    }
}

impl Ids {
    /// Ids that sort by `clock`.
    pub fn new(clock: impl Clock) -> Self {
        Self {
            clock: Arc::new(clock),
        }
    }

    /// A new id.
    pub fn request(&self) -> RequestId {
        RequestId::at(self.clock.unix_millis(), rand::random())
    }

    /// Seconds since 1970.
    pub fn now_s(&self) -> u64 {
        self.clock.unix_millis() / 1_000
    }

    /// Bits that nobody can guess.
    pub fn secret(&self) -> [u8; 32] {
        rand::random()
    }

    /// A seed for a request that names none; within what JSON readers keep exactly.
    pub fn seed(&self) -> u64 {
        rand::random::<u64>() >> 11
    }
}
