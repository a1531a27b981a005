//! From the bytes of a message to a job offer that keeps every limit.

use atelier_proto::{
    ArtifactRef, DecodeError, Envelope, MediaType, decode,
    http::{MAX_PROMPT_BYTES, MAX_REFERENCES},
    job::{CritiqueWork, JobOffer, MAX_THINK_TOKENS, NamedReference, PlanWork, RenderWork, Work},
    review::{Fix, MAX_FINDING_BYTES, MAX_FINDINGS, MAX_FIX_BYTES},
};

/// Most pictures that a stage reads.
const MAX_INPUTS: usize = 4;
/// Smallest and largest edge of a picture in pixels.
const EDGE: std::ops::RangeInclusive<u32> = 16..=4_096;
/// Fewest and most denoise steps.
const STEPS: std::ops::RangeInclusive<u32> = 1..=1_000;
/// Longest name of a stage or a reference in bytes.
const MAX_NAME: usize = 256;

/// What a message is.
#[derive(Debug)]
pub enum Offer {
    /// A job.
    Good(Envelope<JobOffer>),
    /// A job that breaks a rule: it can be reported, never done.
    Bad(Envelope<JobOffer>, String),
    /// Written by a newer release: another worker may read it.
    Newer(DecodeError),
    /// No job at all: nobody can read it.
    Malformed(DecodeError),
}

/// Reads a message.
pub fn read(bytes: &[u8]) -> Offer {
    match decode::<JobOffer>(bytes) {
        Ok(envelope) => match check(&envelope.body) {
            Ok(()) => Offer::Good(envelope),
            Err(reason) => Offer::Bad(envelope, reason),
        },
        Err(error @ DecodeError::Newer(_)) => Offer::Newer(error),
        Err(error) => Offer::Malformed(error),
    }
}

fn check(offer: &JobOffer) -> Result<(), String> {
    hold(offer.attempt >= 1, "attempts count from 1")?;
    hold(offer.lease_ms >= 1, "the lease is empty")?;
    match &offer.work {
        Work::Plan(work) => check_plan(work),
        Work::Render(work) => check_render(work),
        Work::Critique(work) => check_critique(work),
    }
}

fn check_plan(work: &PlanWork) -> Result<(), String> {
    hold(
        work.prompt.len() <= MAX_PROMPT_BYTES,
        "the prompt is too long",
    )?;
    let short = |finding: &String| finding.len() <= MAX_FINDING_BYTES;
    hold(
        work.findings.len() <= MAX_FINDINGS && work.findings.iter().all(short),
        "too many findings, or one that is too long",
    )?;
    let tokens = work.think_tokens.unwrap_or(1);
    hold(
        (1..=MAX_THINK_TOKENS).contains(&tokens),
        "the tokens of a thought are out of range",
    )?;
    check_references(&work.references)
}

fn check_render(work: &RenderWork) -> Result<(), String> {
    is_a(&work.plan, MediaType::Json, "the plan")?;
    hold(
        work.stage.len() <= MAX_NAME,
        "the name of the stage is too long",
    )?;
    let steps_fit = work.steps.is_none_or(|steps| STEPS.contains(&steps));
    hold(steps_fit, "the number of steps is out of range")?;
    let size_fits = work
        .size
        .is_none_or(|size| EDGE.contains(&size.width) && EDGE.contains(&size.height));
    hold(size_fits, "the size is out of range")?;
    hold(work.inputs.len() <= MAX_INPUTS, "too many inputs")?;
    for input in &work.inputs {
        is_a(input, MediaType::Png, "an input")?;
    }
    if let Some(fix) = &work.fix {
        check_fix(fix)?;
        hold(work.inputs.len() == 1, "a repair reads one picture")?;
    }
    check_references(&work.references)
}

fn check_fix(fix: &Fix) -> Result<(), String> {
    hold(fix.bbox.is_inside(), "the box of the fix is none")?;
    let texts = [
        Some(&fix.noun),
        Some(&fix.instruction),
        fix.element.as_ref(),
    ];
    let short = |text: &String| text.len() <= MAX_FIX_BYTES;
    hold(
        texts.into_iter().flatten().all(short),
        "a text of the fix is too long",
    )
}

fn check_critique(work: &CritiqueWork) -> Result<(), String> {
    is_a(&work.plan, MediaType::Json, "the plan")?;
    is_a(&work.image, MediaType::Png, "the picture")
}

fn check_references(references: &[NamedReference]) -> Result<(), String> {
    hold(references.len() <= MAX_REFERENCES, "too many references")?;
    for reference in references {
        hold(
            reference.name.len() <= MAX_NAME,
            "the name of a reference is too long",
        )?;
        is_a(&reference.picture, MediaType::Png, "a reference")?;
    }
    Ok(())
}

fn is_a(artifact: &ArtifactRef, wanted: MediaType, what: &str) -> Result<(), String> {
    hold(
        artifact.media_type == wanted,
        &format!("{what} is not {}", wanted.as_str()),
    )
}

fn hold(holds: bool, otherwise: &str) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(otherwise.to_owned())
    }
}

#[cfg(test)]
mod tests;
