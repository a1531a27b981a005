//! When each job was ready, on a device, and done: bars, and the same in numbers.

use std::fmt::Write as _;

use atelier_proto::{
    job::JobKind,
    trace::{Trace, TraceJob},
};

use super::{capital, text::Esc};
use crate::{
    Times,
    words::{time, work},
};

/// In units of the drawing.
const WIDTH: f64 = 1_000.0;
/// Space for the names on the left.
const NAMES: f64 = 240.0;
const ROW: f64 = 26.0;
/// A bar is at least so wide.
const NARROWEST: f64 = 2.0;

pub fn tell(out: &mut String, trace: &Trace) {
    let timed: Vec<(&TraceJob, Times)> = trace
        .jobs
        .iter()
        .filter_map(|job| Some((job, Times::of(job)?)))
        .collect();
    let Some(whole) = timed.iter().map(|(_, times)| times.ended).max() else {
        return;
    };
    let _ = writeln!(
        out,
        "<section aria-labelledby=\"time\">\n<h2 id=\"time\">Time</h2>\n<p>{} from acceptance to the last job's end. \
         <span class=\"key queued\"></span> ready, waiting for a device <span class=\"key running\"></span> on a device and stored</p>",
        time(whole)
    );
    bars(out, &timed, whole.max(1));
    numbers(out, &timed);
    let _ = writeln!(out, "</section>");
}

fn bars(out: &mut String, timed: &[(&TraceJob, Times)], whole: u64) {
    let height = ROW * timed.len() as f64 + ROW;
    let _ = write!(
        out,
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Times as bars\"><svg class=\"time\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"One bar a job; the table below has the numbers\">"
    );
    let at = |ms: u64| NAMES + ms as f64 / whole as f64 * (WIDTH - NAMES - 10.0);
    for (index, (job, times)) in timed.iter().enumerate() {
        let top = ROW * index as f64;
        let kind = match (job.kind, job.op.as_deref()) {
            (JobKind::Plan, _) => "plan",
            (JobKind::Render, Some("repair")) => "repair",
            (JobKind::Render, _) => "render",
            (JobKind::Critique, _) => "critique",
        };
        let name: String = work(job).chars().take(32).collect();
        let bar = |class: &str, from: u64, to: u64| {
            let (x, end) = (at(from), at(to));
            format!(
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"2\"/>",
                top + 5.0,
                (end - x).max(NARROWEST),
                ROW - 10.0
            )
        };
        let _ = write!(
            out,
            "<text x=\"0\" y=\"{:.1}\">{}</text>{}{}",
            top + ROW * 0.68,
            Esc(&name),
            bar("queued", times.ready, times.started),
            bar(&format!("running {kind}"), times.started, times.ended)
        );
    }
    let bottom = height - 6.0;
    let _ = writeln!(
        out,
        "<text class=\"scale\" x=\"{NAMES}\" y=\"{bottom}\">0</text><text class=\"scale\" x=\"{}\" y=\"{bottom}\" text-anchor=\"end\">{}</text></svg></div>",
        WIDTH - 10.0,
        time(whole)
    );
}

fn numbers(out: &mut String, timed: &[(&TraceJob, Times)]) {
    let _ = writeln!(
        out,
        "<details>\n<summary>The same in numbers</summary>\n<table>\n<thead><tr><th scope=\"col\">Job</th><th scope=\"col\">Round</th>\
         <th scope=\"col\">Ready after</th><th scope=\"col\">Waited</th><th scope=\"col\">Ran</th></tr></thead>\n<tbody>"
    );
    for (job, times) in timed {
        let _ = writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            Esc(&capital(&work(job))),
            job.round,
            time(times.ready),
            time(times.waited()),
            time(times.ran())
        );
    }
    let _ = writeln!(out, "</tbody>\n</table>\n</details>");
}
