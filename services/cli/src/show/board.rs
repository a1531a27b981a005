//! Live progress on stderr: bars on a terminal, one line a change elsewhere, nothing where a program reads the result.

mod row;

use std::{
    io::{IsTerminal, stderr},
    time::Duration,
};

use atelier_proto::{http::RequestView, job::JobKind};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{PreviewArgs, preview};
use row::Row;

/// Between two turns of a spinner.
const TICK: Duration = Duration::from_millis(120);

/// Where all requests of one command show how they get on.
#[derive(Clone)]
pub struct Board {
    bars: Option<MultiProgress>,
    quiet: bool,
    previews: bool,
}

/// How one request gets on.
pub struct Lane {
    board: Board,
    /// Its name, where there are several.
    name: Option<String>,
    jobs: Vec<Row>,
    /// The one bar of a request among several.
    single: Option<ProgressBar>,
    preview: Option<ProgressBar>,
    previews: bool,
    nobody: Vec<JobKind>,
}

impl Board {
    /// Bars if stderr is a terminal, lines if not; nothing at all when `quiet`.
    pub fn new(quiet: bool) -> Self {
        let bars = (!quiet && stderr().is_terminal()).then(MultiProgress::new);
        Self {
            bars,
            quiet,
            previews: false,
        }
    }

    /// The same with unfinished pictures, where the terminal can and the user wants them.
    pub fn with_previews(mut self, wanted: PreviewArgs) -> Self {
        self.previews = wanted.is_live();
        self
    }

    /// Something to say beside the bars.
    pub fn say(&self, text: &str) {
        match (&self.bars, self.quiet) {
            (_, true) => {}
            // Only fails when the terminal is gone.
            (Some(bars), _) => drop(bars.println(super::multiline(text))),
            (None, _) => super::note(text),
        }
    }

    /// A bar of `total` things; hidden where there are no bars.
    pub fn total(&self, total: u64) -> ProgressBar {
        let Some(bars) = &self.bars else {
            return ProgressBar::hidden();
        };
        let bar = bars.add(ProgressBar::new(total));
        bar.set_style(style("{spinner} [{bar:30}] {pos}/{len} {wide_msg} {eta}"));
        bar.enable_steady_tick(TICK);
        bar
    }

    /// Whether changes are told line by line.
    pub fn is_lines(&self) -> bool {
        !self.quiet && self.bars.is_none()
    }

    /// A place for one request; with a name, it is one of several and gets a single line.
    pub fn lane(&self, name: Option<String>) -> Lane {
        let single = self.bars.as_ref().zip(name.as_ref()).map(|(bars, name)| {
            let bar = bars.add(ProgressBar::new(0));
            bar.set_prefix(name.clone());
            bar.set_style(style(WORDS));
            bar.enable_steady_tick(TICK);
            bar
        });
        Lane {
            board: self.clone(),
            previews: self.bars.is_some() && name.is_none() && self.previews,
            name,
            jobs: Vec::new(),
            single,
            preview: None,
            nobody: Vec::new(),
        }
    }
}

impl Lane {
    /// Something to say about this request.
    pub fn say(&self, text: &str) {
        match &self.name {
            Some(name) => self.board.say(&format!("{name}: {text}")),
            None => self.board.say(text),
        }
    }

    /// Takes over what the farm says about the request.
    pub fn update(&mut self, view: &RequestView) {
        for (index, job) in view.jobs.iter().enumerate() {
            let news = match self.jobs.get_mut(index) {
                Some(row) => row.take(job),
                None => {
                    let bar = self.bar();
                    self.jobs.push(Row::new(job, bar));
                    true
                }
            };
            if !news {
                continue;
            }
            let row = &self.jobs[index];
            let text = row.text(job);
            if self.board.is_lines() {
                self.say(&format!("{}: {text}", row.label));
            }
            row.show(&text);
            if let Some(bar) = &self.single {
                bar.set_style(style(WORDS));
                bar.set_message(format!("{}: {text}", row.label));
            }
        }
        self.missing(view);
    }

    /// A job that nobody can do is worth a word, once.
    pub fn missing(&mut self, view: &RequestView) {
        if view.waiting_for == self.nobody || view.state.is_terminal() {
            return;
        }
        self.nobody.clone_from(&view.waiting_for);
        if !self.nobody.is_empty() {
            let kinds: Vec<&str> = self.nobody.iter().map(|kind| kind.as_str()).collect();
            self.say(&format!(
                "no worker does {}: the request waits until one comes ('atelier workers' lists them)",
                kinds.join(" and ")
            ));
        }
    }

    /// A bar for one more job, where jobs have bars.
    fn bar(&self) -> Option<ProgressBar> {
        let bars = self.board.bars.as_ref()?;
        if self.single.is_some() {
            return None;
        }
        let bar = ProgressBar::new(0);
        // The preview stays below.
        let bar = match &self.preview {
            Some(preview) => bars.insert_before(preview, bar),
            None => bars.add(bar),
        };
        bar.enable_steady_tick(TICK);
        Some(bar)
    }

    /// A step of a running job of this kind is done.
    pub fn step(&mut self, kind: JobKind, step: u32, total: u32, picture: Option<&str>) {
        let running = |row: &&Row| row.kind == kind && row.is_open();
        let Some(row) = self.jobs.iter().find(running) else {
            return;
        };
        let bar = row.bar.as_ref().or(self.single.as_ref());
        if let Some(bar) = bar {
            bar.set_style(style(if total == 0 { STEPS } else { BAR }));
            let label = self.single.as_ref().map(|_| row.label.clone());
            bar.set_message(label.unwrap_or_default());
            bar.set_length(total.into());
            bar.set_position(step.into());
        }
        if let Some(lines) = picture.filter(|_| self.previews).and_then(preview::lines) {
            let bars = self.board.bars.as_ref();
            let made = self.preview.take().or_else(|| {
                let bar = bars?.add(ProgressBar::new(0));
                bar.set_style(style("{msg}"));
                Some(bar)
            });
            if let Some(bar) = &made {
                bar.set_message(lines);
            }
            self.preview = made;
        }
    }

    /// Leaves the bars as they are; a preview has had its time.
    pub fn finish(&mut self, outcome: &str) {
        if let Some(preview) = self.preview.take() {
            preview.finish_and_clear();
        }
        for bar in self.jobs.iter().filter_map(|row| row.bar.as_ref()) {
            bar.abandon();
        }
        if let Some(bar) = &self.single {
            bar.set_style(style(WORDS));
            bar.abandon_with_message(outcome.to_owned());
        } else if self.name.is_some() && self.board.is_lines() {
            self.say(outcome);
        }
    }
}

const WORDS: &str = "{spinner} {prefix:22} {wide_msg}";
const STEPS: &str = "{spinner} {prefix:22} step {pos} {msg}";
const BAR: &str = "{spinner} {prefix:22} [{bar:30}] {pos}/{len} {msg}";

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).expect("the templates are valid");
    style.progress_chars("=> ")
}
