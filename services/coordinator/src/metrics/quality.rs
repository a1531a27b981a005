//! What the traces of ended requests tell about the farm's work: how well plans were kept, what drawing again was worth, where time went.

use std::collections::BTreeMap;

use atelier_proto::{
    http::RequestState,
    job::JobKind,
    report::Coverage,
    review::{Answer, Score},
    trace::{Trace, TraceJob},
};
use atelier_story::words::plan_of;
use jiff::Timestamp;

use super::Metrics;

const RESULTS: [&str; 5] = ["first_try", "mended", "improved", "unmended", "unchecked"];
const EFFECTS: [&str; 3] = ["better", "same", "worse"];
const KINDS: [&str; 7] = [
    "presence", "count", "color", "position", "relation", "light", "text",
];

impl Metrics {
    /// Counts what one request was; call it once for each, after its trace is recorded.
    pub fn ended(&self, trace: &Trace) {
        for job in &trace.jobs {
            self.job(job);
        }
        self.answers(trace);
        self.coverage(trace);
        let scores = scores(trace);
        for effect in effects(&scores) {
            self.redraws.with_label_values(&[effect]).inc();
        }
        if trace.state != RequestState::Succeeded || trace.submitted.plan_only {
            return;
        }
        self.request_quality
            .with_label_values(&[result(&scores)])
            .inc();
        let rounds = trace.jobs.iter().map(|job| job.round).max().unwrap_or(1);
        self.request_rounds.observe(f64::from(rounds));
        if let Some(seconds) = duration(trace) {
            self.request_duration_seconds
                .with_label_values(&[
                    trace.submitted.think.as_str(),
                    trace.submitted.priority.as_str(),
                ])
                .observe(seconds);
        }
    }

    fn job(&self, job: &TraceJob) {
        let kind = &[job.kind.as_str()];
        self.job_retries
            .with_label_values(kind)
            .inc_by(u64::from(job.attempts.saturating_sub(1)));
        if let (Some(wall), Some(device)) = (job.wall_ms, job.device_ms) {
            let waited = wall.saturating_sub(device);
            self.job_wait_seconds
                .with_label_values(kind)
                .observe(waited as f64 / 1_000.0);
        }
        match (job.kind, job.state.as_str()) {
            (JobKind::Plan, "done") => self.plans.with_label_values(&["made"]).inc(),
            (JobKind::Plan, "failed") => self.plans.with_label_values(&["fallback"]).inc(),
            (JobKind::Render, "done") => {
                self.render_batch.observe(f64::from(job.batch.unwrap_or(1)));
            }
            _ => {}
        }
    }

    fn answers(&self, trace: &Trace) {
        for (kind, answer) in asked(trace) {
            self.checks
                .with_label_values(&[kind, answer_of(answer)])
                .inc();
        }
    }

    /// How much of the prompt is in the plan that was carried out, where its planner tells.
    fn coverage(&self, trace: &Trace) {
        let told = trace.thought.as_ref().and_then(|thought| thought.coverage);
        let Some(Coverage { words, uncited }) = told.filter(|told| told.words > 0) else {
            return;
        };
        let cited = words.saturating_sub(uncited);
        let think = trace.submitted.think.as_str();
        self.plan_coverage
            .with_label_values(&[think])
            .observe(f64::from(cited) / f64::from(words));
        for (word, number) in [("cited", cited), ("uncited", words - cited)] {
            self.plan_words
                .with_label_values(&[word])
                .inc_by(u64::from(number));
        }
    }

    pub(super) fn show_quality_zeros(&self) {
        for result in RESULTS {
            self.request_quality.with_label_values(&[result]);
        }
        for effect in EFFECTS {
            self.redraws.with_label_values(&[effect]);
        }
        for word in ["cited", "uncited"] {
            self.plan_words.with_label_values(&[word]);
        }
        for result in ["made", "fallback"] {
            self.plans.with_label_values(&[result]);
        }
        for kind in KINDS {
            for answer in [Answer::Pass, Answer::Fail, Answer::Unknown] {
                self.checks.with_label_values(&[kind, answer_of(answer)]);
            }
        }
    }
}

/// Every check that was answered, by its kind: a check's id means something in the plan of its round alone.
fn asked(trace: &Trace) -> Vec<(&'static str, Answer)> {
    let mut asked = Vec::new();
    for job in &trace.jobs {
        let (Some(review), Some(plan)) = (&job.review, plan_of(trace, job.round)) else {
            continue;
        };
        asked.extend(review.verdicts.iter().filter_map(|verdict| {
            let check = plan.checks.iter().find(|check| check.id == verdict.check)?;
            Some((check.question.kind(), verdict.answer))
        }));
    }
    asked
}

/// The score of each round that was looked at, in their order: of several candidates that of the best.
fn scores(trace: &Trace) -> Vec<Score> {
    let mut best: BTreeMap<u32, Score> = BTreeMap::new();
    for job in &trace.jobs {
        let Some(score) = job.review.as_ref().map(|review| review.score()) else {
            continue;
        };
        let known = best.entry(job.round).or_insert(score);
        if score.is_better_candidate(known) {
            *known = score;
        }
    }
    best.into_values().collect()
}

fn result(scores: &[Score]) -> &'static str {
    match scores {
        [] => "unchecked",
        [first, ..] if first.fail == 0 => "first_try",
        [_, later @ ..] if later.iter().any(|score| score.fail == 0) => "mended",
        [first, later @ ..] if later.iter().any(|score| score.beats(first)) => "improved",
        _ => "unmended",
    }
}

/// What each drawing again was worth, compared with the best before it.
fn effects(scores: &[Score]) -> Vec<&'static str> {
    let Some((first, later)) = scores.split_first() else {
        return Vec::new();
    };
    let mut best = *first;
    let effect = |score: &Score| {
        if score.beats(&best) {
            best = *score;
            "better"
        } else if best.beats(score) {
            "worse"
        } else {
            "same"
        }
    };
    later.iter().map(effect).collect()
}

fn duration(trace: &Trace) -> Option<f64> {
    let begun: Timestamp = trace.created_at.parse().ok()?;
    let ended: Timestamp = trace.finished_at.as_ref()?.parse().ok()?;
    Some(begun.duration_until(ended).as_secs_f64().max(0.0))
}

const fn answer_of(answer: Answer) -> &'static str {
    match answer {
        Answer::Pass => "pass",
        Answer::Fail => "fail",
        Answer::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use atelier_proto::{
        ArtifactRef, MediaType, Sha256,
        plan::{Check, Plan, Question},
        review::{Review, Verdict},
        trace::Revision,
    };

    use super::*;

    /// A trace of these jobs, as JSON tells it, so that fields that came later need not be named here.
    fn trace(jobs: &[serde_json::Value]) -> Trace {
        let trace = serde_json::json!({
            "version": 1, "request": "01900000-0000-7000-8000-000000000000", "submitted": { "prompt": "a cat" }, "seed": 7, "model": "m",
            "state": "succeeded", "created_at": "", "jobs": jobs,
        });
        serde_json::from_value(trace).unwrap()
    }

    fn job(kind: &str, round: u32) -> serde_json::Value {
        serde_json::json!({ "kind": kind, "round": round, "state": "done", "attempts": 1 })
    }

    fn review(answers: &[(&str, Answer)]) -> Option<Review> {
        let verdict = |(check, answer): &(&str, Answer)| Verdict {
            check: (*check).into(),
            answer: *answer,
            confidence: 0.9,
            found: String::new(),
            boxes: Vec::new(),
        };
        Some(Review {
            verdicts: answers.iter().map(verdict).collect(),
            ..Review::default()
        })
    }

    #[test]
    fn candidates_of_a_round_are_one_try() {
        let of = |rounds: &[(u32, Answer, Answer)]| {
            let jobs: Vec<_> = rounds
                .iter()
                .map(|(round, ..)| job("critique", *round))
                .collect();
            let mut trace = trace(&jobs);
            for (job, (_, first, second)) in trace.jobs.iter_mut().zip(rounds) {
                job.review = review(&[("k1", *first), ("k2", *second)]);
            }
            let scores = scores(&trace);
            (result(&scores), effects(&scores))
        };
        use Answer::{Fail, Pass, Unknown};
        let candidates = [(1, Fail, Pass), (1, Pass, Pass), (1, Fail, Fail)];
        assert_eq!(of(&candidates), ("first_try", vec![]));
        // As many pass, and fewer fail.
        let candidates = [(1, Pass, Fail), (1, Pass, Unknown)];
        assert_eq!(of(&candidates), ("first_try", vec![]));
        let redrawn = [(1, Fail, Fail), (1, Fail, Pass), (2, Fail, Pass)];
        assert_eq!(of(&redrawn), ("unmended", vec!["same"]));
    }

    #[test]
    fn a_check_is_counted_as_what_its_round_asked() {
        let asks = |question: Question| {
            let mut plan = Plan::direct("a cat");
            plan.checks.push(Check {
                id: "k1".into(),
                question,
            });
            plan
        };
        let cat = || "cat".to_owned();
        let first = asks(Question::Presence { element: cat() });
        let second = asks(Question::Count {
            noun: cat(),
            expect: 1,
        });
        let artifact = |byte| ArtifactRef {
            sha256: Sha256([byte; 32]),
            bytes: 9,
            media_type: MediaType::Json,
        };
        let jobs = [
            job("plan", 1),
            job("critique", 1),
            job("plan", 2),
            job("critique", 2),
        ];
        let mut trace = trace(&jobs);
        trace.jobs[0].artifact = Some(artifact(1));
        trace.jobs[1].review = review(&[("k1", Answer::Fail), ("k9", Answer::Pass)]);
        trace.jobs[2].artifact = Some(artifact(2));
        trace.jobs[3].review = review(&[("k1", Answer::Pass)]);
        trace.plan = Some(second);
        trace.earlier_plans = vec![Revision {
            round: 1,
            artifact: artifact(1),
            plan: Some(first),
            thought: None,
        }];
        let counted = asked(&trace);
        assert_eq!(
            counted,
            [("presence", Answer::Fail), ("count", Answer::Pass)]
        );
    }

    const fn score(pass: u32, fail: u32) -> Score {
        Score {
            pass,
            fail,
            unknown: 1,
        }
    }

    #[test]
    fn a_request_is_called_by_what_its_critiques_found() {
        for (scores, called, redrawn) in [
            (vec![], "unchecked", vec![]),
            (vec![score(3, 0)], "first_try", vec![]),
            (vec![score(2, 1)], "unmended", vec![]),
            (vec![score(2, 1), score(3, 0)], "mended", vec!["better"]),
            (
                vec![score(1, 2), score(2, 1), score(2, 1)],
                "improved",
                vec!["better", "same"],
            ),
            (
                vec![score(2, 1), score(1, 2), score(2, 1)],
                "unmended",
                vec!["worse", "same"],
            ),
        ] {
            assert_eq!(result(&scores), called, "{scores:?}");
            assert_eq!(effects(&scores), redrawn, "{scores:?}");
        }
    }
}
