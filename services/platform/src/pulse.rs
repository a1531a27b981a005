//! Whether the loops of a process still turn.
//!
//! A loop that waits for something to do turns as well: while it waits it is woken every second, which proves that its task lives and that
//! the runtime still runs it. What does not turn is a loop that hangs in the middle of its work.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// How often a waiting loop is woken.
const EVERY: Duration = Duration::from_secs(1);

/// The loops of a process. Clones share them.
#[derive(Clone, Debug)]
pub struct Pulses {
    start: Instant,
    all: Arc<Mutex<Vec<Pulse>>>,
}

/// The pulse of one loop.
#[derive(Clone, Debug)]
pub struct Pulse {
    name: &'static str,
    /// A turn that takes longer is a loop that hangs.
    longest: Duration,
    start: Instant,
    /// Milliseconds from `start` to the last turn.
    last: Arc<AtomicU64>,
}

/// How a loop does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Its name.
    pub name: &'static str,
    /// Since its last turn.
    pub age: Duration,
    /// The longest that a turn may take.
    pub longest: Duration,
}

impl Default for Pulses {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            all: Arc::default(),
        }
    }
}

impl Pulses {
    /// Begins to watch a loop; `longest` is more than any of its turns may take, all timeouts of its work included.
    pub fn watch(&self, name: &'static str, longest: Duration) -> Pulse {
        let pulse = Pulse {
            name,
            longest,
            start: self.start,
            last: Arc::default(),
        };
        pulse.beat();
        // Nothing under the lock can panic halfway through a change.
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(pulse.clone());
        pulse
    }

    /// Every loop that was ever watched, in the order in which that began.
    pub fn read(&self) -> Vec<Reading> {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(Pulse::read).collect()
    }
}

impl Pulse {
    /// The loop has turned.
    pub fn beat(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
    }

    /// Waits for something to do. The loop counts as turning until then.
    pub async fn idle<T>(&self, something: impl Future<Output = T>) -> T {
        let mut something = pin!(something);
        loop {
            self.beat();
            if let Ok(found) = tokio::time::timeout(EVERY, something.as_mut()).await {
                self.beat();
                return found;
            }
        }
    }

    fn read(&self) -> Reading {
        let last = self.last.load(Ordering::Relaxed);
        Reading {
            name: self.name,
            age: Duration::from_millis(self.now().saturating_sub(last)),
            longest: self.longest,
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Reading {
    /// Whether the loop hangs.
    pub fn is_late(&self) -> bool {
        self.age > self.longest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_millis(1_500);

    #[tokio::test]
    async fn a_loop_that_waits_turns_and_one_that_hangs_does_not() {
        let pulses = Pulses::default();
        let (waits, hangs) = (
            pulses.watch("waits", LONGEST),
            pulses.watch("hangs", LONGEST),
        );
        let waiting = tokio::spawn(async move { waits.idle(std::future::pending::<()>()).await });
        hangs.beat();
        let late = async {
            while !pulses.read()[1].is_late() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), late)
            .await
            .expect("it hangs for longer than that");
        let readings = pulses.read();
        assert_eq!((readings[0].name, readings[1].name), ("waits", "hangs"));
        assert!(readings[0].age < readings[1].age, "{readings:?}");
        hangs.beat();
        assert!(!pulses.read()[1].is_late());
        waiting.abort();
    }

    #[tokio::test]
    async fn what_was_waited_for_comes_through() {
        let pulse = Pulses::default().watch("waits", LONGEST);
        assert_eq!(pulse.idle(async { 7 }).await, 7);
    }
}
