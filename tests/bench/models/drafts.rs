//! What reading forced tokens together is worth: the shipped planner drafts the first prompts with it and without, in turns.

use std::{path::Path, rc::Rc, time::Instant};

use anyhow::{Context, Result, ensure};
use atelier_models::{
    language::{DecoderConfig, Tokenizer},
    planner::Planner,
    weights::gguf::Gguf,
};
use serde_json::{Value, json};

const LANGUAGE: &str = ".deps/models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
const ADAPTER: &str = "deploy/models/atelier-mini/planner";
const PROMPTS: &str = "tests/prompts/first.jsonl";

/// Sums over all prompts.
#[derive(Default)]
struct Sums {
    sampled: u64,
    forced: u64,
    passes: u64,
    ms: f64,
}

impl Sums {
    fn json(&self) -> Value {
        json!({"sampled": self.sampled, "forced": self.forced, "passes": self.passes, "ms": self.ms})
    }
}

fn planner() -> Result<Planner> {
    let file = Gguf::open(Path::new(LANGUAGE))?;
    Ok(Planner::new(
        DecoderConfig::from_gguf(&file)?,
        &file.weights(tch::Kind::Float)?,
        Rc::new(Tokenizer::from_gguf(&file)?),
        Path::new(ADAPTER),
    )?)
}

fn prompts() -> Result<Vec<String>> {
    let text = std::fs::read_to_string(PROMPTS)
        .with_context(|| format!("{PROMPTS}: run it in the checkout"))?;
    text.lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line)?;
            let prompt = line["prompt"].as_str().context("a line without a prompt")?;
            Ok(prompt.to_owned())
        })
        .collect()
}

/// Drafts every prompt both ways, prints the comparison, and returns it.
pub fn measure() -> Result<Value> {
    let prompts = prompts()?;
    let mut planners = [planner()?, planner()?.with_forcing(false)];
    let mut sums = [Sums::default(), Sums::default()];
    // The first draft warms up.
    for planner in &mut planners {
        planner.draft(&prompts[0], 0, &mut |_| true)?;
    }
    for prompt in &prompts {
        let mut texts = Vec::new();
        for (planner, sums) in planners.iter_mut().zip(&mut sums) {
            let began = Instant::now();
            let output = planner.draft(prompt, 0, &mut |_| true)?;
            sums.ms += began.elapsed().as_secs_f64() * 1_000.0;
            sums.sampled += u64::from(output.tokens_sampled);
            sums.forced += u64::from(output.tokens_forced);
            sums.passes += u64::from(output.passes);
            texts.push(output.text);
        }
        ensure!(texts[0] == texts[1], "two drafts of {prompt:?}: {texts:#?}");
    }
    let [forced, plain] = &sums;
    let count = prompts.len() as f64;
    println!("| | drafts | tokens | of them forced | passes | ms a draft |");
    println!("|---|---|---|---|---|---|");
    for (name, sums) in [
        ("forced tokens read together", forced),
        ("one token a pass", plain),
    ] {
        let tokens = sums.sampled + sums.forced;
        println!(
            "| {name} | {count} | {tokens} | {:.0} % | {} | {:.0} |",
            100.0 * sums.forced as f64 / tokens.max(1) as f64,
            sums.passes,
            sums.ms / count
        );
    }
    println!(
        "saved: {:.0} % of the time, the same drafts",
        100.0 * (1.0 - forced.ms / plain.ms.max(1e-9))
    );
    Ok(json!({"prompts": prompts.len(), "forced": forced.json(), "plain": plain.json()}))
}
