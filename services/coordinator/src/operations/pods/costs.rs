//! What pods were told and what they should be told: nothing as long as it stays the same, more at once, less only after a while.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// More jobs than this are worth as much.
const MOST: u32 = 1_000;

/// A pod that holds fewer jobs than it was told is told so when that lasts: between two jobs every worker is idle for a moment, and
/// Kubernetes asks for few changes.
const SETTLED: Duration = Duration::from_secs(15);

/// What is known of pods, by name.
#[derive(Debug, Default)]
pub struct Costs(HashMap<String, Pod>);

#[derive(Debug, Default)]
struct Pod {
    /// The cost that it has; unknown until it was written, and after a try whose end is not known.
    told: Option<u32>,
    /// Since when it holds less than that, and the most that it held since.
    less: Option<(Instant, u32)>,
    /// There is no pod of this name.
    gone: bool,
    /// Tries since the last success.
    tries: u32,
}

/// What a pod should be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Name of the pod.
    pub pod: String,
    /// Its cost: the jobs that it holds.
    pub cost: u32,
}

impl Costs {
    /// What should be told now that these pods hold so many jobs, the most urgent first. Pods that are not among them are forgotten.
    pub fn due(&mut self, held: &HashMap<String, u32>, now: Instant) -> Vec<Due> {
        self.0.retain(|name, _| held.contains_key(name));
        let mut due = Vec::new();
        for (name, &jobs) in held {
            let pod = self.0.entry(name.clone()).or_default();
            if let Some(cost) = pod.due(jobs.min(MOST), now) {
                // One that Kubernetes refuses keeps none of the others waiting; what protects work goes before what gives it free.
                let protects = cost > pod.told.unwrap_or(0);
                let since = pod.less.map_or(now, |(since, _)| since);
                due.push(((pod.tries, !protects, since), name.clone(), cost));
            }
        }
        due.sort_unstable();
        due.into_iter()
            .map(|(_, pod, cost)| Due { pod, cost })
            .collect()
    }

    /// A try begins; until it is known how it ended the pod may have either cost.
    pub fn begin(&mut self, pod: &str) {
        if let Some(pod) = self.0.get_mut(pod) {
            pod.told = None;
            pod.less = None;
            pod.tries = pod.tries.saturating_add(1);
        }
    }

    /// The pod has the cost.
    pub fn told(&mut self, due: &Due) {
        if let Some(pod) = self.0.get_mut(&due.pod) {
            pod.told = Some(due.cost);
            pod.tries = 0;
        }
    }

    /// There is no such pod: it is not tried again.
    pub fn gone(&mut self, pod: &str) {
        if let Some(pod) = self.0.get_mut(pod) {
            pod.gone = true;
        }
    }
}

impl Pod {
    fn due(&mut self, jobs: u32, now: Instant) -> Option<u32> {
        if self.gone {
            return None;
        }
        let Some(told) = self.told else {
            return Some(jobs);
        };
        if jobs >= told {
            self.less = None;
            return (jobs > told).then_some(jobs);
        }
        let (since, most) = self.less.get_or_insert((now, jobs));
        *most = jobs.max(*most);
        (now.duration_since(*since) >= SETTLED).then_some(*most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(pods: &[(&str, u32)]) -> HashMap<String, u32> {
        pods.iter().map(|&(pod, n)| (pod.to_owned(), n)).collect()
    }

    /// What is due at second `s`, as text; all of it is told.
    fn turn(costs: &mut Costs, start: Instant, s: u64, pods: &[(&str, u32)]) -> Vec<String> {
        let due = costs.due(&held(pods), start + Duration::from_secs(s));
        due.into_iter()
            .map(|due| {
                costs.begin(&due.pod);
                costs.told(&due);
                format!("{}={}", due.pod, due.cost)
            })
            .collect()
    }

    #[test]
    fn more_is_told_at_once_and_less_once_it_lasts() {
        let (mut costs, start) = (Costs::default(), Instant::now());
        let nothing: [&str; 0] = [];
        // What the last leader wrote is not known, so that a 0 is told, too.
        assert_eq!(
            turn(&mut costs, start, 0, &[("a", 0), ("b", 2)]),
            ["b=2", "a=0"]
        );
        assert_eq!(turn(&mut costs, start, 3, &[("a", 0), ("b", 2)]), nothing);
        assert_eq!(
            turn(&mut costs, start, 6, &[("a", 1), ("b", 3)]),
            ["a=1", "b=3"]
        );
        // Idle between two jobs.
        assert_eq!(turn(&mut costs, start, 9, &[("a", 0), ("b", 3)]), nothing);
        assert_eq!(turn(&mut costs, start, 12, &[("a", 1), ("b", 1)]), nothing);
        assert_eq!(turn(&mut costs, start, 15, &[("a", 0), ("b", 2)]), nothing);
        // The most that it held meanwhile.
        assert_eq!(turn(&mut costs, start, 27, &[("a", 0), ("b", 0)]), ["b=2"]);
        assert_eq!(turn(&mut costs, start, 30, &[("a", 0), ("b", 0)]), ["a=0"]);
        assert_eq!(turn(&mut costs, start, 60, &[("a", 5_000)]), ["a=1000"]);
        // Silent for a while, and then back.
        assert_eq!(turn(&mut costs, start, 63, &[("b", 2)]), ["b=2"]);
    }

    #[test]
    fn what_is_not_known_to_be_written_is_tried_again_behind_the_others() {
        let (mut costs, now) = (Costs::default(), Instant::now());
        let pods = held(&[("a", 3), ("b", 0), ("c", 1)]);
        let names = |due: Vec<Due>| due.into_iter().map(|one| one.pod).collect::<Vec<_>>();
        assert_eq!(names(costs.due(&pods, now)), ["a", "c", "b"]);
        costs.begin("a");
        assert_eq!(names(costs.due(&pods, now)), ["c", "b", "a"]);
        costs.gone("c");
        costs.told(&Due {
            pod: "b".into(),
            cost: 0,
        });
        assert_eq!(names(costs.due(&pods, now)), ["a"]);
        // The name is that of a pod again only where another one comes by it.
        assert_eq!(names(costs.due(&held(&[]), now)), [""; 0]);
        assert_eq!(names(costs.due(&pods, now)), ["a", "c", "b"]);
    }

    #[test]
    fn what_waits_longest_is_freed_first() {
        let (mut costs, start) = (Costs::default(), Instant::now());
        turn(&mut costs, start, 0, &[("a", 1), ("b", 1)]);
        turn(&mut costs, start, 3, &[("a", 1), ("b", 0)]);
        turn(&mut costs, start, 6, &[("a", 0), ("b", 0)]);
        assert_eq!(
            turn(&mut costs, start, 30, &[("a", 0), ("b", 0)]),
            ["b=0", "a=0"]
        );
    }
}
