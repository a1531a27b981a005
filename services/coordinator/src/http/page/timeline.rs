//! The jobs of a request in their order: who did what, how long it waited and how long it took.

use atelier_proto::trace::{Trace, TraceJob};
use atelier_story::{Times, words::time};
use maud::{Markup, html};

use super::words;

/// Width of a bar's own units.
const WIDE: u64 = 1_000;

/// A row for every job.
pub fn jobs(trace: &Trace) -> Markup {
    let times = trace.jobs.iter().filter_map(Times::of);
    let longest = times.map(|times| times.whole()).max();
    html! {
        section aria-labelledby="jobs-title" {
            h2 #jobs-title { "Timeline" }
            ol.jobs {
                @for job in &trace.jobs { (row(job, longest.unwrap_or(0).max(1))) }
            }
        }
    }
}

fn row(job: &TraceJob, longest: u64) -> Markup {
    html! {
        li class=(format!("job {}", job.kind.as_str())) {
            span.what {
                (what(job))
                @if job.round > 1 { span.hint { " round " (job.round) } }
                @if let Some(candidate) = job.candidate { span.hint { " candidate " (candidate) } }
            }
            span.how {
                (state(job))
                @if let Some(wall) = job.wall_ms { ", " (time(wall)) }
                @if let Some(device) = job.device_ms { ", " (time(device)) " on the device" }
                @if job.attempts > 1 { ", attempt " (job.attempts) }
                @if let Some(worker) = &job.worker { span.hint { " by " (worker) } }
            }
            @if let Some(times) = Times::of(job) {
                @let wide = |ms: u64| ms * WIDE / longest;
                svg.bar viewBox=(format!("0 0 {WIDE} 10")) preserveAspectRatio="none" aria-hidden="true" {
                    rect.wait width=(wide(times.whole())) height="10" {}
                    rect.work x=(wide(times.waited())) width=(wide(times.ran())) height="10" {}
                }
            }
            @if let Some(fix) = &job.fix { span.note { (fix.instruction) } }
            @if let Some(kept) = &job.kept {
                span.note { (kept.pixels) " pixels outside compared, difference " (kept.difference) }
            }
            @if let Some(reason) = &job.reason { span.complaint { (reason) } }
        }
    }
}

fn what(job: &TraceJob) -> String {
    let word = words::role(job.kind);
    let mut what = word[..1].to_uppercase() + &word[1..];
    if let Some(stage) = job.stage.as_ref().filter(|stage| *stage != "out") {
        what.push_str(&format!(" \u{201c}{stage}\u{201d}"));
    }
    if let Some(op) = job.op.as_ref().filter(|op| *op != "generate") {
        what.push_str(&format!(" ({op})"));
    }
    what
}

fn state(job: &TraceJob) -> &str {
    match job.state.as_str() {
        "waiting" => "waits for another stage",
        "ready" => "waits for a worker",
        "dispatched" => "at work",
        "canceled" => "not needed",
        other => other,
    }
}
