//! How fast the networks are beside diffusers and transformers on the same device, in the same run: random weights of a named size, calls of both
//! sides in turns.
//!
//! With `--only planner` how fast the shipped planner drafts instead, with forced tokens and without.
//!
//! `deploy/test bench models [--only renderer,picture,language,critic] [--configuration tiny,100m] [--device cpu] [--python PYTHON] [--calls N] [--json FILE]`

mod drafts;
mod drawing;
mod floors;
mod looking;
mod measured;
mod options;
mod ours;
mod shapes;
mod theirs;
mod writing;

use std::time::Instant;

use anyhow::Result;
use atelier_models::device;
use floors::Floors;
use measured::{HEAD, Measured};
use options::Options;
use ours::Ours;
use serde_json::json;
use shapes::{Case, cases};
use theirs::Theirs;

/// Calls that nobody measures.
const WARM_UP: usize = 2;

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
    let floors = Floors::measure(on);
    let mut theirs = options
        .python
        .as_deref()
        .map(|python| Theirs::start(python, device::threads()))
        .transpose()?;
    println!(
        "{} with {} threads, median of {} calls each, in turns; at best {:.2} TFLOP/s and {:.1} GB/s",
        device::name(on),
        device::threads(),
        options.calls,
        floors.flops / 1e12,
        floors.bytes / 1e9
    );
    println!("{HEAD}");
    let mut all = Vec::new();
    for configuration in &options.configurations {
        for case in cases(configuration, &options.parts)? {
            let measured = measure(&case, on, theirs.as_mut(), options.calls)?;
            println!("{}", measured.row(&floors));
            all.push(measured);
        }
    }
    if let Some(file) = &options.json {
        let rows: Vec<_> = all.iter().map(|one| one.json(&floors)).collect();
        let report = json!({
            "device": device::name(on), "threads": device::threads(), "cases": rows,
            "floors": {"tflops": floors.flops / 1e12, "gbytes": floors.bytes / 1e9},
        });
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
        theirs.make(case, &ours.told, &device::name(on))?;
    }
    let mut measured = Measured {
        name: case.name.clone(),
        parameters: ours.parameters,
        effort: ours.effort,
        ours: Vec::with_capacity(calls),
        theirs: Vec::new(),
    };
    for round in 0..WARM_UP + calls {
        let start = Instant::now();
        ours.call()?;
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
