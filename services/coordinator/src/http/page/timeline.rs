//! The jobs of a request in their order: who did what, how long it waited and how long it took.

use atelier_proto::trace::{Trace, TraceJob};
use maud::{Markup, html};

use super::words;

/// Width of a bar's own units.
const WIDE: u64 = 1_000;

/// A row for every job.
pub fn jobs(trace: &Trace) -> Markup {
    let longest = trace.jobs.iter().filter_map(|job| job.wall_ms).max();
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
                @if let Some(wall) = job.wall_ms { ", " (words::duration(wall)) }
                @if let Some(device) = job.device_ms { ", " (words::duration(device)) " on the device" }
                @if job.attempts > 1 { ", attempt " (job.attempts) }
                @if let Some(worker) = &job.worker { span.hint { " by " (worker) } }
            }
            @if let Some(wall) = job.wall_ms {
                @let (from, device) = on_device(job.ready_ms.zip(job.started_ms), wall, job.device_ms.unwrap_or(0));
                svg.bar viewBox=(format!("0 0 {WIDE} 10")) preserveAspectRatio="none" aria-hidden="true" {
                    rect.wait width=(wall * WIDE / longest) height="10" {}
                    rect.work x=(from * WIDE / longest) width=(device * WIDE / longest) height="10" {}
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

/// When the device began, after the job was ready, and how long it was at it: both within the job's time. Where nobody told when it began, it was
/// so long before the end as it took.
fn on_device(ready_and_started: Option<(u64, u64)>, wall: u64, device: u64) -> (u64, u64) {
    let told = ready_and_started.map(|(ready, started)| started.saturating_sub(ready));
    let from = told.unwrap_or(wall.saturating_sub(device)).min(wall);
    (from, device.min(wall - from))
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

#[cfg(test)]
mod tests {
    use super::on_device;

    #[test]
    fn a_device_is_shown_when_it_was_at_it() {
        assert_eq!(on_device(Some((100, 110)), 90, 20), (10, 20));
        assert_eq!(on_device(None, 90, 20), (70, 20));
        for odd in [Some((100, 50)), Some((0, 500)), None] {
            let (from, device) = on_device(odd, 90, 1_000);
            assert!(from + device <= 90, "{odd:?}");
        }
    }
}
