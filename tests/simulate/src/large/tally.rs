//! What is counted over the day.

use std::collections::HashSet;

use atelier_domain::{State, invariants::Violation};
use serde::Serialize;

/// Counts.
#[derive(Debug, Default, Serialize)]
pub struct Tally {
    /// Requests that were accepted.
    pub accepted: u64,
    /// Requests that succeeded.
    pub succeeded: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Requests that were canceled.
    pub canceled: u64,
    /// Requests that were accepted and neither ended nor are active.
    pub lost: u64,
    /// Requests that ended twice, and reports that were committed twice.
    pub duplicated: u64,
    /// Requests that are active although nothing is left to happen.
    pub stuck: u64,
    /// Broken invariants.
    pub violations: u64,
    /// The first of them.
    pub first_violation: Option<String>,
    /// Changes after which every invariant was checked.
    pub checks: u64,
    /// Workers that died.
    pub deaths: u64,
    /// Workers that hung for longer than a lease, with a job.
    pub hangs: u64,
    /// Messages that vanished.
    pub vanished: u64,
    /// Messages that were wiped with their stream.
    pub wiped: u64,
    /// Messages and reports that came twice.
    pub doubled: u64,
    /// Reports that got lost and were sent again.
    pub reports_lost: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Leases that ran out.
    pub leases: u64,
    /// Reports that came too late and changed nothing.
    pub late: u64,
    /// Most requests that were active at once.
    pub most_active: u32,
    /// Events of the virtual clock.
    pub happenings: u64,
    #[serde(skip)]
    ends: HashSet<u32>,
}

impl Tally {
    /// A request ended.
    pub fn ended(&mut self, number: u32, state: &State) {
        if !self.ends.insert(number) {
            self.duplicated += 1;
            return;
        }
        match state {
            State::Succeeded => self.succeeded += 1,
            State::Failed { .. } => self.failed += 1,
            State::Canceled { .. } => self.canceled += 1,
            State::Active => {}
        }
    }

    /// An invariant does not hold.
    pub fn violated(&mut self, violation: &Violation) {
        self.violations += 1;
        self.first_violation
            .get_or_insert_with(|| violation.to_string());
    }

    /// Closes the books.
    pub const fn close(&mut self) {
        let known = self.succeeded + self.failed + self.canceled + self.stuck;
        self.lost = self.accepted.saturating_sub(known);
    }
}
