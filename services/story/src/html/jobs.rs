//! The work, round by round: every job with what it read, made, took and found.

use std::fmt::Write as _;

use atelier_proto::{
    job::JobKind,
    trace::{Trace, TraceJob},
};

use super::{
    Pictures, capital, picture, review,
    text::{Esc, row},
};
use crate::words::{decision, fix, kept, line, plan_of, time, work};

pub fn tell(out: &mut String, trace: &Trace, pictures: &Pictures) {
    let _ = writeln!(
        out,
        "<section aria-labelledby=\"work\">\n<h2 id=\"work\">Work</h2>"
    );
    let mut round = 0;
    for job in &trace.jobs {
        if job.round != round {
            round = job.round;
            let _ = writeln!(out, "<h3>Round {round}</h3>");
        }
        one(out, trace, job, pictures);
    }
    decisions(out, trace);
    let _ = writeln!(out, "</section>");
}

fn decisions(out: &mut String, trace: &Trace) {
    if trace.decisions.is_empty() {
        return;
    }
    let _ = writeln!(out, "<h3>Decisions</h3>\n<dl class=\"facts\">");
    for decided in &trace.decisions {
        row(
            out,
            &format!("After round {}", decided.round),
            &decision(decided),
        );
    }
    let _ = writeln!(out, "</dl>");
}

fn one(out: &mut String, trace: &Trace, job: &TraceJob, pictures: &Pictures) {
    let _ = writeln!(
        out,
        "<article class=\"job\">\n<h4>{} <span class=\"state\">{}</span></h4>",
        Esc(&capital(&work(job))),
        Esc(&job.state)
    );
    if let Some(reason) = &job.reason {
        let _ = writeln!(out, "<p class=\"note\">Because {}</p>", Esc(&line(reason)));
    }
    let _ = writeln!(out, "<dl class=\"facts\">");
    facts(out, job);
    let _ = writeln!(out, "</dl>");
    let made = job.artifact.filter(|_| job.kind == JobKind::Render);
    if let Some(made) = made {
        if trace.image.is_some_and(|image| image.sha256 == made.sha256) {
            let _ = writeln!(out, "<p>It drew the <a href=\"#result\">result</a>.</p>");
        } else {
            picture::figure(out, trace, made.sha256, pictures);
        }
    }
    if let Some(found) = &job.review {
        review::tell(out, found, plan_of(trace, job.round));
    }
    let _ = writeln!(out, "</article>");
}

fn facts(out: &mut String, job: &TraceJob) {
    if let Some(candidate) = job.candidate {
        row(out, "Candidate", &candidate.to_string());
    }
    if let Some(mended) = &job.fix {
        row(out, "Repair", &fix(mended));
    }
    if let Some(left) = &job.kept {
        row(out, "Left as it was", &kept(left));
    }
    if let (Some(seed), true) = (job.seed, job.kind != JobKind::Critique) {
        row(out, "Seed", &seed.to_string());
    }
    if let Some(steps) = job.steps {
        row(out, "Steps", &steps.to_string());
    }
    if let Some(size) = job.size {
        row(out, "Pixels", &format!("{} x {}", size.width, size.height));
    }
    if let Some(ms) = job.device_ms {
        row(out, "On the device", &time(ms));
    }
    if job.attempts > 1 {
        row(out, "Attempts", &job.attempts.to_string());
    }
    if let Some(batch) = job.batch {
        let what = match job.kind {
            JobKind::Plan => "plans",
            JobKind::Render => "drawings",
            JobKind::Critique => "looks",
        };
        row(out, "On the device at once", &format!("{batch} {what}"));
    }
    if let Some(worker) = &job.worker {
        row(out, "Worker", worker);
    }
    if let Some(made) = &job.made {
        let how = format!("{}, atelier {}", made.device, made.version);
        row(out, "With", &how);
        if made.cached {
            row(out, "From the cache", "the same had been made before");
        }
        if let Some(weights) = made.weights {
            row(out, "Weights", &weights.to_string());
        }
        if let Some(ms) = made.load_ms {
            row(out, "Loaded in", &time(ms.into()));
        }
    }
    for input in &job.inputs {
        row(out, "Read", &input.to_string());
    }
    for used in &job.references {
        let what = format!("{} after {}, {}", used.element, used.reference, used.sha256);
        row(out, "Drew", &what);
    }
    if let Some(artifact) = &job.artifact {
        let made = format!("{}, {} bytes", artifact.sha256, artifact.bytes);
        row(out, "Made", &made);
    }
}
