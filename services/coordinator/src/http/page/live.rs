//! What changes of a request while it is worked on: state, picture, plan, checks, jobs.

use atelier_proto::{
    http::{RequestState, RequestView},
    job::{JobKind, Think},
    review::Review,
    trace::Trace,
};
use atelier_story::words::time;
use maud::{Markup, html};

use super::{boxes, decisions, plan, timeline, words};

/// All of it.
pub fn part(view: &RequestView, trace: &Trace) -> Markup {
    let id = view.id;
    let is_active = view.state == RequestState::Active;
    let said = words::doing(view);
    let review = review_of(trace);
    html! {
        div #live data-request=(id) data-active[is_active] data-said=(said) {
            div.line.head {
                (words::state(view.state))
                // What the mark says already is not said twice.
                p.doing { (said.strip_prefix("Done: ").or(is_active.then_some(&*said)).unwrap_or_default()) " " span #step {} }
                (buttons(view))
            }
            @if let Some(reason) = &view.reason {
                p.complaint { (reason) }
            }
            @if is_active {
                progress #progress .progress max="1" aria-label="Progress of the job" {}
            }
            div.sheet {
                (boxes::figure(view, trace, review))
                div.story {
                    (plan::checks(trace, review, is_active))
                    (decisions::decisions(trace))
                    (plan::plan(trace, is_active))
                    (timeline::jobs(trace))
                    (facts(view, trace))
                }
            }
        }
    }
}

fn buttons(view: &RequestView) -> Markup {
    let id = view.id;
    html! {
        div.buttons {
            @if view.state == RequestState::Active {
                form method="post" action=(format!("/requests/{id}/stop")) {
                    button #stop type="submit" { "Stop" }
                }
            }
            @if matches!(view.state, RequestState::Failed | RequestState::Canceled) {
                form method="post" action=(format!("/requests/{id}/again")) {
                    button #again type="submit" { "Ask again" }
                }
            }
            @if view.image.is_some() {
                a #save .button href=(format!("/v1/requests/{id}/image?traced=1")) download=(format!("atelier-{id}.png")) { "Save picture" }
            }
            @if view.state != RequestState::Active {
                a #trace .button href=(format!("/v1/requests/{id}/trace")) { "Trace" }
            }
        }
    }
}

/// The answers about the picture that is shown: those of its round and candidate, else the last ones.
fn review_of(trace: &Trace) -> Option<&Review> {
    let drawn = trace.image.and_then(|image| {
        let mut jobs = trace.jobs.iter().rev();
        jobs.find(|job| job.artifact == Some(image))
    });
    let looked = || trace.jobs.iter().rev().filter(|job| job.review.is_some());
    let of_it = drawn.and_then(|drawn| {
        looked().find(|job| job.round == drawn.round && job.candidate == drawn.candidate)
    });
    of_it.or_else(|| looked().next())?.review.as_ref()
}

/// What came before the drawing, and comes after.
fn thinking(trace: &Trace) -> &'static str {
    match trace.submitted.think {
        Think::Off if trace.plan_was_given() => "off: the plan came with the request",
        Think::Off => "off: the prompt is drawn as it is",
        Think::Fast => "plan, draw, check",
        Think::Full => "think, plan, draw, check",
    }
}

fn facts(view: &RequestView, trace: &Trace) -> Markup {
    let asked = &trace.submitted;
    let device = |kind: JobKind| -> u64 {
        let jobs = trace.jobs.iter().filter(|job| job.kind == kind);
        jobs.filter_map(|job| job.device_ms).sum()
    };
    html! {
        section aria-labelledby="facts-title" {
            h2 #facts-title { "Facts" }
            dl.facts {
                dt { "Request" } dd { code { (view.id) } }
                dt { "Seed" } dd { (view.seed) }
                dt { "Model" } dd { (trace.model) }
                @if let Some(size) = asked.size { dt { "Size" } dd { (size.width) " × " (size.height) } }
                @if let Some(steps) = asked.steps { dt { "Steps" } dd { (steps) } }
                dt { "Thinking" } dd { (thinking(trace)) }
                @if let Some(rounds) = asked.max_rounds { dt { "Rounds" } dd { (view.round) " of at most " (rounds) } }
                @for reference in &asked.references { dt { "Reference" } dd { (reference.name) } }
                @for kind in JobKind::ALL {
                    @if device(kind) > 0 { dt { "Device, to " (words::role(kind)) } dd { (time(device(kind))) } }
                }
                dt { "Asked" } dd { (words::time(&view.created_at)) }
                @if let Some(finished) = &view.finished_at { dt { "Ended" } dd { (words::time(finished)) } }
            }
        }
    }
}
