//! Who goes next: fair shares between tenants inside a priority, ageing between priorities.
//!
//! Inside a priority this is weighted start-time fair queueing ("Start-time Fair Queueing: A Scheduling Algorithm for Integrated Services Packet
//! Switching Networks", Goyal, Vin, Cheng 1996): a request gets a start tag when it is accepted, the later of the clock of its priority and the
//! finish tag of its tenant's last request; what has the smallest tag is taken first, and the clock is the tag of what was taken last. A tenant
//! that was idle starts at the clock, so that it saves up nothing, and one that brings a thousand requests at once only gets behind itself.
//!
//! Between priorities the first of each is compared by its [`rank`]: urgent work has a head start in milliseconds instead of always going first,
//! so that nothing starves.
//!
//! The coordinator keeps tags and clocks in PostgreSQL and takes jobs by SQL in the order that [`Lanes`] defines; simulations use both as they are.

use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

use atelier_proto::job::Priority;

use crate::{Millis, Policy};

/// How far one request of cost 1 moves its tenant's tag at weight 1. Large, so that dividing it by a weight loses less than a thousandth.
pub const UNIT: u64 = 1 << 20;

/// A point on the virtual clock of one priority.
pub type Tag = u64;

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

    /// How far something of `cost` moves the tag of a tenant with this weight. A cost of 0 counts as 1.
    pub const fn stretch(self, cost: u32) -> u64 {
        let cost = if cost == 0 { 1 } else { cost };
        UNIT * cost as u64 / self.0 as u64
    }
}

/// Clocks of the priorities, and how far each tenant has got on them.
#[derive(Clone, Debug)]
pub struct Shares<T> {
    clocks: [Tag; Priority::ALL.len()],
    finishes: HashMap<(T, Priority), Tag>,
}

impl<T> Default for Shares<T> {
    fn default() -> Self {
        Self {
            clocks: [0; Priority::ALL.len()],
            finishes: HashMap::new(),
        }
    }
}

impl<T: Copy + Eq + Hash> Shares<T> {
    /// Start tag of a request that is accepted now. All of its jobs carry it, so that a request that was begun is not left lying.
    pub fn admit(&mut self, tenant: T, priority: Priority, cost: u32, weight: Weight) -> Tag {
        let start = self.clock(priority).max(self.finish(tenant, priority));
        let finish = start.saturating_add(weight.stretch(cost));
        self.finishes.insert((tenant, priority), finish);
        start
    }

    /// A job with this tag was taken. The clock never runs backwards: later jobs of a request carry its old tag.
    pub fn taken(&mut self, priority: Priority, tag: Tag) {
        let clock = &mut self.clocks[priority as usize];
        *clock = tag.max(*clock);
    }

    /// The clock of a priority.
    pub const fn clock(&self, priority: Priority) -> Tag {
        self.clocks[priority as usize]
    }

    /// Finish tag of a tenant's last request, 0 before its first one.
    pub fn finish(&self, tenant: T, priority: Priority) -> Tag {
        self.finishes.get(&(tenant, priority)).copied().unwrap_or(0)
    }

    /// Goes on from a finish tag that was written down.
    pub fn resume(&mut self, tenant: T, priority: Priority, finish: Tag) {
        self.finishes.insert((tenant, priority), finish);
    }
}

/// When a request accepted at `accepted` is as urgent as an interactive one that is accepted at the returned time.
pub const fn rank(accepted: Millis, priority: Priority) -> Millis {
    accepted.saturating_add(Policy::handicap_ms(priority))
}

/// A job that is ready, as far as its turn is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Turn<I> {
    /// Priority of its request.
    pub priority: Priority,
    /// Start tag of its request.
    pub tag: Tag,
    /// [`rank`] of its request.
    pub rank: Millis,
    /// The job. Among equal tags the smaller id goes first.
    pub id: I,
}

/// The ready jobs of one kind, in the order in which they are taken.
#[derive(Clone, Debug)]
pub struct Lanes<I> {
    lanes: [BTreeMap<(Tag, I), Millis>; Priority::ALL.len()],
}

impl<I> Default for Lanes<I> {
    fn default() -> Self {
        Self {
            lanes: std::array::from_fn(|_| BTreeMap::new()),
        }
    }
}

impl<I: Copy + Ord> Lanes<I> {
    /// Adds a job.
    pub fn push(&mut self, turn: Turn<I>) {
        self.lanes[turn.priority as usize].insert((turn.tag, turn.id), turn.rank);
    }

    /// Removes a job that is not needed any more; says whether it was there.
    pub fn remove(&mut self, turn: &Turn<I>) -> bool {
        let lane = &mut self.lanes[turn.priority as usize];
        lane.remove(&(turn.tag, turn.id)).is_some()
    }

    /// The job that is taken next: of the first of each priority the one with the smallest rank, the more urgent one among equals.
    pub fn first(&self) -> Option<Turn<I>> {
        let heads = Priority::ALL.into_iter().filter_map(|priority| {
            let (&(tag, id), &rank) = self.lanes[priority as usize].first_key_value()?;
            Some(Turn {
                priority,
                tag,
                rank,
                id,
            })
        });
        heads.min_by_key(|turn| (turn.rank, turn.priority))
    }

    /// Takes that job.
    pub fn pop(&mut self) -> Option<Turn<I>> {
        let first = self.first()?;
        self.remove(&first);
        Some(first)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lanes.iter().map(BTreeMap::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.lanes.iter().all(BTreeMap::is_empty)
    }
}
