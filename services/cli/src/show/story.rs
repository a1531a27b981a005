//! A trace told as a story: what was asked, thought, drawn and found, and why it ended.

use std::fmt::Write as _;

use atelier_proto::{
    Sha256,
    http::Cost,
    plan::Plan,
    report::Thought,
    review::{Answer, Review},
    trace::{Trace, TraceJob},
};
use atelier_story::words::{self, asked, costs, place, plan_of, share, time};

use super::{Table, line, short};

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
    for named in &trace.pictures {
        let (name, digest) = (line(&named.name), digest(&named.picture.sha256));
        let _ = writeln!(out, "  brought   a picture of {name}, {digest}");
    }
    for earlier in &trace.earlier_plans {
        let made = digest(&earlier.artifact.sha256);
        let _ = writeln!(out, "\nPlan of round {}, {made}", earlier.round);
        tell_thought(out, earlier.thought.as_ref());
        if let Some(plan) = &earlier.plan {
            tell_plan(out, plan);
        }
    }
    if let Some(plan) = &trace.plan {
        let made = trace.plan_artifact.as_ref();
        let made = made.map(|made| format!(", {}", digest(&made.sha256)));
        let _ = writeln!(out, "\nPlan{}", made.unwrap_or_default());
        if trace.plan_was_given() {
            let _ = writeln!(out, "  given with the request, so that nothing was thought");
        }
        tell_thought(out, trace.thought.as_ref());
        tell_plan(out, plan);
    } else {
        tell_thought(out, trace.thought.as_ref());
    }
    let _ = writeln!(out, "\nWork");
    let mut round = 0;
    for job in &trace.jobs {
        if job.round != round {
            round = job.round;
            let _ = writeln!(out, "  Round {round}");
        }
        tell_job(out, job, plan_of(trace, round));
    }
    if !trace.decisions.is_empty() {
        let _ = writeln!(out, "\nDecisions");
    }
    for decided in &trace.decisions {
        let (round, what) = (decided.round, words::decision(decided));
        let _ = writeln!(out, "  after round {round}  {what}");
    }
    tell_cost(out, &trace.cost);
    tell_end(out, trace);
    text
}

/// The beginning of a digest: enough to tell one from another.
fn digest(sha256: &Sha256) -> String {
    short(&sha256.to_string(), 13)
}

fn tell_thought(out: &mut String, thought: Option<&Thought>) {
    let Some(thought) = thought else { return };
    let (sampled, forced) = (thought.tokens_sampled, thought.tokens_forced);
    let _ = writeln!(
        out,
        "  thought    {sampled} tokens chosen, {forced} given by the grammar"
    );
    let lines = thought.text.lines();
    for words in lines.filter(|words| !words.trim().is_empty()) {
        let _ = writeln!(out, "    {}", line(words));
    }
    let reasoning = thought.reasoning.lines();
    for words in reasoning.filter(|words| !words.trim().is_empty()) {
        let _ = writeln!(out, "    thought before: {}", line(words));
    }
    for cited in &thought.evidence {
        let (what, said) = (line(&cited.what), line(&cited.words));
        let _ = writeln!(out, "  because    {what}: {said:?}");
    }
    for note in &thought.notes {
        let _ = writeln!(out, "  note: {}", line(note));
    }
}

fn tell_plan(out: &mut String, plan: &Plan) {
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
            relation.predicate.words()
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
    let what = words::work(job);
    let mut facts = vec![line(&job.state)];
    facts.extend(job.wall_ms.map(time));
    let on_device = job
        .device_ms
        .map(|ms| format!("{} on the device", time(ms)));
    facts.extend(on_device);
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
    tell_making(out, job);
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
            digest(&artifact.sha256),
            artifact.bytes
        );
    }
    if let Some(review) = &job.review {
        tell_review(out, review, plan);
    }
}

/// On what, with which weights, and what it waited for.
fn tell_making(out: &mut String, job: &TraceJob) {
    if !job.inputs.is_empty() {
        let inputs: Vec<String> = job.inputs.iter().map(digest).collect();
        let _ = writeln!(out, "      read {}", inputs.join(" and "));
    }
    if let Some(mended) = &job.fix {
        let _ = writeln!(out, "      {}", words::fix(mended));
    }
    if let Some(left) = &job.kept {
        let _ = writeln!(out, "      {}", words::kept(left));
    }
    let Some(made) = &job.made else { return };
    let mut facts = vec![format!("on {}", line(&made.device))];
    facts.extend(
        made.weights
            .as_ref()
            .map(|weights| format!("weights {}", digest(weights))),
    );
    facts.extend(
        job.size
            .map(|size| format!("{} x {} pixels", size.width, size.height)),
    );
    facts.extend(job.batch.map(|batch| format!("{batch} at once")));
    let waited = job.started_ms.zip(job.ready_ms);
    let waited = waited.map(|(started, ready)| started.saturating_sub(ready));
    facts.extend(waited.map(|ms| format!("waited {}", time(ms))));
    if made.cached {
        facts.push("from the cache".into());
    }
    let _ = writeln!(out, "      {}", facts.join(", "));
}

fn tell_cost(out: &mut String, cost: &Cost) {
    let total = cost.total_ms();
    if total == 0 {
        return;
    }
    let mut table = Table::new(&["  ON DEVICES", "TIME", "SHARE"]);
    for (what, ms) in costs(cost) {
        table.row(&[&format!("  {what}"), &time(ms), &share(ms, total)]);
    }
    table.row(&["  all", &time(total), ""]);
    let _ = write!(out, "\nCost\n{}", table.text());
}

fn tell_review(out: &mut String, review: &Review, plan: Option<&Plan>) {
    let score = review.score();
    let (pass, fail, unknown) = (score.pass, score.fail, score.unknown);
    let _ = writeln!(out, "      {pass} right, {fail} wrong, {unknown} undecided");
    for verdict in &review.verdicts {
        let asked = asked(plan, &verdict.check);
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
    let _ = writeln!(out, "\nEnd\n  {}", words::end(trace));
    if let Some(why) = words::why_it_ended(trace) {
        let _ = writeln!(out, "  because {why}");
    }
    if let Some(finished) = &trace.finished_at {
        let _ = writeln!(out, "  at {}", line(finished));
    }
    if let Some(image) = &trace.image {
        let _ = writeln!(out, "  picture {} ({} bytes)", image.sha256, image.bytes);
    }
}

#[cfg(test)]
mod tests;
