//! Who goes next: fair shares between tenants, and between urgent and patient work.
//!
//! Weighted start-time fair queueing ("Start-time Fair Queueing: A Scheduling Algorithm for Integrated Services Packet Switching Networks", Goyal,
//! Vin, Cheng 1996). What a tenant submits in one priority is a flow; its weight is the tenant's times the priority's. A request gets a start tag
//! when it is accepted, the later of the clock and the finish tag of its flow's last request, and what has the smallest tag is taken first; tags end
//! in the priority, so that the more urgent goes first among equals. All jobs of a request carry its tag, so that what was begun is finished.
//!
//! - A flow that brings a thousand requests at once only gets behind itself; one that was idle starts at the clock, and saves up nothing.
//! - Nothing starves: what waits keeps its tag while the clock and everybody else's tags move on. That is ageing, at the pace of the farm.
//!
//! The clock is the largest that the smallest waiting tag ever was. The paper's clock, the tag of what was taken last, would be wrong here, where
//! one request is many jobs one after another: plans of patient work that are made ahead of its drawings would move it to the end of that work, and
//! whoever comes then would queue behind all of it. Nor does it run backwards when a job of an old request becomes ready: whoever comes then would
//! pass those who waited before.
//!
//! The coordinator keeps tags in PostgreSQL and takes jobs by SQL in the order that [`Lane`] defines; simulations use both as they are.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
};

use atelier_proto::job::Priority;

/// How far one request of cost 1 moves its flow's tag at weight 1. Large, so that dividing it by any weight loses less than half of a hundredth.
pub const UNIT: u64 = 1 << 24;

/// A point on the virtual clock. The remainder by [`STEP`] is the priority.
pub type Tag = u64;

/// Points on the virtual clock are this far apart, so that a priority fits between them.
pub const STEP: u64 = 4;

/// A tenant's share: one of weight 3 gets three times as much as one of weight 1, as long as both have work waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(u32);

impl Weight {
    /// The share of everybody who was given no other.
    pub const ONE: Self = Self(1);
    /// The largest number.
    pub const MAX: u32 = 1_000;

    /// A weight of 1..=1000; none outside of it.
    pub const fn new(weight: u32) -> Option<Self> {
        if weight >= 1 && weight <= Self::MAX {
            Some(Self(weight))
        } else {
            None
        }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// How far something of `cost` moves the tag of a flow of a tenant with this weight. A cost of 0 counts as 1.
    pub const fn stretch(self, priority: Priority, cost: u32) -> u64 {
        let cost = if cost == 0 { 1 } else { cost };
        let stretch = UNIT * cost as u64 / (self.0 as u64 * share(priority));
        stretch - stretch % STEP
    }
}

/// Share of a priority: of two flows of one tenant, or of tenants with equal weights, an interactive one gets 16 times as much as one of batch work,
/// as long as both have work waiting.
pub const fn share(priority: Priority) -> u64 {
    match priority {
        Priority::Interactive => 16,
        Priority::Normal => 4,
        Priority::Batch => 1,
    }
}

/// The clock, and how far each flow has got.
#[derive(Clone, Debug)]
pub struct Shares<T> {
    clock: Tag,
    finishes: HashMap<(T, Priority), Tag>,
}

impl<T> Default for Shares<T> {
    fn default() -> Self {
        Self {
            clock: 0,
            finishes: HashMap::new(),
        }
    }
}

impl<T: Copy + Eq + Hash> Shares<T> {
    /// Moves the clock on to the smallest tag of a job that is ready. To be called before requests are admitted and before jobs are taken.
    pub fn see(&mut self, waiting: Tag) {
        self.clock = waiting.max(self.clock);
    }

    /// Start tag of a request that is accepted now. The finish tag of its flow moves along.
    pub fn admit(&mut self, tenant: T, priority: Priority, cost: u32, weight: Weight) -> Tag {
        let start = self.clock.max(self.finish(tenant, priority));
        let start = start - start % STEP;
        let finish = start.saturating_add(weight.stretch(priority, cost));
        self.finishes.insert((tenant, priority), finish);
        start + priority as Tag
    }

    /// Finish tag of a flow's last request, 0 before its first one.
    pub fn finish(&self, tenant: T, priority: Priority) -> Tag {
        self.finishes.get(&(tenant, priority)).copied().unwrap_or(0)
    }

    /// Goes on from a finish tag that was written down.
    pub fn resume(&mut self, tenant: T, priority: Priority, finish: Tag) {
        self.finishes.insert((tenant, priority), finish);
    }
}

/// A job that is ready, as far as its turn is concerned; the smallest one is taken next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Turn<I> {
    /// Start tag of its request.
    pub tag: Tag,
    /// The job. Among equals the smaller id goes first.
    pub id: I,
}

/// The ready jobs of one kind, in the order in which they are taken.
#[derive(Clone, Debug)]
pub struct Lane<I>(BTreeSet<Turn<I>>);

impl<I> Default for Lane<I> {
    fn default() -> Self {
        Self(BTreeSet::new())
    }
}

impl<I: Copy + Ord> Lane<I> {
    /// Adds a job.
    pub fn push(&mut self, turn: Turn<I>) {
        self.0.insert(turn);
    }

    /// Removes a job that is not needed any more; says whether it was there.
    pub fn remove(&mut self, turn: &Turn<I>) -> bool {
        self.0.remove(turn)
    }

    /// The job that is taken next.
    pub fn first(&self) -> Option<Turn<I>> {
        self.0.first().copied()
    }

    /// Takes that job.
    pub fn pop(&mut self) -> Option<Turn<I>> {
        self.0.pop_first()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
