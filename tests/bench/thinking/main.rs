//! What thinking costs: several requests at once through the default model on this machine's CPU, with a farm of its own; device seconds for
//! planning and looking beside those for drawing, from the traces.
//!
//! `deploy/test bench thinking --requests 8 --json thinking.json`

use std::{path::PathBuf, time::Instant};

use anyhow::{Context, Result, bail, ensure};
use atelier_proto::{
    http::{Cost, SubmitRequest},
    job::JobKind,
    trace::Trace,
};
use atelier_tests::{Api, Sandbox, prompt};
use serde::{Deserialize, Serialize};

/// How long all requests together may take.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(1_800);
/// What is wanted: device time for thinking, of that for drawing.
const WANTED: f64 = 0.6;

struct Options {
    requests: usize,
    prompts: PathBuf,
    json: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Line {
    prompt: String,
    seed: u64,
}

/// What one run measured.
#[derive(Debug, Serialize)]
struct Measured {
    requests: usize,
    /// From the first submit to the last end, in seconds.
    wall_s: f64,
    plan_s: f64,
    critique_s: f64,
    render_s: f64,
    repair_s: f64,
    /// Planning and looking, of drawing.
    thinking_of_drawing: f64,
    wanted: f64,
    /// Pictures that were drawn, all rounds.
    drawings: usize,
    /// Mean number of plans that were on the device at once, by the time that they shared.
    plans_at_once: f64,
}

fn options() -> Result<Options> {
    let mut options = Options {
        requests: 8,
        prompts: "tests/prompts/first.jsonl".into(),
        json: None,
    };
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        let value = args
            .next()
            .with_context(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--requests" => options.requests = value.parse().context("--requests N")?,
            "--prompts" => options.prompts = value.into(),
            "--json" => options.json = Some(value.into()),
            _ => {
                bail!("unknown option {flag}; there are --requests N, --prompts FILE, --json FILE")
            }
        }
    }
    Ok(options)
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = options()?;
    let text = std::fs::read_to_string(&options.prompts)
        .with_context(|| format!("cannot read {}", options.prompts.display()))?;
    let lines: Vec<Line> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .context("a line of the prompts")?;
    ensure!(
        (1..=lines.len()).contains(&options.requests),
        "--requests 1 to {}, as many as there are prompts",
        lines.len()
    );
    let sandbox = Sandbox::start().await?;
    let coordinator = sandbox.coordinator("coordinator", &[])?;
    let _worker = sandbox.real_worker("worker", &["--cache", "none"])?;
    let api = &coordinator.api;
    // The first one also pays for what is loaded when it is first needed.
    let warm = api.submit(&prompt("a cat")).await?.id;
    api.succeeded(warm, LIMIT).await?;
    // From all over the file, which begins with single things.
    let every = lines.len() / options.requests;
    let chosen: Vec<&Line> = lines.iter().step_by(every).take(options.requests).collect();
    let measured = measure(api, &chosen).await?;
    tell(&measured);
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_string_pretty(&measured)? + "\n")
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

async fn measure(api: &Api, lines: &[&Line]) -> Result<Measured> {
    let begun = Instant::now();
    let mut ids = Vec::with_capacity(lines.len());
    for line in lines {
        let request = SubmitRequest {
            seed: Some(line.seed),
            cache: Some(false),
            ..prompt(&line.prompt)
        };
        ids.push(api.submit(&request).await?.id);
    }
    for id in &ids {
        api.succeeded(*id, LIMIT).await?;
    }
    let wall_s = begun.elapsed().as_secs_f64();
    let mut cost = Cost::default();
    let (mut drawings, mut plans, mut shared) = (0, 0_u32, 0.0);
    for id in ids {
        let trace: Trace = api.trace(id).await?;
        cost.plan_ms += trace.cost.plan_ms;
        cost.critique_ms += trace.cost.critique_ms;
        cost.render_ms += trace.cost.render_ms;
        cost.repair_ms += trace.cost.repair_ms;
        for job in trace.jobs.iter().filter(|job| job.state == "done") {
            drawings += usize::from(job.kind == JobKind::Render);
            if let (JobKind::Plan, Some(made)) = (job.kind, &job.made) {
                plans += 1;
                let own = job.device_ms.unwrap_or(0).max(1);
                shared += f64::from(made.spent.compute_ms.max(1)) / own as f64;
            }
        }
    }
    let seconds = |ms: u64| ms as f64 / 1_000.0;
    let drawing = cost.render_ms + cost.repair_ms;
    let thinking = cost.plan_ms + cost.critique_ms;
    Ok(Measured {
        requests: lines.len(),
        wall_s,
        plan_s: seconds(cost.plan_ms),
        critique_s: seconds(cost.critique_ms),
        render_s: seconds(cost.render_ms),
        repair_s: seconds(cost.repair_ms),
        thinking_of_drawing: thinking as f64 / drawing.max(1) as f64,
        wanted: WANTED,
        drawings,
        plans_at_once: shared / f64::from(plans.max(1)),
    })
}

fn tell(measured: &Measured) {
    println!(
        "| {} requests at once | device s |\n|---|---|",
        measured.requests
    );
    for (what, seconds) in [
        ("planning", measured.plan_s),
        ("looking", measured.critique_s),
        ("drawing", measured.render_s),
        ("repairing", measured.repair_s),
    ] {
        println!("| {what} | {seconds:.2} |");
    }
    println!(
        "\nthinking is {:.0} % of drawing (wanted: less than {:.0} %); {} drawings, {:.1} plans at once, {:.1} s in all",
        measured.thinking_of_drawing * 100.0,
        measured.wanted * 100.0,
        measured.drawings,
        measured.plans_at_once,
        measured.wall_s
    );
}
