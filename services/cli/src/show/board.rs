//! Live progress: one bar a job on a terminal, one line a change elsewhere.

use std::{
    io::{IsTerminal, stderr},
    time::Duration,
};

use atelier_proto::{
    http::{JobView, RequestView},
    job::JobKind,
};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Shows how a request gets on. Everything goes to stderr: stdout is for results.
pub struct Board {
    bars: Option<MultiProgress>,
    jobs: Vec<Row>,
    quiet: bool,
}

struct Row {
    kind: JobKind,
    label: String,
    state: String,
    attempt: u32,
    bar: Option<ProgressBar>,
}

impl Board {
    /// Bars if stderr is a terminal, lines if not; nothing at all when `quiet`.
    pub fn new(quiet: bool) -> Self {
        let bars = (!quiet && stderr().is_terminal()).then(MultiProgress::new);
        Self {
            bars,
            jobs: Vec::new(),
            quiet,
        }
    }

    /// Something to say beside the bars.
    pub fn say(&self, text: &str) {
        match (&self.bars, self.quiet) {
            (_, true) => {}
            // Only fails when the terminal is gone.
            (Some(bars), _) => drop(bars.println(text)),
            (None, _) => eprintln!("{text}"),
        }
    }

    /// Takes over what the farm says about the request's jobs.
    pub fn update(&mut self, view: &RequestView) {
        for (index, job) in view.jobs.iter().enumerate() {
            match self.jobs.get_mut(index) {
                Some(row) if row.state == job.state && row.attempt == job.attempt => continue,
                Some(row) => (row.state, row.attempt) = (job.state.clone(), job.attempt),
                None => self.jobs.push(self.row(job)),
            }
            self.jobs[index].show(job, self.bars.is_none() && !self.quiet);
        }
    }

    fn row(&self, job: &JobView) -> Row {
        let label = label(job);
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new(0));
            let style = ProgressStyle::with_template("{spinner} {prefix:22} {wide_msg}");
            bar.set_style(style.expect("the template is valid"));
            bar.set_prefix(label.clone());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Row {
            kind: job.kind,
            label,
            state: job.state.clone(),
            attempt: job.attempt,
            bar,
        }
    }

    /// A step of a running job of this kind is done.
    pub fn step(&mut self, kind: JobKind, step: u32, total: u32) {
        let running = |row: &&Row| row.kind == kind && is_open(&row.state);
        let Some(bar) = self
            .jobs
            .iter()
            .find(running)
            .and_then(|row| row.bar.as_ref())
        else {
            return;
        };
        let template = match total {
            0 => "{spinner} {prefix:22} step {pos}",
            _ => "{spinner} {prefix:22} [{bar:30}] {pos}/{len}",
        };
        let style = ProgressStyle::with_template(template).expect("the template is valid");
        bar.set_style(style.progress_chars("=> "));
        bar.set_length(total.into());
        bar.set_position(step.into());
    }

    /// Leaves the bars as they are.
    pub fn finish(&mut self) {
        for bar in self.jobs.iter().filter_map(|row| row.bar.as_ref()) {
            bar.abandon();
        }
    }
}

impl Row {
    fn show(&self, job: &JobView, as_line: bool) {
        let again = match job.attempt {
            0 | 1 => String::new(),
            attempt => format!(" (attempt {attempt})"),
        };
        let reason = job
            .reason
            .as_deref()
            .map(|reason| format!(": {}", super::line(reason)));
        let text = format!("{}{again}{}", word(&job.state), reason.unwrap_or_default());
        if as_line {
            eprintln!("{}: {text}", self.label);
        }
        if let Some(bar) = &self.bar {
            let style = ProgressStyle::with_template("{spinner} {prefix:22} {wide_msg}");
            bar.set_style(style.expect("the template is valid"));
            bar.set_message(text.clone());
            if !is_open(&job.state) {
                bar.finish_with_message(text);
            }
        }
    }
}

fn is_open(state: &str) -> bool {
    matches!(state, "waiting" | "ready" | "dispatched")
}

/// What a job's state means to somebody who waits.
fn word(state: &str) -> String {
    match state {
        "waiting" => "waits for another stage".into(),
        "ready" => "waits for a worker".into(),
        "dispatched" => "is being worked on".into(),
        other => super::line(other),
    }
}

fn label(job: &JobView) -> String {
    let what = match (job.kind, &job.stage) {
        (JobKind::Plan, _) => "plan".to_owned(),
        (JobKind::Render, Some(stage)) => format!("draw {}", super::line(stage)),
        (JobKind::Render, None) => "draw".to_owned(),
        (JobKind::Critique, _) => "check".to_owned(),
    };
    match job.round {
        0 | 1 => what,
        round => format!("{what}, round {round}"),
    }
}
