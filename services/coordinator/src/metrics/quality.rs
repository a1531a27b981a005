//! What the traces of ended requests tell about the farm's work: how well plans were kept, what drawing again was worth, where time went.

use atelier_proto::{
    http::RequestState,
    job::JobKind,
    report::Coverage,
    review::{Answer, Score},
    trace::{Trace, TraceJob},
};
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
        let Some(plan) = &trace.plan else { return };
        let reviews = trace.jobs.iter().filter_map(|job| job.review.as_ref());
        for verdict in reviews.flat_map(|review| &review.verdicts) {
            let asked = plan.checks.iter().find(|check| check.id == verdict.check);
            if let Some(check) = asked {
                self.checks
                    .with_label_values(&[check.question.kind(), answer_of(verdict.answer)])
                    .inc();
            }
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

/// Scores of the critiques that were made, in the order of their rounds.
fn scores(trace: &Trace) -> Vec<Score> {
    let mut scored: Vec<_> = trace
        .jobs
        .iter()
        .filter_map(|job| Some((job.round, job.review.as_ref()?.score())))
        .collect();
    scored.sort_by_key(|(round, _)| *round);
    scored.into_iter().map(|(_, score)| score).collect()
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
    use super::*;

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
