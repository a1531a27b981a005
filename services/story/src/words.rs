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

/// A time as people say it: `12 ms`, `1.50 s`, `1 min 1 s`.
pub fn time(ms: u64) -> String {
    match ms {
        0..100 => format!("{ms} ms"),
        100..60_000 => format!("{:.2} s", ms as f64 / 1_000.0),
        _ => format!("{} min {} s", ms / 60_000, ms / 1_000 % 60),
    }
}

/// A box in per cent: from left to right, from top to bottom.
pub fn place(place: &BBox) -> String {
    let [x0, y0, x1, y1] = place.0.map(|part| (part * 100.0).round() as i32);
    format!("x {x0}-{x1} %, y {y0}-{y1} %")
}

/// Where the middle of a box is: `on the left`.
pub fn whereabouts(place: &BBox) -> &'static str {
    let third = |at: f32| match at {
        at if at < 0.37 => 0,
        at if at > 0.63 => 2,
        _ => 1,
    };
    let (x, y) = place.center();
    match (third(x), third(y)) {
        (0, 0) => "at the top left",
        (1, 0) => "at the top",
        (2, 0) => "at the top right",
        (0, 1) => "on the left",
        (2, 1) => "on the right",
        (0, 2) => "at the bottom left",
        (1, 2) => "at the bottom",
        (2, 2) => "at the bottom right",
        _ => "in the middle",
    }
}

/// A check of a plan as a question, which names things by their nouns.
pub fn question(plan: &Plan, question: &Question) -> String {
    let noun = |id: &str| {
        let element = plan.element(id);
        line(element.map_or(id, |element| element.noun.as_str()))
    };
    match question {
        Question::Presence { element } => {
            let noun = noun(element);
            format!("Is there {} {noun}?", article(&noun))
        }
        Question::Count { noun, expect: 1 } => format!("Is there exactly one {}?", line(noun)),
        Question::Count { noun, expect } => {
            format!("Is the number of {} exactly {expect}?", line(noun))
        }
        Question::Color { element, expect } => {
            format!("Is the {} {}?", noun(element), line(expect))
        }
        Question::Position { element, expect } => {
            format!("Is the {} {}?", noun(element), whereabouts(expect))
        }
        Question::Relation {
            subject,
            predicate: how,
            object,
        } => {
            let (subject, object) = (noun(subject), noun(object));
            format!("Is the {subject} {} the {object}?", how.words())
        }
        Question::Light { expect } => format!("Is it {}?", line(expect)),
        Question::Text { expect } => format!("Does it say \u{201c}{}\u{201d}?", line(expect)),
    }
}

/// By the first letter, which is right often enough.
fn article(noun: &str) -> &'static str {
    let vowel = noun.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']);
    if vowel { "an" } else { "a" }
}

/// What a check asks; its id where the plan does not have it.
pub fn asked(plan: Option<&Plan>, check: &str) -> String {
    let known = plan.and_then(|plan| {
        let known = plan.checks.iter().find(|known| known.id == check)?;
        Some(question(plan, &known.question))
    });
    known.unwrap_or_else(|| line(check))
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
    fn checks_are_asked_by_nouns_and_places_by_words() {
        let mut plan = sample::trace().plan.unwrap();
        plan.elements[0].noun = "orange cat".into();
        let cat = || "cat".to_owned();
        let asked = |asked: Question| question(&plan, &asked);
        assert_eq!(
            asked(Question::Presence { element: cat() }),
            "Is there an orange cat?"
        );
        let left = BBox([0.0, 0.4, 0.3, 0.6]);
        let place = Question::Position {
            element: cat(),
            expect: left,
        };
        assert_eq!(asked(place), "Is the orange cat on the left?");
        let count = |expect| Question::Count {
            noun: "cat\n".into(),
            expect,
        };
        assert_eq!(asked(count(1)), "Is there exactly one cat ?");
        assert_eq!(asked(count(3)), "Is the number of cat  exactly 3?");
        assert_eq!(whereabouts(&BBox([0.0, 0.0, 0.3, 0.3])), "at the top left");
        assert_eq!(whereabouts(&BBox([0.4, 0.4, 0.6, 0.6])), "in the middle");
    }

    #[test]
    fn times_and_shares() {
        let times = [time(99), time(1_499), time(61_000)];
        assert_eq!(times, ["99 ms", "1.50 s", "1 min 1 s"]);
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
