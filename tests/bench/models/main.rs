//! How fast the renderers' networks are beside diffusers on the same device, in the same run: random weights of a named size, calls of both
//! sides in turns.
//!
//! With `--only planner` how fast the shipped planner drafts instead, with forced tokens and without.
//!
//! `deploy/test bench models [--only planner] [--configuration tiny,100m] [--device cpu] [--python PYTHON] [--calls N] [--json FILE]`

mod drafts;
mod ours;
mod shapes;
mod theirs;

use std::{path::PathBuf, time::Instant};

use anyhow::{Context, Result, bail};
use atelier_models::device;
use ours::Ours;
use serde_json::json;
use shapes::{CONFIGURATIONS, Case, cases};
use theirs::Theirs;

/// Calls that nobody measures.
const WARM_UP: usize = 2;

struct Options {
    configurations: Vec<String>,
    device: String,
    python: Option<PathBuf>,
    calls: usize,
    threads: Option<usize>,
    json: Option<PathBuf>,
    planner: bool,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            configurations: vec!["tiny".into()],
            device: "auto".into(),
            python: None,
            calls: 15,
            threads: None,
            json: None,
            planner: false,
        };
        while let Some(flag) = arguments.next() {
            let value = arguments
                .next()
                .with_context(|| format!("{flag} needs a value"))?;
            let number = || value.parse().with_context(|| format!("{flag} {value}"));
            match flag.as_str() {
                "--configuration" => {
                    options.configurations = value.split(',').map(str::to_owned).collect();
                }
                "--device" => options.device = value,
                "--python" => options.python = Some(value.into()),
                "--calls" => options.calls = number()?,
                "--threads" => options.threads = Some(number()?),
                "--only" if value == "planner" => options.planner = true,
                "--json" => options.json = Some(value.into()),
                _ => bail!(
                    "unknown option {flag} {value}; there are --only planner, --configuration {}, --device NAME, --python PYTHON, --calls N, --threads N, --json FILE",
                    CONFIGURATIONS.join(",")
                ),
            }
        }
        if options.calls == 0 {
            bail!("--calls must be at least 1");
        }
        Ok(options)
    }
}

/// What was measured of one case, in milliseconds.
struct Measured {
    name: String,
    parameters: u64,
    tflop: f64,
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

fn main() -> Result<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    if let Some(threads) = options.threads {
        device::set_threads(threads);
    }
    if options.planner {
        let report = drafts::measure()?;
        if let Some(file) = &options.json {
            std::fs::write(file, serde_json::to_string_pretty(&report)?)?;
        }
        return Ok(());
    }
    let on = device::open(&options.device)?;
    let mut theirs = options
        .python
        .as_deref()
        .map(|python| Theirs::start(python, device::threads()))
        .transpose()?;
    let mut all = Vec::new();
    for configuration in &options.configurations {
        for case in cases(configuration)? {
            eprintln!("bench: {}", case.name);
            all.push(measure(&case, on, theirs.as_mut(), options.calls)?);
        }
    }
    println!(
        "{} with {} threads, median of {} calls each, in turns",
        device::name(on),
        device::threads(),
        options.calls
    );
    println!("| | parameters | ours ms | TFLOP/s | diffusers ms | ours / diffusers |");
    println!("|---|---|---|---|---|---|");
    for measured in &all {
        println!("{}", measured.row());
    }
    if let Some(file) = &options.json {
        let rows: Vec<_> = all.iter().map(Measured::json).collect();
        let report =
            json!({"device": device::name(on), "threads": device::threads(), "cases": rows});
        std::fs::write(file, serde_json::to_string_pretty(&report)?)?;
    }
    Ok(())
}

fn measure(
    case: &Case,
    on: tch::Device,
    mut theirs: Option<&mut Theirs>,
    calls: usize,
) -> Result<Measured> {
    let ours = Ours::new(case, on)?;
    if let Some(theirs) = theirs.as_deref_mut() {
        theirs.make(case, &device::name(on))?;
    }
    let mut measured = Measured {
        name: case.name.clone(),
        parameters: ours.parameters,
        tflop: ours.flops / 1e12,
        ours: Vec::with_capacity(calls),
        theirs: Vec::new(),
    };
    for round in 0..WARM_UP + calls {
        let start = Instant::now();
        ours.call();
        let ms = start.elapsed().as_secs_f64() * 1000.0;
        let their_ms = theirs.as_deref_mut().map(Theirs::call).transpose()?;
        if round >= WARM_UP {
            measured.ours.push(ms);
            measured.theirs.extend(their_ms);
        }
    }
    if let Some(theirs) = theirs {
        theirs.forget()?;
    }
    Ok(measured)
}

impl Measured {
    fn row(&self) -> String {
        let ours = median(&self.ours);
        let speed = if self.tflop > 0.0 {
            format!("{:.2}", self.tflop / ours * 1000.0)
        } else {
            String::new()
        };
        let (theirs, ratio) = if self.theirs.is_empty() {
            (String::new(), String::new())
        } else {
            let theirs = median(&self.theirs);
            (format!("{theirs:.1}"), format!("{:.2}", ours / theirs))
        };
        format!(
            "| {} | {:.1} M | {ours:.1} | {speed} | {theirs} | {ratio} |",
            self.name,
            self.parameters as f64 / 1e6
        )
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "name": self.name, "parameters": self.parameters, "tflop": self.tflop,
            "ours_ms": self.ours, "diffusers_ms": self.theirs,
        })
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
