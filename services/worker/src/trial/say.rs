//! `try say`: text from a language model.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    time::Instant,
};

use anyhow::{Context, Result, bail};
use atelier_models::{
    checkpoint::{Checkpoint, Use},
    language::{Cache, LanguageModel, Message, Sampler, Sampling},
};
use serde_json::json;

use super::{Place, show};

/// Write text with a language model
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// GGUF file, or folder as Hugging Face libraries write it
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// What to say to it; - reads stdin
    #[arg(value_name = "TEXT")]
    text: String,
    /// System turn in front
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Give it the text as it is, without the checkpoint's chat template
    #[arg(long, conflicts_with = "system")]
    raw: bool,
    /// Most tokens to write
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=65_536))]
    tokens: u64,
    /// How freely it chooses: 0 takes the likeliest token each time
    #[arg(long, value_name = "T", default_value_t = 0.7)]
    temperature: f64,
    /// Choose among the likeliest tokens that make up this share
    #[arg(long, value_name = "P", default_value_t = 0.95)]
    top_p: f64,
    /// Choose among so many of the likeliest tokens; 0 is all
    #[arg(long, value_name = "K", default_value_t = 0)]
    top_k: usize,
    /// The same seed chooses the same
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder of a LoRA adapter in PEFT's format
    #[arg(long, value_name = "DIR")]
    adapter: Option<PathBuf>,
    /// One JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

/// Writes, and prints as it goes.
pub fn run(args: &Args) -> Result<()> {
    let found = Checkpoint::open(&args.model)?;
    if found.family.uses != [Use::Say] {
        bail!(
            "{} is {} ({}), which writes no text here: give a language model (llama, qwen2, qwen3) as GGUF or as a folder",
            args.model.display(),
            found.family.name,
            found.family.what
        );
    }
    let text = match args.text.as_str() {
        "-" => io::read_to_string(io::stdin()).context("cannot read stdin")?,
        text => text.to_owned(),
    };
    let device = args.place.open()?;
    let start = Instant::now();
    let model = LanguageModel::load(&args.model, args.adapter.as_deref(), device)?;
    let load_ms = start.elapsed().as_millis() as u64;
    let prompt = prompt(&model, args, &text)?;
    let start = Instant::now();
    let mut cache = Cache::default();
    let mut logits = model.decoder.next_logits(&prompt, &mut cache)?;
    let read_ms = start.elapsed().as_millis() as u64;
    let sampling = Sampling {
        temperature: args.temperature,
        top_k: args.top_k,
        top_p: args.top_p,
    };
    let mut sampler = Sampler::new(sampling, args.seed)?;
    let mut written = Vec::new();
    let mut shown = 0;
    let start = Instant::now();
    let ended = loop {
        let token = sampler.pick(&logits, None);
        if model.ends.contains(&token) {
            break "end";
        }
        written.push(token);
        if !args.json {
            shown = show_more(&model.tokenizer.decode(&written), shown)?;
        }
        if written.len() as u64 == args.tokens {
            break "tokens";
        }
        if cache.len() + 1 >= model.decoder.config().context {
            break "context";
        }
        logits = model.decoder.next_logits(&[token], &mut cache)?;
    };
    let write_ms = start.elapsed().as_millis() as u64;
    if args.json {
        return show::json(&json!({
            "text": model.tokenizer.decode(&written), "tokens": written, "prompt_tokens": prompt.len(), "ended_by": ended,
            "load_ms": load_ms, "read_ms": read_ms, "write_ms": write_ms,
        }));
    }
    show::print("\n")?;
    if io::stderr().is_terminal() {
        eprintln!(
            "loaded in {load_ms} ms, {} tokens read in {read_ms} ms, {} written in {write_ms} ms",
            prompt.len(),
            written.len()
        );
    }
    Ok(())
}

/// Tokens of what is said to the model, in the checkpoint's own form.
fn prompt(model: &LanguageModel, args: &Args, text: &str) -> Result<Vec<u32>> {
    if args.raw {
        return Ok(model.tokenizer.encode_plain(text)?);
    }
    let chat = model
        .chat
        .as_ref()
        .context("the checkpoint has no chat template: --raw gives it the text as it is")?;
    let turn = |role: &'static str, content: &str| Message {
        role,
        content: content.to_owned(),
    };
    let mut turns: Vec<Message> = Vec::new();
    turns.extend(args.system.as_deref().map(|system| turn("system", system)));
    turns.push(turn("user", text));
    Ok(model.tokenizer.encode(&chat.render(&turns, true)?)?)
}

/// Prints what is new of a text, up to the last character that is whole; how much of it is printed now, in bytes.
fn show_more(text: &str, shown: usize) -> Result<usize> {
    // A character of several tokens shows as a replacement until it is whole.
    let whole = text.trim_end_matches(char::REPLACEMENT_CHARACTER).len();
    let Some(new) = text.get(shown..whole).filter(|new| !new.is_empty()) else {
        return Ok(shown);
    };
    show::print(&show::clean(new))?;
    Ok(whole)
}
