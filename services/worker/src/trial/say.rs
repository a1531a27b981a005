//! `try say`: text from a language model.

use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    time::Instant,
};

use anyhow::{Context, Result, bail};
use atelier_models::{
    checkpoint::{Checkpoint, Use},
    language::{LanguageModel, Message, Sampler, Sampling},
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
    let sampling = Sampling {
        temperature: args.temperature,
        top_k: args.top_k,
        top_p: args.top_p,
    };
    let sampler = Sampler::new(sampling, args.seed)?;
    let start = Instant::now();
    let (mut read, mut unshown, mut closed) = (None, Vec::new(), Ok(()));
    let most = usize::try_from(args.tokens).unwrap_or(usize::MAX);
    let written = model.write(&prompt, sampler, most, &mut |token| {
        read.get_or_insert_with(|| start.elapsed());
        if !args.json {
            unshown.extend_from_slice(model.tokenizer.bytes_of(token));
            closed = show::print(&show::clean(&take_whole(&mut unshown)));
        }
        closed.is_ok()
    })?;
    closed?;
    let all = start.elapsed();
    let read = read.unwrap_or(all);
    let (read_ms, write_ms) = (read.as_millis() as u64, (all - read).as_millis() as u64);
    let ended = if written.len() == most {
        "tokens"
    } else if prompt.len() + written.len() > model.decoder.config().context {
        "context"
    } else {
        "end"
    };
    if args.json {
        return show::json(&json!({
            "text": model.tokenizer.decode(&written), "tokens": written, "prompt_tokens": prompt.len(), "ended_by": ended,
            "load_ms": load_ms, "read_ms": read_ms, "write_ms": write_ms,
        }));
    }
    show::print(&show::clean(&String::from_utf8_lossy(&unshown)))?;
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

/// Takes the text out of bytes as far as its characters are whole; what is not UTF-8 is replaced. The beginning of a character stays until
/// the token comes that ends it.
fn take_whole(bytes: &mut Vec<u8>) -> String {
    let begun = bytes.utf8_chunks().last().map_or(0, |chunk| {
        let rest = chunk.invalid();
        let may_go_on = str::from_utf8(rest).is_err_and(|error| error.error_len().is_none());
        if may_go_on { rest.len() } else { 0 }
    });
    let rest = bytes.split_off(bytes.len() - begun);
    let whole = std::mem::replace(bytes, rest);
    String::from_utf8_lossy(&whole).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_shown_once_they_are_whole() {
        let text = "é — 猫\u{1f388}!";
        for size in 1..5 {
            let (mut waiting, mut shown) = (Vec::new(), String::new());
            for piece in text.as_bytes().chunks(size) {
                waiting.extend_from_slice(piece);
                let new = take_whole(&mut waiting);
                assert!(!new.contains(char::REPLACEMENT_CHARACTER), "{new:?}");
                assert!(waiting.len() < 4, "{waiting:?}");
                shown.push_str(&new);
            }
            assert_eq!((shown.as_str(), waiting.len()), (text, 0));
        }
    }

    #[test]
    fn what_is_no_text_does_not_wait() {
        let mut bytes = b"a\xff\xe2\x82".to_vec();
        assert_eq!(take_whole(&mut bytes), "a\u{fffd}");
        assert_eq!(bytes, b"\xe2\x82");
        bytes.push(b'b');
        assert_eq!(take_whole(&mut bytes), "\u{fffd}b");
        assert_eq!(bytes, b"");
    }
}
