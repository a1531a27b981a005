//! Tells Kubernetes how many jobs each worker's pod holds, so that idle pods go first when a pool shrinks. It is a hint: whatever goes wrong
//! here costs work that is done twice, and never a job.

mod api;
mod costs;

use std::time::{Duration, Instant};

use futures::StreamExt;

pub use api::{Access, check_prefix, check_server};

use self::{
    api::{Kubernetes, TellError, is_name},
    costs::{Costs, Due},
};
use crate::farm::Farm;

/// Most pods that are told in one turn.
const AT_MOST: usize = 10;
/// Most of them at once.
const AT_ONCE: usize = 5;
/// Wait after a turn in which Kubernetes took nothing, doubled with every further one.
const FIRST_WAIT: Duration = Duration::from_secs(3);
/// Longest such wait.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Tells what changes, for as long as its coordinator is the one who does.
#[derive(Debug)]
pub struct Teller {
    prefix: String,
    kubernetes: Kubernetes,
    costs: Costs,
    /// Turns one after the other in which Kubernetes took nothing.
    failures: u32,
    not_before: Instant,
    /// What went wrong last, as long as it was not followed by a success alone: it is logged once.
    trouble: Option<&'static str>,
}

impl Teller {
    /// Knows nothing of what pods were told.
    pub fn new(access: Access) -> Self {
        Self {
            prefix: access.prefix.clone(),
            kubernetes: Kubernetes::new(access),
            costs: Costs::default(),
            failures: 0,
            not_before: Instant::now(),
            trouble: None,
        }
    }

    /// Tells some of what is due. Calls that follow each other closely look more often and tell no more than is due.
    pub async fn turn(&mut self, farm: &Farm) {
        // Whoever may speak on NATS chooses its name: none leads to another pod than a worker's, or elsewhere in the API.
        let is_worker = |name: &str| name.starts_with(&self.prefix) && is_name(name);
        let held = farm.workers.holding(is_worker);
        let now = Instant::now();
        let mut due = self.costs.due(&held, now);
        if due.is_empty() || now < self.not_before {
            return;
        }
        due.truncate(AT_MOST);
        let told = self.tell(due).await;
        let (mut taken, mut failed) = (false, None);
        for (due, result) in told {
            let outcome = result
                .as_ref()
                .map_or_else(TellError::outcome, |()| "written");
            farm.metrics.pod_costs.with_label_values(&[outcome]).inc();
            match result {
                Ok(()) => {
                    tracing::debug!(pod = due.pod, cost = due.cost, "pod-deletion-cost");
                    taken = true;
                    self.costs.told(&due);
                }
                Err(TellError::Gone) => {
                    tracing::debug!(pod = due.pod, "there is no such pod");
                    taken = true;
                    self.costs.gone(&due.pod);
                }
                Err(error) => failed = Some((due.pod, error)),
            }
        }
        self.failures = if taken { 0 } else { self.failures + 1 };
        self.not_before = now + wait_after(self.failures);
        self.note(failed);
    }

    /// Tells all of them, some at once; what came of each.
    async fn tell(&mut self, due: Vec<Due>) -> Vec<(Due, Result<(), TellError>)> {
        let session = match self.kubernetes.open().await {
            Ok(session) => session,
            Err(error) => {
                // One try that none got through.
                let first = due.into_iter().next();
                return first.map(|due| (due, Err(error))).into_iter().collect();
            }
        };
        for one in &due {
            self.costs.begin(&one.pod);
        }
        let session = &session;
        let told = due.into_iter().map(|due| async move {
            let result = session.tell(&due.pod, due.cost).await;
            (due, result)
        });
        futures::stream::iter(told)
            .buffer_unordered(AT_ONCE)
            .collect()
            .await
    }

    /// Logs trouble when it begins, changes its kind or ends.
    fn note(&mut self, failed: Option<(String, TellError)>) {
        match failed {
            Some((pod, error)) if self.trouble != Some(error.outcome()) => {
                tracing::warn!(%error, pod, "pods are not told which jobs they hold; trying on");
                self.trouble = Some(error.outcome());
            }
            None if self.trouble.take().is_some() => {
                tracing::info!("pods are told again which jobs they hold");
            }
            _ => {}
        }
    }
}

/// How long nothing is told after so many turns in which Kubernetes took nothing.
fn wait_after(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        n => FIRST_WAIT
            .saturating_mul(1 << (n - 1).min(8))
            .min(LONGEST_WAIT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubernetes_is_asked_ever_more_seldom_while_it_takes_nothing() {
        let waits = [0, 1, 2, 3, 4, 5, u32::MAX].map(|n| wait_after(n).as_secs());
        assert_eq!(waits, [0, 3, 6, 12, 24, 48, 60]);
    }
}
