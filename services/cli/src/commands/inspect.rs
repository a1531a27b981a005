//! `atelier inspect`: what a picture's file says of itself.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use atelier_pictures::{Origin, Parameters, Provenance, Text, texts};
use atelier_proto::{RequestId, Sha256, trace::Trace};
use sha2::{Digest, Sha256 as Hasher};

use super::files::trace_beside;
use crate::show::{self, OutputArgs};

/// Longest file that is read, in bytes.
const MAX_FILE: u64 = 256 << 20;
/// The same of a trace.
const MAX_TRACE: u64 = 16 << 20;

/// Say what a PNG was made with: prompt, model, seed, plan
///
/// Pictures of a farm carry two texts: `parameters`, which other tools read as well, and `atelier`, the same for programs with the digest of the
/// plan. A copy that was saved has a third, `atelier-trace`, with the request: `atelier trace ID` tells its story. Without that text the picture is
/// the file that the farm stores, whose digest is said here: by it, traces name their pictures, so that a trace beside the picture is recognised.
/// Pictures of other tools are read as far as they have `parameters`. No farm is asked.
#[derive(clap::Args)]
pub struct Args {
    /// The picture (PNG)
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

/// Prints what the file says; a picture that says nothing is no error.
pub fn run(args: &Args) -> Result<ExitCode> {
    let shown = args.file.display();
    let size = fs::metadata(&args.file).with_context(|| format!("cannot read {shown}"))?;
    if size.len() > MAX_FILE {
        bail!(
            "{shown} has {} bytes, at most {MAX_FILE} are read",
            size.len()
        );
    }
    let file = fs::read(&args.file).with_context(|| format!("cannot read {shown}"))?;
    let found = match texts(&file) {
        Ok(found) => found,
        Err(atelier_pictures::PictureError::Format) => {
            bail!("{shown} is not a PNG: only PNG files carry these texts")
        }
        Err(error) => bail!("{shown} {error}"),
    };
    let (origin, stored) = match Origin::take_out(&file) {
        Some((origin, stored)) => (Some(origin.request), stored),
        None => (None, file),
    };
    let digest = Sha256(Hasher::digest(&stored).into());
    let beside = trace_of(&args.file, digest);
    if args.output.is_json() {
        let mut document = document(&found);
        document["sha256"] = serde_json::json!(digest);
        let request = origin.or(beside.as_ref().map(|(_, request)| *request));
        document["request"] = serde_json::json!(request);
        args.output.print(&document)?;
    } else {
        let mut told = story(&args.file, &found);
        let _ = writeln!(told, "{:12}{digest}", "sha256");
        if let Some(request) = origin {
            let _ = writeln!(
                told,
                "{:12}{request}, see 'atelier trace {request}'",
                "request"
            );
        }
        if let Some((trace, request)) = beside {
            let _ = writeln!(told, "{:12}{}, request {request}", "trace", trace.display());
        }
        show::print(&show::multiline(&told))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The trace beside a picture and its request, when it is about this very file: as the result, or as what a stage drew.
fn trace_of(picture: &Path, digest: Sha256) -> Option<(PathBuf, RequestId)> {
    let file = trace_beside(picture);
    if fs::metadata(&file).ok()?.len() > MAX_TRACE {
        return None;
    }
    let trace: Trace = serde_json::from_slice(&fs::read(&file).ok()?).ok()?;
    let drawn = trace.jobs.iter().filter_map(|job| job.artifact);
    let mut named = trace.image.into_iter().chain(drawn);
    named
        .any(|artifact| artifact.sha256 == digest)
        .then_some((file, trace.request))
}

fn text<'a>(texts: &'a [Text], keyword: &str) -> Option<&'a str> {
    let found = texts.iter().find(|text| text.keyword == keyword)?;
    Some(&found.text)
}

/// Every text as it is, and the two that are known also in their parts.
fn document(texts: &[Text]) -> serde_json::Value {
    let all: serde_json::Map<String, serde_json::Value> = texts
        .iter()
        .map(|text| (text.keyword.clone(), text.text.clone().into()))
        .collect();
    let parameters = text(texts, Parameters::KEYWORD).map(|text| {
        let read = Parameters::parse(text);
        let pairs = read.pairs.into_iter();
        let pairs: serde_json::Map<_, _> = pairs.map(|(key, value)| (key, value.into())).collect();
        serde_json::json!({ "prompt": read.prompt, "negative_prompt": read.negative, "settings": pairs })
    });
    // What this version does not understand is still given as JSON.
    let atelier = text(texts, Provenance::KEYWORD)
        .and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    serde_json::json!({ "parameters": parameters, "atelier": atelier, "texts": all })
}

fn story(file: &Path, texts: &[Text]) -> String {
    let mut story = String::new();
    let mut say = |what: &str, words: &str| {
        let _ = writeln!(story, "{what:12}{words}");
    };
    let made = text(texts, Provenance::KEYWORD).and_then(|text| Provenance::parse(text).ok());
    if let Some(made) = made {
        say("prompt", &made.prompt);
        say("model", &made.model);
        let drawn = format!("{}, {} steps, seed {}", made.op, made.steps, made.seed);
        say("drawn by", if made.steps > 0 { &drawn } else { &made.op });
        let [width, height] = made.size;
        say("size", &format!("{width} x {height}"));
        for used in &made.references {
            say("with", &format!("{} as {}", used.reference, used.element));
        }
        say("plan", &format!("{}, stage {}", made.plan, made.stage));
        say("made by", &made.made_by);
    } else if let Some(text) = text(texts, Parameters::KEYWORD) {
        let read = Parameters::parse(text);
        say("prompt", &read.prompt);
        if !read.negative.is_empty() {
            say("not", &read.negative);
        }
        for (key, value) in &read.pairs {
            say(&key.to_lowercase(), value);
        }
    } else {
        return format!(
            "{} says nothing about how it was made ({} other texts: --json shows them)\n",
            file.display(),
            texts.len()
        );
    }
    story
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_of_other_tools_are_told_as_well() {
        let other = [Text::new(
            "parameters",
            "a cat\nNegative prompt: a dog\nSteps: 20, Sampler: Euler a, Seed: 7",
        )];
        let told = story(Path::new("cat.png"), &other);
        assert_eq!(
            told,
            "prompt      a cat\nnot         a dog\nsteps       20\nsampler     Euler a\nseed        7\n"
        );
        let document = document(&other);
        assert_eq!(document["parameters"]["settings"]["Seed"], "7");
        assert!(document["atelier"].is_null());
        let silent = story(Path::new("cat.png"), &[Text::new("Software", "a camera")]);
        assert!(silent.starts_with("cat.png says nothing"), "{silent}");
    }
}
