//! The virtual clock: what happens when, in order.

use std::{cmp::Reverse, collections::BinaryHeap};

use atelier_domain::Millis;

/// One attempt of a job of a request. Before it is dispatched, the attempt is the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Number of the request, in the order of submits.
    pub request: u32,
    /// Position of the job in it.
    pub index: u32,
    /// Attempt of the job.
    pub attempt: u32,
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Happening {
    /// A request of the day's usual stream is submitted.
    Usual,
    /// A request of the burst is submitted.
    Burst,
    /// A user cancels a request.
    Cancel(u32),
    /// A job that failed may be tried again.
    Ready(Key),
    /// A worker is done with its `run`th job.
    Done {
        /// Which worker.
        worker: u32,
        /// Which of its jobs.
        run: u32,
    },
    /// The job kills its worker.
    Killed {
        /// Which worker.
        worker: u32,
        /// Which of its jobs.
        run: u32,
    },
    /// A lease may have run out.
    Lease(Key),
    /// Some worker dies.
    Death,
    /// Some worker hangs for a while.
    Hang,
    /// A worker starts again.
    Start(u32),
    /// The broker goes away with everything in it.
    BrokerDown,
    /// It is back, empty.
    BrokerUp,
    /// A second is over: the coordinators' loops that look at things now and then.
    Tick,
}

/// Everything that will happen, as far as it is known.
#[derive(Debug, Default)]
pub struct Agenda {
    heap: BinaryHeap<Reverse<(Millis, u64, Happening)>>,
    added: u64,
}

impl Agenda {
    /// Adds something; what is added first happens first among equal times.
    pub fn at(&mut self, time: Millis, what: Happening) {
        self.added += 1;
        self.heap.push(Reverse((time, self.added, what)));
    }

    /// What happens next.
    pub fn next(&mut self) -> Option<(Millis, Happening)> {
        let Reverse((time, _, what)) = self.heap.pop()?;
        Some((time, what))
    }

    /// How many things were ever added.
    pub const fn added(&self) -> u64 {
        self.added
    }
}
