//! Whether flows get their shares: Jain's index over those that have work waiting, and requests that are passed over for too long.

use atelier_domain::{
    Millis,
    fair::{Weight, share},
};
use atelier_proto::job::Priority;
use serde::Serialize;

use super::Arrivals;

/// Fewest requests in a window that a flow is entitled to whose share is looked at.
const FEWEST: f64 = 5.0;

/// A flow: the work of one tenant in one class.
#[derive(Clone, Debug)]
struct Flow {
    weight: Weight,
    /// Requests of which nothing has begun.
    waiting: u32,
    /// Since when some wait without a break.
    backlogged: Option<Millis>,
    /// When the last one began.
    begun: Millis,
    /// Jobs that are ready and in nobody's hands.
    jobs: u32,
    /// Since when there are some without a break.
    busy: Option<Millis>,
    /// Time of workers in this window, in milliseconds.
    served: f64,
}

/// Watches every tenant and class.
#[derive(Debug)]
pub struct Fairness {
    flows: Vec<Flow>,
    starved_after: Millis,
    request_ms: f64,
    starved: u64,
    longest: Millis,
    window: Millis,
    since: Millis,
    /// Index times flows, and flows, summed up over windows.
    weighted: (f64, f64),
    windows: u32,
    worst: f64,
    /// Nothing could be given out for a part of this window.
    interrupted: bool,
}

/// What is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Shares {
    /// Jain's index of the workers' time that flows got in proportion to their weights, between flows that had work waiting all the time: 1 when
    /// all get their shares, 1/n when one gets everything. Mean over windows, by the number of flows.
    pub jain: f64,
    /// The lowest of any window.
    pub worst: f64,
    /// Windows with at least two such flows.
    pub windows: u32,
    /// Mean number of such flows in them.
    pub flows: f64,
    /// Length of a window, in seconds.
    pub window_s: f64,
    /// Requests that were passed over for too long.
    pub starved: u64,
    /// Longest time that a request waited while nothing of its tenant and class began, in seconds.
    pub longest_s: f64,
}

fn flow(tenant: u32, class: Priority) -> usize {
    tenant as usize * Priority::ALL.len() + class as usize
}

impl Fairness {
    /// Nothing waits. Shares are compared over each `window`; a request takes `request_ms` of a worker, on average.
    pub fn new(tenants: u32, starved_after: Millis, window: Millis, request_ms: f64) -> Self {
        let flow = |tenant| Flow {
            weight: Arrivals::weight(tenant),
            waiting: 0,
            backlogged: None,
            begun: 0,
            jobs: 0,
            busy: None,
            served: 0.0,
        };
        Self {
            flows: (0..tenants)
                .flat_map(|tenant| Priority::ALL.map(|_| flow(tenant)))
                .collect(),
            starved_after,
            request_ms,
            starved: 0,
            longest: 0,
            window: window.max(1),
            since: 0,
            weighted: (0.0, 0.0),
            windows: 0,
            worst: 1.0,
            interrupted: false,
        }
    }

    /// A request was accepted.
    pub fn submitted(&mut self, tenant: u32, class: Priority, now: Millis) {
        let flow = &mut self.flows[flow(tenant, class)];
        flow.waiting += 1;
        flow.backlogged.get_or_insert(now);
    }

    /// A request that was accepted at `accepted` began.
    pub fn begun(&mut self, tenant: u32, class: Priority, accepted: Millis, now: Millis) {
        let flow = &mut self.flows[flow(tenant, class)];
        let passed_over = now - accepted.max(flow.begun);
        flow.begun = now;
        self.longest = self.longest.max(passed_over);
        self.starved += u64::from(passed_over > self.starved_after);
        self.left(tenant, class);
    }

    /// A request ended before it began.
    pub fn left(&mut self, tenant: u32, class: Priority) {
        let flow = &mut self.flows[flow(tenant, class)];
        flow.waiting -= 1;
        if flow.waiting == 0 {
            flow.backlogged = None;
        }
    }

    /// A job of the flow waits for a worker.
    pub fn waits(&mut self, tenant: u32, class: Priority, now: Millis) {
        let flow = &mut self.flows[flow(tenant, class)];
        flow.jobs += 1;
        flow.busy.get_or_insert(now);
    }

    /// It does not any more.
    pub fn waits_no_more(&mut self, tenant: u32, class: Priority) {
        let flow = &mut self.flows[flow(tenant, class)];
        flow.jobs -= 1;
        if flow.jobs == 0 {
            flow.busy = None;
        }
    }

    /// A worker spent `ms` on a job.
    pub fn served(&mut self, tenant: u32, class: Priority, ms: Millis) {
        self.flows[flow(tenant, class)].served += ms as f64;
    }

    /// Nothing can be given out for a while; the window does not count.
    pub const fn interrupt(&mut self) {
        self.interrupted = true;
    }

    /// Time has passed.
    pub fn look(&mut self, now: Millis) {
        if now < self.since + self.window {
            return;
        }
        let shares = self.shares();
        let interrupted = std::mem::take(&mut self.interrupted);
        if shares.len() > 1 && !interrupted {
            let index = jain(&shares);
            let count = shares.len() as f64;
            self.weighted = (self.weighted.0 + index * count, self.weighted.1 + count);
            self.windows += 1;
            self.worst = self.worst.min(index);
        }
        for flow in &mut self.flows {
            flow.served = 0.0;
        }
        self.since = now;
    }

    /// What each flow got in this window by its weight, of those that had jobs waiting all along. Flows that are entitled to only a few requests
    /// are left out: whole requests cannot be shared out any finer.
    fn shares(&self) -> Vec<f64> {
        let classes = Priority::ALL.into_iter().cycle();
        let waiting: Vec<(f64, f64)> = self
            .flows
            .iter()
            .zip(classes)
            .filter(|(flow, _)| flow.busy.is_some_and(|since| since <= self.since))
            .map(|(flow, class)| {
                let weight = f64::from(flow.weight.get()) * share(class) as f64;
                (flow.served, weight)
            })
            .collect();
        let served: f64 = waiting.iter().map(|(served, _)| served).sum();
        let weights: f64 = waiting.iter().map(|(_, weight)| weight).sum();
        waiting
            .into_iter()
            .filter(|(_, weight)| served * weight / weights >= FEWEST * self.request_ms)
            .map(|(served, weight)| served / weight)
            .collect()
    }

    /// What was seen. Whoever waits at `now` counts as starved when it waited too long.
    pub fn told(&self, now: Millis) -> Shares {
        let hungry = self.flows.iter().filter(|flow| {
            let waits = |since: Millis| now - since.max(flow.begun);
            flow.backlogged
                .is_some_and(|since| waits(since) > self.starved_after)
        });
        Shares {
            jain: if self.windows == 0 {
                1.0
            } else {
                self.weighted.0 / self.weighted.1
            },
            worst: self.worst,
            windows: self.windows,
            flows: self.weighted.1 / f64::from(self.windows.max(1)),
            window_s: self.window as f64 / 1_000.0,
            starved: self.starved + hungry.count() as u64,
            longest_s: self.longest as f64 / 1_000.0,
        }
    }
}

/// Jain, Chiu, Hawe 1984, <https://arxiv.org/abs/cs/9809099>: the square of the sum over n times the sum of squares.
fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    if squares == 0.0 {
        return 1.0;
    }
    sum * sum / (shares.len() as f64 * squares)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_one_for_equal_shares_and_one_nth_for_one_who_gets_all() {
        assert!((jain(&[3.0, 3.0, 3.0]) - 1.0).abs() < 1e-12);
        assert!((jain(&[0.0, 0.0, 9.0, 0.0]) - 0.25).abs() < 1e-12);
    }

    #[test]
    fn a_request_is_starved_when_nothing_of_its_tenant_begins_for_too_long() {
        let mut fairness = Fairness::new(2, 1_000, 10_000, 1.0);
        for (accepted, begun) in [(0, 900), (0, 1_800), (0, 2_900)] {
            fairness.submitted(1, Priority::Interactive, accepted);
            fairness.begun(1, Priority::Interactive, accepted, begun);
        }
        assert_eq!(
            fairness.told(3_000).starved,
            1,
            "only the third waited for more than a second after the one before"
        );
        fairness.submitted(0, Priority::Interactive, 3_000);
        assert_eq!(fairness.told(4_000).starved, 1);
        assert_eq!(
            fairness.told(4_001).starved,
            2,
            "one that still waits counts, too"
        );
    }
}
