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

    /// A seed for a request that names none; within what JSON readers keep exactly.
    pub fn seed(&self) -> u64 {
        rand::random::<u64>() >> 11
    }
}
