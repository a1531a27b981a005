//! Prompts as renderers read them: short, padded and full.

use std::{collections::BTreeMap, os::unix::fs::symlink, path::PathBuf};

use atelier_models::language::{Reading, TextEncoder};
use tch::Device;

use super::{Comparison, Failure, Subject};

#[test]
fn padded_prompts_are_those_of_the_pipelines() {
    super::super::assert_carried("qwen3", "texts", check);
    for (checkpoint, check) in [("klein", klein as super::super::Check), ("zimage", zimage)] {
        super::super::assert_full(checkpoint, checkpoint, check);
    }
}

/// A language model's folder as the two folders of a pipeline.
fn pipeline(subject: &Subject) -> Result<(PathBuf, Option<tempfile::TempDir>), Failure> {
    if subject.checkpoint.join("text_encoder").exists() {
        return Ok((subject.checkpoint.clone(), None));
    }
    let dir = tempfile::tempdir()?;
    for part in ["text_encoder", "tokenizer"] {
        symlink(&subject.checkpoint, dir.path().join(part))?;
    }
    Ok((dir.path().to_owned(), Some(dir)))
}

/// The carried prompts.
pub fn check(subject: &Subject, found: &mut Comparison) -> Result<(), Failure> {
    let (path, _dir) = pipeline(subject)?;
    let reading = Reading {
        taps: subject.fact("read")?,
        most: subject.fact("most")?,
        ..Reading::klein()
    };
    let encoder = TextEncoder::load(&path, |_| reading.clone(), Device::Cpu)?;
    for (case, prompt) in subject.fact::<BTreeMap<String, String>>("cases")? {
        let taps = subject.fact::<Vec<usize>>("taps")?;
        prompted(subject, &encoder, &taps, &case, &prompt, found)?;
    }
    together(subject, &encoder, found)?;
    let encoder = TextEncoder::load(&path, Reading::z_image, Device::Cpu)?;
    let ids = subject.tokens("zimage.input_ids")?;
    let prompt = subject.fact::<BTreeMap<String, String>>("cases")?["padded"].clone();
    found.equal("zimage.input_ids", &encoder.tokens(&prompt)?, &ids);
    let states = encoder.encode(&[ids])?[0].unsqueeze(0);
    found.near("zimage.states", &states, &subject.tensor("zimage.states")?);
    Ok(())
}

/// Prompts of unequal length in one pass have the states that each has alone.
fn together(
    subject: &Subject,
    encoder: &TextEncoder,
    found: &mut Comparison,
) -> Result<(), Failure> {
    let cases: BTreeMap<String, String> = subject.fact("cases")?;
    // More than are read in one pass.
    let prompts: Vec<String> = cases.values().cycle().take(10).cloned().collect();
    for (prompt, states) in prompts.iter().zip(encoder.states(&prompts)?) {
        let alone = encoder.states(std::slice::from_ref(prompt))?;
        found.within(1e-5, "states together", &states, &alone[0]);
    }
    Ok(())
}

/// The full set's klein: 28 layers, of which 27 are needed.
fn klein(subject: &Subject, found: &mut Comparison) -> Result<(), Failure> {
    let encoder = TextEncoder::load(&subject.checkpoint, |_| Reading::klein(), Device::Cpu)?;
    let prompt: String = subject.fact("prompt")?;
    let taps = Reading::klein().taps;
    prompted(subject, &encoder, &taps, "text", &prompt, found)?;
    let embeds = encoder.states(&[prompt])?[0].unsqueeze(0);
    found.near("prompt_embeds", &embeds, &subject.tensor("prompt_embeds")?);
    Ok(())
}

fn zimage(subject: &Subject, found: &mut Comparison) -> Result<(), Failure> {
    let encoder = TextEncoder::load(&subject.checkpoint, Reading::z_image, Device::Cpu)?;
    let states = encoder.states(&[subject.fact("prompt")?])?;
    found.near(
        "prompt_embeds",
        &states[0],
        &subject.tensor("prompt_embeds")?,
    );
    Ok(())
}

/// Tokens of a prompt, and what the dump kept of its states: the first rows, the last ones.
fn prompted(
    subject: &Subject,
    encoder: &TextEncoder,
    taps: &[usize],
    case: &str,
    prompt: &str,
    found: &mut Comparison,
) -> Result<(), Failure> {
    let ids = subject.tokens(&format!("{case}.input_ids"))?;
    let mask = subject.tokens(&format!("{case}.attention_mask"))?;
    let real = mask.iter().filter(|seen| **seen == 1).count();
    let tokens = encoder.tokens(prompt)?;
    found.equal(
        &format!("{case}.input_ids"),
        &tokens.as_slice(),
        &&ids[..tokens.len()],
    );
    let states = encoder.encode(&[ids[..real].to_vec()])?.remove(0);
    found.equal("rows", &states.size()[0], &(ids.len() as i64));
    let parts = states.chunk(taps.len() as i64, -1);
    for (tap, states) in taps.iter().zip(parts) {
        let states = states.unsqueeze(0);
        for (part, from_end) in [("hidden", false), ("tail", true)] {
            let name = format!("{case}.{part}.{tap:02}");
            if from_end && !subject.has(&name) {
                continue;
            }
            let reference = subject.tensor(&name)?;
            let rows = reference.size()[1];
            let start = if from_end { states.size()[1] - rows } else { 0 };
            found.near(&name, &states.narrow(1, start, rows), &reference);
        }
    }
    Ok(())
}
