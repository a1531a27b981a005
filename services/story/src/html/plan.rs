//! What was thought and planned, every revision of it.

use std::fmt::Write as _;

use atelier_proto::{
    plan::{Element, Plan},
    report::{Cited, Thought},
    trace::Trace,
};

use super::text::{Esc, row};
use crate::words::{line, place};

pub fn tell(out: &mut String, trace: &Trace) {
    if trace.plan.is_none() && trace.thought.is_none() && trace.earlier_plans.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "<section aria-labelledby=\"plan\">\n<h2 id=\"plan\">Plan</h2>"
    );
    for earlier in &trace.earlier_plans {
        let _ = writeln!(
            out,
            "<details>\n<summary>The plan of round {}, which another one took the place of</summary>",
            earlier.round
        );
        one(out, earlier.plan.as_ref(), earlier.thought.as_ref());
        let _ = writeln!(out, "</details>");
    }
    if trace.plan_was_given() {
        let _ = writeln!(out, "<p>It came with the request: nothing was planned.</p>");
    }
    one(out, trace.plan.as_ref(), trace.thought.as_ref());
    if let Some(artifact) = &trace.plan_artifact {
        let _ = writeln!(
            out,
            "<p class=\"digest\">SHA-256 <code>{}</code></p>",
            artifact.sha256
        );
    }
    let _ = writeln!(out, "</section>");
}

fn one(out: &mut String, plan: Option<&Plan>, thought: Option<&Thought>) {
    match plan {
        Some(plan) => about(out, plan),
        None => {
            let _ = writeln!(out, "<p class=\"gap\">The plan is not stored any more.</p>");
        }
    }
    if let Some(thought) = thought {
        how(out, thought);
    }
}

fn about(out: &mut String, plan: &Plan) {
    let _ = writeln!(out, "<dl class=\"facts\">");
    for (name, value) in [
        ("Reasoning", &plan.reasoning),
        ("Caption", &plan.caption),
        ("Style", &plan.style),
        ("Lighting", &plan.lighting),
        ("Background", &plan.background),
    ] {
        if !value.is_empty() {
            row(out, name, value);
        }
    }
    for relation in &plan.relations {
        let how = relation.predicate.words();
        row(
            out,
            "Relation",
            &format!("{} {how} {}", relation.subject, relation.object),
        );
    }
    for stage in &plan.stages {
        let inputs = stage.op.inputs().join(" and ");
        let of = if inputs.is_empty() {
            String::new()
        } else {
            format!(" of {inputs}")
        };
        row(
            out,
            "Stage",
            &format!("{}: {}{of}", stage.id, stage.op.name()),
        );
    }
    let _ = writeln!(out, "</dl>");
    if !plan.elements.is_empty() {
        elements(out, &plan.elements);
    }
}

fn elements(out: &mut String, elements: &[Element]) {
    let _ = writeln!(
        out,
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Things of the plan\"><table>\n<thead><tr>\
         <th scope=\"col\">Thing</th><th scope=\"col\">What</th><th scope=\"col\">Words</th><th scope=\"col\">Where</th><th scope=\"col\">After</th>\
         </tr></thead>\n<tbody>"
    );
    for element in elements {
        let words: Vec<&str> = element
            .colors
            .iter()
            .chain(&element.attributes)
            .map(String::as_str)
            .collect();
        let bbox = element
            .bbox
            .as_ref()
            .map_or_else(|| "anywhere".into(), place);
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{bbox}</td><td>{}</td></tr>",
            Esc(&element.id),
            Esc(&element.noun),
            Esc(&words.join(", ")),
            Esc(element.reference.as_deref().unwrap_or(""))
        );
    }
    let _ = writeln!(out, "</tbody>\n</table></div>");
}

fn how(out: &mut String, thought: &Thought) {
    for note in &thought.notes {
        let _ = writeln!(out, "<p class=\"note\">Note: {}</p>", Esc(&line(note)));
    }
    if !thought.evidence.is_empty() {
        evidence(out, &thought.evidence);
    }
    let (sampled, forced) = (thought.tokens_sampled, thought.tokens_forced);
    let _ = writeln!(
        out,
        "<details>\n<summary>The thought: {sampled} tokens chosen, {forced} given by the grammar</summary>\n<pre tabindex=\"0\">{}</pre>\n</details>",
        Esc(thought_of(thought).trim())
    );
}

/// Which words of the prompt what stands in the plan comes from.
fn evidence(out: &mut String, evidence: &[Cited]) {
    let _ = writeln!(
        out,
        "<details>\n<summary>What it comes from in the prompt</summary>\n<dl class=\"facts\">"
    );
    for cited in evidence {
        row(
            out,
            &cited.what,
            &format!("\u{201c}{}\u{201d}", cited.words),
        );
    }
    let _ = writeln!(out, "</dl>\n</details>");
}

/// What was thought in free words, then what was written.
fn thought_of(thought: &Thought) -> String {
    format!("{}\n\n{}", thought.reasoning, thought.text)
}
