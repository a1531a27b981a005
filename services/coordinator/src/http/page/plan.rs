//! The plan as people read it, and its checks with their answers.

use atelier_proto::{
    plan::{Element, Plan},
    review::{Answer, Review, Verdict},
    trace::Trace,
};
use atelier_story::words::question;
use maud::{Markup, html};

/// The checks, answered as far as they are.
pub fn checks(trace: &Trace, review: Option<&Review>, is_active: bool) -> Markup {
    let Some(plan) = trace.plan.as_ref().filter(|plan| !plan.checks.is_empty()) else {
        return html! {};
    };
    let answer = |id: &str| {
        let verdicts = review.map(|review| review.verdicts.as_slice());
        verdicts
            .unwrap_or_default()
            .iter()
            .find(|verdict| verdict.check == id)
    };
    html! {
        section aria-labelledby="checks-title" {
            h2 #checks-title { "Checks" }
            ul.checks {
                @for check in &plan.checks {
                    (row(&question(plan, &check.question), answer(&check.id), is_active))
                }
            }
        }
    }
}

fn row(question: &str, verdict: Option<&Verdict>, is_active: bool) -> Markup {
    let (class, sign, word) = match verdict.map(|verdict| verdict.answer) {
        Some(Answer::Pass) => ("pass", "✓", "passed"),
        Some(Answer::Fail) => ("fail", "✗", "failed"),
        Some(Answer::Unknown) => ("unknown", "?", "undecided"),
        None if is_active => ("open", "·", "not looked at yet"),
        None => ("open", "·", "not looked at"),
    };
    html! {
        li class=(class) {
            span.mark aria-hidden="true" { (sign) }
            span { (question) " " span.quiet { (word) } }
            @if let Some(verdict) = verdict {
                @if !verdict.found.is_empty() { span.found { (verdict.found) } }
            }
        }
    }
}

/// The plan, or that there is none.
pub fn plan(trace: &Trace, is_active: bool) -> Markup {
    html! {
        section aria-labelledby="plan-title" {
            h2 #plan-title { "Plan" }
            @match &trace.plan {
                Some(plan) => (written(plan)),
                None if is_active => p.hint { "It is being written." },
                None => p.hint { "There is none." },
            }
            @if let Some(thought) = &trace.thought {
                @if !thought.reasoning.is_empty() || !thought.text.is_empty() || !thought.notes.is_empty() {
                    details #thought {
                        summary { "How it came about" }
                        @if !thought.reasoning.is_empty() { p.thought { (thought.reasoning) } }
                        @if !thought.text.is_empty() { p.thought { (thought.text) } }
                        ul { @for note in &thought.notes { li { (note) } } }
                        p.hint { (thought.tokens_sampled) " tokens chosen, " (thought.tokens_forced) " given by the grammar" }
                    }
                }
            }
        }
    }
}

fn written(plan: &Plan) -> Markup {
    let about = [
        ("Style", &plan.style),
        ("Light", &plan.lighting),
        ("Behind", &plan.background),
    ];
    html! {
        p.caption { (plan.caption) }
        @if !plan.elements.is_empty() {
            ul.things {
                @for (index, thing) in plan.elements.iter().enumerate() { (element(index, thing)) }
            }
        }
        @if !plan.relations.is_empty() {
            ul.relations {
                @for relation in &plan.relations {
                    li { (relation.subject) " " em { (relation.predicate.words()) } " " (relation.object) }
                }
            }
        }
        dl.facts {
            @for (word, value) in about { @if !value.is_empty() { dt { (word) } dd { (value) } } }
            @if plan.stages.len() > 1 {
                dt { "Stages" }
                dd { @for (index, stage) in plan.stages.iter().enumerate() {
                    @if index > 0 { " → " } (stage.id) " (" (stage.op.name()) ")"
                } }
            }
        }
    }
}

fn element(index: usize, element: &Element) -> Markup {
    let words: Vec<&str> = element
        .colors
        .iter()
        .chain(&element.attributes)
        .map(String::as_str)
        .collect();
    html! {
        li class=(format!("c{}", index % super::boxes::COLOURS)) {
            strong { @if element.count > 1 { (element.count) " × " } (element.noun) }
            @if !words.is_empty() { " " (words.join(", ")) }
            @if let Some(reference) = &element.reference { span.after { "after " (reference) } }
        }
    }
}
