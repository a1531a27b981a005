//! One run: how long it goes on, what it shows, where it saves and how it is taken up again.

use std::{
    fs,
    io::IsTerminal,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use atelier_models::weights::Weights;
use indicatif::{ProgressBar, ProgressStyle};
use tch::Tensor;

use super::{plot, write_tensors};

/// Options of every run.
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// Folder of the run; what is there is taken up again.
    #[arg(long, value_name = "DIR")]
    pub run: PathBuf,
    /// Train for so long in all; the learning rate's decay is planned to end then.
    #[arg(long, conflicts_with = "steps", required_unless_present = "steps")]
    pub minutes: Option<f64>,
    /// Train so many steps in all instead.
    #[arg(long)]
    pub steps: Option<u64>,
    /// Minutes between checkpoints.
    #[arg(long, default_value_t = 5.0)]
    pub save_every: f64,
    /// Threads of libtorch; on a shared machine one is faster than two.
    #[arg(long, default_value_t = 1)]
    pub threads: i32,
    /// Seed of everything.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// Steps between two lines where there is no terminal to draw a bar on.
const LINE_EVERY: u64 = 50;

/// A run under way.
pub struct Session {
    options: Options,
    step: u64,
    /// Training time of earlier starts.
    before: Duration,
    start: Instant,
    saved: Instant,
    stop: Arc<AtomicBool>,
    losses: Vec<f64>,
    samples: u64,
    bar: ProgressBar,
    terminal: bool,
}

impl Session {
    /// Opens the folder, sets threads and seed, and listens for an interrupt. Gives the last checkpoint's tensors where there is one.
    pub fn open(options: &Options) -> anyhow::Result<(Self, Option<Weights>)> {
        tch::set_num_threads(options.threads);
        tch::manual_seed(options.seed as i64);
        fs::create_dir_all(&options.run)
            .with_context(|| format!("cannot make {}", options.run.display()))?;
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            signal_hook::flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop))
                .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&stop)))
                .context("cannot listen for signals")?;
        }
        let bar = ProgressBar::new(1_000).with_style(
            ProgressStyle::with_template("{elapsed_precise} [{bar:40}] {msg}")
                .context("the bar's template")?
                .progress_chars("=> "),
        );
        let mut session = Self {
            options: options.clone(),
            step: 0,
            before: Duration::ZERO,
            start: Instant::now(),
            saved: Instant::now(),
            stop,
            losses: Vec::new(),
            samples: 0,
            bar,
            terminal: std::io::stderr().is_terminal(),
        };
        let path = session.checkpoint();
        if !path.exists() {
            return Ok((session, None));
        }
        let state = Weights::load_file(&path)?;
        session.step = state.get_shaped("run.step", &[])?.int64_value(&[]) as u64;
        session.before =
            Duration::from_secs_f64(state.get_shaped("run.seconds", &[])?.double_value(&[]));
        session.losses = Vec::<f64>::try_from(&state.get("run.losses")?)?;
        println!("taken up after step {}", session.step);
        Ok((session, Some(state)))
    }

    fn checkpoint(&self) -> PathBuf {
        self.options.run.join("checkpoint.safetensors")
    }

    /// The next step; the first is 0.
    pub const fn step(&self) -> u64 {
        self.step
    }

    /// The seed of the next step, so that a run that is taken up again goes on as if it had not been stopped.
    pub const fn step_seed(&self) -> u64 {
        step_seed(self.options.seed, self.step)
    }

    /// Training time in all.
    pub fn elapsed(&self) -> Duration {
        self.before + self.start.elapsed()
    }

    /// How much of the run is behind, 0..=1.
    pub fn progress(&self) -> f64 {
        let done = match (self.options.steps, self.options.minutes) {
            (Some(steps), _) => self.step as f64 / steps.max(1) as f64,
            (None, Some(minutes)) => self.elapsed().as_secs_f64() / (minutes * 60.0).max(1e-9),
            (None, None) => 1.0,
        };
        done.min(1.0)
    }

    /// Whether it ends here: the time is up, or somebody interrupted.
    pub fn is_over(&self) -> bool {
        self.interrupted() || self.progress() >= 1.0
    }

    /// Whether somebody interrupted.
    pub fn interrupted(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Counts a step and shows how it goes.
    pub fn stepped(&mut self, loss: f64, samples: u64) {
        self.step += 1;
        self.samples += samples;
        self.losses.push(loss);
        let shown = &self.losses[self.losses.len().saturating_sub(LINE_EVERY as usize)..];
        let mean = shown.iter().sum::<f64>() / shown.len() as f64;
        let rate = self.samples as f64 / self.start.elapsed().as_secs_f64().max(1e-9);
        let progress = self.progress();
        let left = self.elapsed().as_secs_f64() * (1.0 / progress.max(1e-6) - 1.0);
        let text = format!(
            "step {} loss {mean:.4} {rate:.1} samples/s, {:.1} min left",
            self.step,
            left / 60.0
        );
        if self.terminal {
            self.bar.set_position((progress * 1_000.0) as u64);
            self.bar.set_message(text);
        } else if self.step.is_multiple_of(LINE_EVERY) {
            println!("{text}");
        }
    }

    /// Writes a line without breaking the bar.
    pub fn say(&self, line: &str) {
        if self.terminal {
            self.bar.println(line);
        } else {
            println!("{line}");
        }
    }

    /// Whether it is time for a checkpoint.
    pub fn save_is_due(&self) -> bool {
        self.saved.elapsed().as_secs_f64() >= self.options.save_every * 60.0
    }

    /// Writes a checkpoint of `state` and of itself, whole or not at all, and the plot of losses.
    pub fn save(&mut self, mut state: Vec<(String, Tensor)>) -> anyhow::Result<()> {
        state.push(("run.step".into(), Tensor::from(self.step as i64)));
        state.push((
            "run.seconds".into(),
            Tensor::from(self.elapsed().as_secs_f64()),
        ));
        state.push(("run.losses".into(), Tensor::from_slice(&self.losses)));
        write_tensors(&state, &self.checkpoint())?;
        plot::losses(&self.losses, &self.options.run.join("loss.png"))?;
        self.saved = Instant::now();
        Ok(())
    }

    /// A file in the run's folder.
    pub fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.options.run.join(name)
    }
}

/// A seed of its own for every step of a run.
pub const fn step_seed(seed: u64, step: u64) -> u64 {
    (seed << 40) ^ (step + 1)
}
