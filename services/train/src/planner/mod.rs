//! Recipe of the planner: a low-rank adapter over a small language model, taught on endless made-up prompts.

mod batch;
mod eval;
mod lora;
pub mod prompts;
mod suite;
mod taught;

use std::{path::PathBuf, rc::Rc};

use anyhow::Context;
use atelier_models::{
    language::{DecoderConfig, Tokenizer},
    planner::{Binding, Dialog, Planner},
    weights::gguf::Gguf,
};
use serde_json::json;
use tch::{Kind, Tensor};

use crate::run::{Master, Optimizer, Options, Rates, Rule, Session};

use batch::{BATCH, Batches};
use prompts::Nouns;
pub use taught::{Taught, taught};

/// Options of the command.
#[derive(clap::Args)]
pub struct Args {
    /// The language model.
    #[arg(
        long,
        value_name = "GGUF",
        default_value = ".deps/models/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    )]
    base: PathBuf,
    /// Train nothing: say what the drafts of `--adapter` name of this suite.
    #[arg(long, value_name = "JSONL")]
    eval: Vec<PathBuf>,
    /// The adapter that is judged.
    #[arg(
        long,
        value_name = "DIR",
        default_value = "deploy/models/atelier-mini/planner"
    )]
    adapter: PathBuf,
    /// Judge drafts whose words are not bound to the prompt.
    #[arg(long)]
    free: bool,
    /// Judge in bf16.
    #[arg(long)]
    half: bool,
    /// Show what is wrong.
    #[arg(long)]
    verbose: bool,
    #[command(flatten)]
    options: Options,
    /// Start from this trained adapter instead of a fresh one.
    #[arg(long, value_name = "DIR")]
    start: Option<PathBuf>,
    /// Highest learning rate.
    #[arg(long, default_value_t = 1e-3)]
    rate: f64,
    /// Write the trained adapter to this folder at the end.
    #[arg(long, value_name = "DIR")]
    export: Option<PathBuf>,
}

/// Steps until the rate is reached.
const WARM: f64 = 20.0;

/// How much of the average stays at each step; less in the first ones.
const KEEP: f64 = 0.98;

/// Largest norm of a gradient.
const CLIP: f64 = 1.0;

/// Runs the command.
pub fn run(args: Args) -> anyhow::Result<()> {
    let base = Gguf::open(&args.base)?;
    if args.eval.is_empty() {
        train(&args, &base)
    } else {
        evaluate(&args, &base)
    }
}

fn evaluate(args: &Args, base: &Gguf) -> anyhow::Result<()> {
    tch::set_num_threads(args.options.threads);
    let kind = if args.half {
        Kind::BFloat16
    } else {
        Kind::Float
    };
    let binding = if args.free {
        Binding::Free
    } else {
        Binding::Prompt
    };
    let tokenizer = Rc::new(Tokenizer::from_gguf(base)?);
    let config = DecoderConfig::from_gguf(base)?;
    let mut planner =
        Planner::new(config, &base.weights(kind)?, tokenizer, &args.adapter)?.with_binding(binding);
    for suite in &args.eval {
        eval::evaluate(&mut planner, suite, args.verbose)?;
    }
    Ok(())
}

fn train(args: &Args, base: &Gguf) -> anyhow::Result<()> {
    let (mut session, saved) = Session::open(&args.options)?;
    let config = DecoderConfig::from_gguf(base)?;
    let weights = base.weights(Kind::BFloat16)?;
    let mut master = Master::new(match &args.start {
        Some(dir) => lora::trained(dir)?,
        None => lora::fresh(&config, args.options.seed),
    });
    let mut optimizer = Optimizer::new(&master, |_, _| Rule::AdamW);
    if let Some(saved) = &saved {
        master.restore(saved)?;
        optimizer.restore(saved)?;
    }
    let dialog = Dialog::new(Rc::new(Tokenizer::from_gguf(base)?))?;
    let batches = Batches {
        nouns: Nouns::new(),
        dialog: &dialog,
        seed: args.options.seed,
    };
    println!("{:.2} M parameters", master.count() as f64 / 1e6);
    while !session.is_over() {
        let step = session.step() as f64;
        let batch = batches.batch(session.step())?;
        let decoder = lora::adapted(&config, &weights, &master)?;
        let states = decoder.states(&batch.tokens).flatten(0, 1);
        let logits = decoder.logits(&states.index_select(0, &batch.positions));
        let loss = logits.cross_entropy_for_logits(&batch.labels);
        loss.backward();
        let adam = args.rate * ((step + 1.0) / WARM).min(1.0) * (1.0 - session.progress());
        optimizer.step(&master, Rates { adam, muon: 0.0 }, CLIP);
        master.follow(KEEP.min((step + 1.0) / (step + 10.0)));
        session.stepped(loss.double_value(&[]), BATCH as u64);
        if session.save_is_due() {
            save(&mut session, &master, &optimizer)?;
        }
    }
    save(&mut session, &master, &optimizer)?;
    let Some(dir) = &args.export else {
        return Ok(());
    };
    let facts = json!({ "steps": session.step(), "batch": BATCH, "rate": args.rate, "seed": args.options.seed });
    lora::export(&master, dir, &facts).context("cannot export the adapter")
}

fn save(session: &mut Session, master: &Master, optimizer: &Optimizer) -> anyhow::Result<()> {
    let state: Vec<(String, Tensor)> = master
        .state()
        .into_iter()
        .chain(optimizer.state())
        .collect();
    session.save(state)
}
