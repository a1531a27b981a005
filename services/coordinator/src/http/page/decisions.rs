//! What was decided after each look at a picture, and why.

use atelier_proto::{
    review::{Action, Decision, OutcomeMark},
    trace::Trace,
};
use maud::{Markup, html};

/// The decisions in their order; nothing where nothing was looked at.
pub fn decisions(trace: &Trace) -> Markup {
    let best = match &trace.outcome {
        Some(OutcomeMark::BestSoFar { reason }) => Some(reason),
        _ => None,
    };
    html! {
        @if !trace.decisions.is_empty() || best.is_some() {
            section aria-labelledby="decisions-title" {
                h2 #decisions-title { "Decisions" }
                ol.decisions {
                    @for decision in &trace.decisions { (row(decision)) }
                }
                @if let Some(reason) = best {
                    p.hint { "This is the best picture there was: " (reason) "." }
                }
            }
        }
    }
}

fn row(decision: &Decision) -> Markup {
    html! {
        li {
            span.round { "Round " (decision.round) }
            span { strong { (word(decision.action)) } ": " (decision.reason) }
        }
    }
}

fn word(action: Action) -> &'static str {
    match action {
        Action::Accept => "Accepted",
        Action::Repair => "Repaired",
        Action::Edit => "Recoloured",
        Action::Redraw => "Drawn again",
        Action::Replan => "Planned again",
        Action::Stop => "Stopped",
    }
}
