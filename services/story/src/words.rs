//! The parts of a trace in words.

use atelier_proto::{
    http::{Cost, RequestState},
    job::JobKind,
    plan::{BBox, Plan, Question},
    report::Kept,
    review::{Decision, Fix, FixKind, OutcomeMark},
    trace::{Trace, TraceJob},
};

/// One line of text from elsewhere: what could steer a terminal is left out.
pub fn line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// A time as people say it: `12 ms`, `1.50 s`.
pub fn time(ms: u64) -> String {
    match ms {
        0..100 => format!("{ms} ms"),
        _ => format!("{:.2} s", ms as f64 / 1_000.0),
    }
}

/// A box in per cent: from left to right, from top to bottom.
pub fn place(place: &BBox) -> String {
    let [x0, y0, x1, y1] = place.0.map(|part| (part * 100.0).round() as i32);
    format!("x {x0}-{x1} %, y {y0}-{y1} %")
}

/// A check as a question.
pub fn question(question: &Question) -> String {
    match question {
        Question::Presence { element } => format!("is there {}?", line(element)),
        Question::Count { noun, expect } => format!("exactly {expect} {}?", line(noun)),
        Question::Color { element, expect } => format!("is {} {}?", line(element), line(expect)),
        Question::Position { element, expect } => {
            format!("is {} at {}?", line(element), place(expect))
        }
        Question::Relation {
            subject,
            predicate: how,
            object,
        } => format!("is {} {} {}?", line(subject), how.words(), line(object)),
        Question::Light { expect } => format!("is it {}?", line(expect)),
        Question::Text { expect } => format!("does it say {:?}?", line(expect)),
    }
}

/// What a check asks; its id where the plan does not have it.
pub fn asked(plan: Option<&Plan>, check: &str) -> String {
    let known = plan.and_then(|plan| plan.checks.iter().find(|known| known.id == check));
    known.map_or_else(|| line(check), |known| question(&known.question))
}

/// The plan that the jobs of a round carried out.
pub fn plan_of(trace: &Trace, round: u32) -> Option<&Plan> {
    let planned = |job: &&TraceJob| job.kind == JobKind::Plan && job.round <= round;
    let newest = trace.jobs.iter().rfind(planned);
    let artifact = newest.and_then(|job| job.artifact);
    let mut earlier = trace.earlier_plans.iter();
    match earlier.find(|earlier| Some(earlier.artifact) == artifact) {
        Some(earlier) => earlier.plan.as_ref(),
        None => trace.plan.as_ref(),
    }
}

/// What a job did: `draw out (generate)`.
pub fn work(job: &TraceJob) -> String {
    match job.kind {
        JobKind::Plan => "plan".to_owned(),
        JobKind::Render => {
            let stage = line(job.stage.as_deref().unwrap_or("?"));
            let op = line(job.op.as_deref().unwrap_or("generate"));
            format!("draw {stage} ({op})")
        }
        JobKind::Critique => "check".to_owned(),
    }
}

/// What a repair did: `adds a red cat at x 0-25 %, y 0-25 %`.
pub fn fix(fix: &Fix) -> String {
    let what = match fix.kind {
        FixKind::Add => "adds",
        FixKind::Erase => "erases",
        FixKind::Recolor => "recolours",
        FixKind::Relight => return format!("changes the light: {}", line(&fix.instruction)),
    };
    let (noun, words) = (line(&fix.noun), line(&fix.instruction));
    format!("{what} {noun} at {}: {words}", place(&fix.bbox))
}

/// What a repair or a blend left as it was.
pub fn kept(kept: &Kept) -> String {
    let (pixels, difference) = (kept.pixels, kept.difference);
    format!("{pixels} pixels that had to stay were compared; they differ by {difference} of 255")
}

/// A decision with its reason: `repair: the radio is missing (k1, k2)`.
pub fn decision(decision: &Decision) -> String {
    let (action, reason) = (decision.action.as_str(), line(&decision.reason));
    let checks = line(&decision.checks.join(", "));
    match checks.is_empty() {
        true => format!("{action}: {reason}"),
        false => format!("{action}: {reason} ({checks})"),
    }
}

/// How a request ended: `succeeded after 2 rounds`.
pub fn end(trace: &Trace) -> String {
    let rounds = trace.jobs.iter().map(|job| job.round).max().unwrap_or(0);
    let rounds = match rounds {
        1 => "1 round".to_owned(),
        rounds => format!("{rounds} rounds"),
    };
    let end = match trace.state {
        RequestState::Active => "still being worked on",
        RequestState::Succeeded => "succeeded",
        RequestState::Failed => "failed",
        RequestState::Canceled => "was canceled",
    };
    format!("{end} after {rounds}")
}

/// Why it ended: what it says itself, or what the last review tells of a success.
pub fn why_it_ended(trace: &Trace) -> Option<String> {
    if let Some(reason) = &trace.reason {
        return Some(line(reason));
    }
    if trace.state != RequestState::Succeeded {
        return None;
    }
    if let Some(OutcomeMark::BestSoFar { reason }) = &trace.outcome {
        return Some(format!("{}; the best picture was kept", line(reason)));
    }
    let Some(review) = trace.jobs.iter().rev().find_map(|job| job.review.as_ref()) else {
        return Some("nothing was to be checked".into());
    };
    let score = review.score();
    let asked = score.pass + score.fail + score.unknown;
    Some(match score.fail {
        0 if score.unknown == 0 => format!("all {asked} checks passed"),
        0 => format!("no check failed ({} of {asked} undecided)", score.unknown),
        _ => "the rounds were used up; the best picture was kept".into(),
    })
}

/// What device time was spent on, largest parts of a farm's work first; what took none is left out.
pub fn costs(cost: &Cost) -> Vec<(&'static str, u64)> {
    let all = [
        ("drawing", cost.render_ms),
        ("planning", cost.plan_ms),
        ("checking", cost.critique_ms),
        ("repairing", cost.repair_ms),
    ];
    all.into_iter().filter(|(_, ms)| *ms > 0).collect()
}

/// A part of a whole in per cent.
pub fn share(part: u64, whole: u64) -> String {
    format!("{:.0} %", part as f64 * 100.0 / whole.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use atelier_proto::review::Answer;

    use super::*;
    use crate::sample;

    #[test]
    fn the_end_follows_from_the_last_review() {
        let mut trace = sample::trace();
        assert_eq!(end(&trace), "succeeded after 1 round");
        let why = |trace: &Trace| why_it_ended(trace).unwrap();
        assert!(why(&trace).contains("rounds were used up"));
        let review = trace.jobs[2].review.as_mut().unwrap();
        review.verdicts[0].answer = Answer::Pass;
        assert_eq!(why(&trace), "all 1 checks passed");
        trace.outcome = Some(OutcomeMark::BestSoFar {
            reason: "no time was left".into(),
        });
        assert_eq!(why(&trace), "no time was left; the best picture was kept");
        trace.outcome = None;
        trace.jobs[2].review = None;
        assert_eq!(why(&trace), "nothing was to be checked");
        trace.state = RequestState::Failed;
        assert_eq!(why_it_ended(&trace), None);
        trace.reason = Some("no\nworker".into());
        assert_eq!(why(&trace), "no worker");
    }

    #[test]
    fn times_and_shares() {
        assert_eq!((time(99), time(1_499)), ("99 ms".into(), "1.50 s".into()));
        assert_eq!((share(1, 3), share(0, 0)), ("33 %".into(), "0 %".into()));
        let cost = Cost {
            plan_ms: 1,
            render_ms: 0,
            critique_ms: 2,
            repair_ms: 0,
        };
        assert_eq!(costs(&cost), [("planning", 1), ("checking", 2)]);
    }
}
