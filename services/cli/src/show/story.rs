//! A trace told as a story: what was asked, thought, drawn and found, and why it ended.

use std::fmt::Write as _;

use atelier_proto::{
    http::RequestState,
    job::JobKind,
    plan::{BBox, Plan, Predicate, Question},
    review::{Answer, Review},
    trace::{Trace, TraceJob},
};

use super::{line, short};

/// The story of a trace, for people.
pub fn story(trace: &Trace) -> String {
    let mut text = String::new();
    let out = &mut text;
    let _ = writeln!(out, "Request {}", trace.request);
    let _ = writeln!(out, "  asked     {}", line(&trace.submitted.prompt));
    let _ = writeln!(
        out,
        "  seed      {}, model {}",
        trace.seed,
        line(&trace.model)
    );
    let _ = writeln!(out, "  accepted  {}", line(&trace.created_at));
    for reference in &trace.submitted.references {
        let _ = writeln!(out, "  brought   a picture of {}", line(&reference.name));
    }
    if let Some(thought) = &trace.thought {
        let (sampled, forced) = (thought.tokens_sampled, thought.tokens_forced);
        let _ = writeln!(
            out,
            "\nThought ({sampled} tokens chosen, {forced} given by the grammar)"
        );
        for words in thought
            .text
            .lines()
            .filter(|words| !words.trim().is_empty())
        {
            let _ = writeln!(out, "  {}", line(words));
        }
        for note in &thought.notes {
            let _ = writeln!(out, "  note: {}", line(note));
        }
    }
    if let Some(plan) = &trace.plan {
        tell_plan(out, plan);
    }
    let _ = writeln!(out, "\nWork");
    let mut round = 0;
    for job in &trace.jobs {
        if job.round != round {
            round = job.round;
            let _ = writeln!(out, "  Round {round}");
        }
        tell_job(out, job, trace.plan.as_ref());
    }
    tell_end(out, trace);
    text
}

fn tell_plan(out: &mut String, plan: &Plan) {
    let _ = writeln!(out, "\nPlan");
    for (name, value) in [
        ("reasoning", &plan.reasoning),
        ("caption", &plan.caption),
        ("style", &plan.style),
        ("lighting", &plan.lighting),
        ("background", &plan.background),
    ] {
        if !value.is_empty() {
            let _ = writeln!(out, "  {name:10} {}", line(value));
        }
    }
    for element in &plan.elements {
        let colors = element.colors.join(", ");
        let attributes = element.attributes.join(", ");
        let place = element
            .bbox
            .as_ref()
            .map_or_else(|| "anywhere".into(), place);
        let words = [colors, attributes]
            .into_iter()
            .filter(|words| !words.is_empty());
        let words: Vec<String> = words.map(|words| line(&words)).collect();
        let words = if words.is_empty() {
            String::new()
        } else {
            format!(" ({})", words.join("; "))
        };
        let picture = element
            .reference
            .as_deref()
            .map(|name| format!(", after {}", line(name)));
        let _ = writeln!(
            out,
            "  element    {}: {}{words} at {place}{}",
            line(&element.id),
            line(&element.noun),
            picture.unwrap_or_default()
        );
    }
    for relation in &plan.relations {
        let (subject, object) = (line(&relation.subject), line(&relation.object));
        let _ = writeln!(
            out,
            "  relation   {subject} {} {object}",
            predicate(relation.predicate)
        );
    }
    for stage in &plan.stages {
        let inputs = stage.op.inputs();
        let from = if inputs.is_empty() {
            String::new()
        } else {
            format!(" of {}", line(&inputs.join(" and ")))
        };
        let _ = writeln!(
            out,
            "  stage      {}: {}{from}",
            line(&stage.id),
            stage.op.name()
        );
    }
}

fn tell_job(out: &mut String, job: &TraceJob, plan: Option<&Plan>) {
    let what = match job.kind {
        JobKind::Plan => "plan".to_owned(),
        JobKind::Render => {
            let stage = line(job.stage.as_deref().unwrap_or("?"));
            format!(
                "draw {stage} ({})",
                line(job.op.as_deref().unwrap_or("generate"))
            )
        }
        JobKind::Critique => "check".to_owned(),
    };
    let mut facts = vec![line(&job.state)];
    facts.extend(job.wall_ms.map(|ms| format!("{:.2} s", ms as f64 / 1000.0)));
    facts.extend(
        job.device_ms
            .map(|ms| format!("{:.2} s on the device", ms as f64 / 1000.0)),
    );
    facts.extend(job.steps.map(|steps| format!("{steps} steps")));
    facts.extend(job.seed.map(|seed| format!("seed {seed}")));
    if job.attempts > 1 {
        facts.push(format!("{} attempts", job.attempts));
    }
    facts.extend(
        job.worker
            .as_deref()
            .map(|worker| format!("by {}", line(worker))),
    );
    let _ = writeln!(out, "    {what}: {}", facts.join(", "));
    if let Some(reason) = &job.reason {
        let _ = writeln!(out, "      because {}", line(reason));
    }
    for used in &job.references {
        let _ = writeln!(
            out,
            "      {} drawn after {}",
            line(&used.element),
            line(&used.reference)
        );
    }
    if let Some(artifact) = &job.artifact {
        let _ = writeln!(
            out,
            "      made {} ({} bytes)",
            short(&artifact.sha256.to_string(), 13),
            artifact.bytes
        );
    }
    if let Some(review) = &job.review {
        tell_review(out, review, plan);
    }
}

fn tell_review(out: &mut String, review: &Review, plan: Option<&Plan>) {
    let score = review.score();
    let (pass, fail, unknown) = (score.pass, score.fail, score.unknown);
    let _ = writeln!(out, "      {pass} right, {fail} wrong, {unknown} undecided");
    for verdict in &review.verdicts {
        let check =
            plan.and_then(|plan| plan.checks.iter().find(|check| check.id == verdict.check));
        let asked = check.map_or_else(|| line(&verdict.check), |check| question(&check.question));
        let answer = match verdict.answer {
            Answer::Pass => "yes",
            Answer::Fail => "NO",
            Answer::Unknown => "?",
        };
        let places: Vec<String> = verdict.boxes.iter().map(place).collect();
        let places = if places.is_empty() {
            String::new()
        } else {
            format!(" at {}", places.join(" and "))
        };
        let (found, confidence) = (line(&verdict.found), verdict.confidence);
        let _ = writeln!(
            out,
            "      {answer:3} {asked} {found}{places} ({confidence:.2})"
        );
    }
    for seen in &review.seen {
        let color = seen
            .color
            .as_deref()
            .map(|color| format!("{} ", line(color)));
        let (name, at) = (line(&seen.name), place(&seen.bbox));
        let _ = writeln!(
            out,
            "      saw {}{name} at {at} ({:.2})",
            color.unwrap_or_default(),
            seen.confidence
        );
    }
}

fn tell_end(out: &mut String, trace: &Trace) {
    let rounds = trace.jobs.iter().map(|job| job.round).max().unwrap_or(0);
    let rounds = if rounds == 1 {
        "1 round".to_owned()
    } else {
        format!("{rounds} rounds")
    };
    let end = match trace.state {
        RequestState::Active => "still being worked on",
        RequestState::Succeeded => "succeeded",
        RequestState::Failed => "failed",
        RequestState::Canceled => "was canceled",
    };
    let _ = writeln!(out, "\nEnd\n  {end} after {rounds}");
    if let Some(reason) = &trace.reason {
        let _ = writeln!(out, "  because {}", line(reason));
    } else if let Some(why) = why_it_ended(trace) {
        let _ = writeln!(out, "  because {why}");
    }
    if let Some(finished) = &trace.finished_at {
        let _ = writeln!(out, "  at {}", line(finished));
    }
    if let Some(image) = &trace.image {
        let _ = writeln!(out, "  picture {} ({} bytes)", image.sha256, image.bytes);
    }
}

/// Why a success came when it did: read off the last review.
fn why_it_ended(trace: &Trace) -> Option<String> {
    if trace.state != RequestState::Succeeded {
        return None;
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

/// A box in per cent: from left to right, from top to bottom.
fn place(place: &BBox) -> String {
    let [x0, y0, x1, y1] = place.0.map(|part| (part * 100.0).round() as i32);
    format!("x {x0}-{x1} %, y {y0}-{y1} %")
}

fn predicate(predicate: Predicate) -> &'static str {
    match predicate {
        Predicate::LeftOf => "left of",
        Predicate::RightOf => "right of",
        Predicate::Above => "above",
        Predicate::Below => "below",
        Predicate::On => "on",
        Predicate::In => "in",
        Predicate::Near => "near",
        Predicate::Behind => "behind",
        Predicate::InFrontOf => "in front of",
    }
}

fn question(question: &Question) -> String {
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
        } => format!("is {} {} {}?", line(subject), predicate(*how), line(object)),
        Question::Text { expect } => format!("does it say {:?}?", line(expect)),
    }
}

#[cfg(test)]
mod tests;
