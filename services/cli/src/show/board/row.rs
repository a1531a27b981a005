//! One job of a request on the board.

use atelier_proto::{http::JobView, job::JobKind};
use indicatif::ProgressBar;

use super::{WORDS, style};
use crate::show::line;

/// What was shown of a job.
pub struct Row {
    pub kind: JobKind,
    pub label: String,
    state: String,
    attempt: u32,
    pub bar: Option<ProgressBar>,
}

impl Row {
    /// A job that was not shown before.
    pub fn new(job: &JobView, bar: Option<ProgressBar>) -> Self {
        let label = label(job);
        if let Some(bar) = &bar {
            bar.set_prefix(label.clone());
        }
        Self {
            kind: job.kind,
            label,
            state: job.state.clone(),
            attempt: job.attempt,
            bar,
        }
    }

    /// Takes over where the job stands; whether that is news.
    pub fn take(&mut self, job: &JobView) -> bool {
        let news = self.state != job.state || self.attempt != job.attempt;
        (self.state, self.attempt) = (job.state.clone(), job.attempt);
        news
    }

    /// Whether it may still make steps.
    pub fn is_open(&self) -> bool {
        matches!(self.state.as_str(), "waiting" | "ready" | "dispatched")
    }

    /// Where the job stands, in words.
    pub fn text(&self, job: &JobView) -> String {
        let again = match job.attempt {
            0 | 1 => String::new(),
            attempt => format!(" (attempt {attempt})"),
        };
        let reason = job.reason.as_deref();
        let reason = reason.map(|reason| format!(": {}", line(reason)));
        format!("{}{again}{}", word(&job.state), reason.unwrap_or_default())
    }

    /// Puts the words into the bar, where there is one.
    pub fn show(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_style(style(WORDS));
            bar.set_message(text.to_owned());
            if !self.is_open() {
                bar.finish_with_message(text.to_owned());
            }
        }
    }
}

/// What a job's state means to somebody who waits.
fn word(state: &str) -> String {
    match state {
        "waiting" => "waits for another stage".into(),
        "ready" => "waits for a worker".into(),
        "dispatched" => "is being worked on".into(),
        other => line(other),
    }
}

fn label(job: &JobView) -> String {
    let what = match (job.kind, &job.stage) {
        (JobKind::Plan, _) => "plan".to_owned(),
        (JobKind::Render, Some(stage)) => format!("draw {}", line(stage)),
        (JobKind::Render, None) => "draw".to_owned(),
        (JobKind::Critique, _) => "check".to_owned(),
    };
    match job.round {
        0 | 1 => what,
        round => format!("{what}, round {round}"),
    }
}
