//! One look at the farm, and what a coordinator's `/metrics` say of queues and ends (Prometheus text format 0.0.4).

use std::time::Instant;

use atelier_proto::{
    http::{RequestSummary, WorkerView},
    job::JobKind,
};
use serde::Serialize;

use crate::commands::capacity::samples::sample;

/// What was seen.
#[derive(Debug, Serialize)]
pub struct Reading {
    /// What the coordinator counts.
    #[serde(flatten)]
    pub counts: Counts,
    /// Since the look before; none of the first one.
    pub pictures_a_second: Option<f64>,
    /// Those that were heard.
    pub workers: Vec<WorkerView>,
    /// The newest requests that are worked on.
    pub active: Vec<RequestSummary>,
    /// When.
    #[serde(skip)]
    pub at: Instant,
}

/// What a coordinator counts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Counts {
    /// Requests that it ended with a picture since it started.
    pub succeeded: u64,
    /// Without one.
    pub failed: u64,
    /// Because the user stopped them.
    pub canceled: u64,
    /// Jobs of each kind, in the farm.
    pub queues: Vec<Queue>,
}

/// Jobs of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Queue {
    /// The kind.
    pub kind: JobKind,
    /// Jobs that no worker has yet.
    pub waiting: u64,
    /// Jobs that went out.
    pub at_work: u64,
    /// How long the oldest waits, in seconds.
    pub oldest_s: f64,
}

impl Reading {
    /// Pictures a second from this look to a later one.
    pub fn rate(&self, later: &Counts, at: Instant) -> Option<f64> {
        let seconds = at.saturating_duration_since(self.at).as_secs_f64();
        // A coordinator that was started anew begins at 0.
        let ended = later.succeeded.checked_sub(self.counts.succeeded)?;
        (seconds > 0.0).then(|| ended as f64 / seconds)
    }
}

impl Counts {
    /// Reads what is there; lines that are none of ours count for nothing.
    pub fn read(text: &str) -> Self {
        let empty = |kind| Queue {
            kind,
            waiting: 0,
            at_work: 0,
            oldest_s: 0.0,
        };
        let mut counts = Self {
            succeeded: 0,
            failed: 0,
            canceled: 0,
            queues: JobKind::ALL.map(empty).to_vec(),
        };
        for (series, value) in text.lines().filter_map(sample) {
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let whole = value as u64;
            let kind = label(labels, "kind");
            let mut queues = counts.queues.iter_mut();
            let queue = queues.find(|queue| Some(queue.kind.as_str()) == kind);
            match (name, queue, label(labels, "state")) {
                ("atelier_requests_ended_total", _, Some("succeeded")) => counts.succeeded = whole,
                ("atelier_requests_ended_total", _, Some("failed")) => counts.failed = whole,
                ("atelier_requests_ended_total", _, Some("canceled")) => counts.canceled = whole,
                // One series for each priority and model.
                ("atelier_jobs", Some(queue), Some("ready")) => {
                    queue.waiting = queue.waiting.saturating_add(whole);
                }
                ("atelier_jobs", Some(queue), Some("dispatched")) => {
                    queue.at_work = queue.at_work.saturating_add(whole);
                }
                ("atelier_oldest_ready_job_seconds", Some(queue), _) => {
                    queue.oldest_s = queue.oldest_s.max(value);
                }
                _ => {}
            }
        }
        counts
    }
}

/// The value of a label; those that are looked for hold neither quotes nor commas.
fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    labels
        .trim_end_matches('}')
        .split(',')
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(known, value)| (known == name).then(|| value.trim_matches('"')))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn series_of_one_kind_are_added_up() {
        let text = "# TYPE atelier_jobs gauge\n\
            atelier_jobs{kind=\"render\",model=\"a\",priority=\"normal\",state=\"ready\"} 3\n\
            atelier_jobs{kind=\"render\",model=\"b\",priority=\"batch\",state=\"ready\"} 4\n\
            atelier_jobs{kind=\"plan\",model=\"a\",priority=\"batch\",state=\"dispatched\"} 2\n\
            atelier_oldest_ready_job_seconds{kind=\"render\",model=\"a\",priority=\"normal\"} 1.5\n\
            atelier_oldest_ready_job_seconds{kind=\"render\",model=\"b\",priority=\"batch\"} 0.5\n\
            atelier_requests_ended_total{state=\"succeeded\"} 120\n\
            atelier_requests_ended_total{state=\"failed\"} 3\nrubbish\n";
        let counts = Counts::read(text);
        assert_eq!(
            (counts.succeeded, counts.failed, counts.canceled),
            (120, 3, 0)
        );
        let of = |kind| {
            counts
                .queues
                .iter()
                .find(|queue| queue.kind == kind)
                .unwrap()
        };
        assert_eq!(of(JobKind::Render).waiting, 7);
        assert_eq!(of(JobKind::Render).oldest_s, 1.5);
        assert_eq!(of(JobKind::Plan).at_work, 2);
        assert_eq!(of(JobKind::Critique).waiting, 0);
    }

    #[test]
    fn numbers_beyond_all_jobs_are_as_many_as_can_be_counted() {
        let series = |model| {
            format!("atelier_jobs{{kind=\"render\",model=\"{model}\",state=\"ready\"}} 2e19\n")
        };
        let counts = Counts::read(&(series("a") + &series("b")));
        let mut queues = counts.queues.iter();
        let render = queues.find(|queue| queue.kind == JobKind::Render).unwrap();
        assert_eq!(render.waiting, u64::MAX);
    }

    #[test]
    fn a_coordinator_that_was_started_anew_has_no_rate() {
        let at = Instant::now();
        let counts = |succeeded| Counts {
            succeeded,
            ..Counts::read("")
        };
        let before = Reading {
            counts: counts(10),
            pictures_a_second: None,
            workers: Vec::new(),
            active: Vec::new(),
            at,
        };
        let later = at + Duration::from_secs(2);
        assert_eq!(before.rate(&counts(15), later), Some(2.5));
        assert_eq!(before.rate(&counts(3), later), None);
    }
}
