//! `try inspect`: what a checkpoint is, from its headers.

use std::{fmt::Write as _, path::PathBuf};

use anyhow::Result;
use atelier_models::{
    checkpoint::{Checkpoint, Use},
    residency::{size, with_work},
};
use serde_json::json;

use super::show;

/// Say what a checkpoint is and what memory it takes; reads headers only
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// File or folder
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// One JSON document
    #[arg(long)]
    json: bool,
}

/// Prints it.
pub fn run(args: &Args) -> Result<()> {
    let found = Checkpoint::open(&args.model)?;
    let memory = [("cpu", 4), ("cuda", 2)];
    if args.json {
        let mut document = serde_json::to_value(&found)?;
        document["parameters"] = found.parameters().into();
        for (device, a_number) in memory {
            let weights = found.bytes(a_number);
            document["memory"][device] =
                json!({ "weights": weights, "with_room_to_work": with_work(weights) });
        }
        return show::json(&document);
    }
    show::print(&show::clean(&story(&found)))
}

fn story(found: &Checkpoint) -> String {
    let mut story = String::new();
    let mut say = |what: &str, words: &str| {
        let _ = writeln!(story, "{what:12}{words}");
    };
    say(
        "family",
        &format!("{} ({})", found.family.name, found.family.what),
    );
    let uses: Vec<&str> = found
        .family
        .uses
        .iter()
        .map(|one| match one {
            Use::Say => "atelier-worker try say",
            Use::Draw => "atelier-worker try draw",
            Use::Ask => "atelier-worker try ask",
        })
        .collect();
    match &uses[..] {
        [] => say(
            "runs as",
            "nothing by itself: this build does not compute it",
        ),
        uses => say("runs as", &uses.join(", ")),
    }
    say("parameters", &millions(found.parameters()));
    if let Some(vocabulary) = found.vocabulary {
        say("tokenizer", &format!("{vocabulary} tokens"));
    }
    for (device, a_number, kind) in [("CPU", 4, "f32"), ("GPU", 2, "bf16")] {
        let weights = found.bytes(a_number);
        let words = format!(
            "{} in {kind}, {} with room to work in",
            size(weights),
            size(with_work(weights))
        );
        say(&format!("on a {device}"), &words);
    }
    for part in &found.parts {
        let stored: Vec<String> = part
            .stored
            .iter()
            .map(|(kind, numbers)| format!("{} in {kind}", millions(*numbers)))
            .collect();
        let files = match &part.files[..] {
            [(name, _)] => name.clone(),
            files => format!("{} files", files.len()),
        };
        say(
            "part",
            &format!(
                "{}: {}, {} tensors, {} ({}, {files})",
                part.name,
                part.kind,
                part.tensors,
                stored.join(", "),
                size(part.on_disk()),
            ),
        );
    }
    story
}

fn millions(parameters: u64) -> String {
    let parameters = parameters as f64;
    if parameters >= 1e9 {
        format!("{:.2} billion", parameters / 1e9)
    } else {
        format!("{:.2} million", parameters / 1e6)
    }
}
