//! `try ask`: questions about a picture.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use atelier_engine::{CritiqueInput, Engine, PlanInput};
use atelier_models::{
    checkpoint::{Checkpoint, Use},
    critic::{
        self,
        qwen3_vl::{Look, Qwen3Vl},
    },
};
use atelier_pictures::{Bounds, on_white, read};
use atelier_proto::{job::JobKind, review::Answer};
use image::RgbImage;
use serde_json::{Value as Json, json};

use super::{Language, Place, draw, show};

/// Largest picture that is read: pixels on a side, bytes of the file.
const BOUNDS: Bounds = Bounds::of(8_192, 64 << 20);

/// Answer questions about a picture, with the probability of yes
///
/// A Qwen3-VL answers each QUESTION with yes or no. An Atelier model takes each as a prompt and says what of it is in the picture.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Folder of a Qwen3-VL or of an Atelier model
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// The picture: PNG, JPEG or WebP
    #[arg(value_name = "PICTURE")]
    picture: PathBuf,
    /// What to ask; all are answered from one look
    #[arg(value_name = "QUESTION", required = true)]
    questions: Vec<String>,
    /// Let a Qwen3-VL answer in its own words, at most so many tokens
    #[arg(long, value_name = "TOKENS", value_parser = clap::value_parser!(u64).range(1..=4_096))]
    words: Option<u64>,
    /// One JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    language: Language,
    #[command(flatten)]
    place: Place,
}

/// Asks and prints.
pub fn run(args: &Args) -> Result<()> {
    let picture = picture(&args.picture)?;
    let found = Checkpoint::open(&args.model)?;
    match &found.family.uses[..] {
        [Use::Ask] => reading(args, &picture),
        [Use::Draw] if draw::is_atelier(&args.model) => checking(args, &picture),
        _ => bail!(
            "{} is {} ({}), which answers nothing about pictures: give a Qwen3-VL or an Atelier model",
            args.model.display(),
            found.family.name,
            found.family.what
        ),
    }
}

pub(super) fn picture(path: &Path) -> Result<RgbImage> {
    let shown = path.display();
    let size = std::fs::metadata(path).with_context(|| format!("cannot read {shown}"))?;
    if size.len() > BOUNDS.file as u64 {
        bail!(
            "{shown} has {} bytes, at most {} are read",
            size.len(),
            BOUNDS.file
        );
    }
    let file = std::fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    let picture = read(&file, &BOUNDS).map_err(|error| anyhow::anyhow!("{shown} {error}"))?;
    Ok(on_white(&picture))
}

/// A model that reads questions.
fn reading(args: &Args, picture: &RgbImage) -> Result<()> {
    let start = Instant::now();
    let model = Qwen3Vl::load(&args.model, args.place.open()?)?;
    let load_ms = milliseconds(start);
    let start = Instant::now();
    let look = model.look(picture)?;
    let look_ms = milliseconds(start);
    let start = Instant::now();
    let answers = match args.words {
        Some(most) => in_words(args, &model, &look, most as usize)?,
        None => yes_or_no(args, &model, &look)?,
    };
    if !args.json {
        return Ok(());
    }
    show::json(&json!({
        "answers": answers, "picture_tokens": look.tokens(),
        "load_ms": load_ms, "look_ms": look_ms, "ask_ms": milliseconds(start),
    }))
}

fn milliseconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

fn in_words(args: &Args, model: &Qwen3Vl, look: &Look, most: usize) -> Result<Vec<Json>> {
    let mut answers = Vec::new();
    for question in &args.questions {
        let words = model.say(look, question, most)?;
        if !args.json {
            show::print(&show::clean(&format!("{words}\n")))?;
        }
        answers.push(json!({ "question": question, "words": words }));
    }
    Ok(answers)
}

fn yes_or_no(args: &Args, model: &Qwen3Vl, look: &Look) -> Result<Vec<Json>> {
    let questions: Vec<&str> = args.questions.iter().map(String::as_str).collect();
    let mut answers = Vec::new();
    for (question, belief) in questions.iter().zip(model.ask(look, &questions)?) {
        let answer = word(critic::answer(belief));
        if !args.json {
            show::print(&show::clean(&format!(
                "{answer:8}{:5.1} % yes ({:.0} % sure that it is one of the two)  {question}\n",
                belief.yes * 100.0,
                belief.certain * 100.0
            )))?;
        }
        answers.push(json!({
            "question": question, "answer": answer, "yes": belief.yes, "yes_or_no": belief.certain,
        }));
    }
    Ok(answers)
}

const fn word(answer: Answer) -> &'static str {
    match answer {
        Answer::Pass => "yes",
        Answer::Fail => "no",
        Answer::Unknown => "unknown",
    }
}

/// An Atelier model: what is in the picture of what a prompt asks for.
fn checking(args: &Args, picture: &RgbImage) -> Result<()> {
    if args.words.is_some() {
        bail!("--words: an Atelier model has no words of its own for pictures; a Qwen3-VL has");
    }
    let roles = [JobKind::Plan, JobKind::Critique];
    let mut engine = draw::engine(&args.model, &args.language, &args.place, &roles)?;
    let mut reviews = Vec::new();
    for question in &args.questions {
        let input = PlanInput {
            prompt: question.clone(),
            seed: 1,
            ..PlanInput::default()
        };
        let plan = engine
            .plan(&input, &mut draw::Watch("reading, token"))?
            .plan;
        show::progress_done();
        let input = CritiqueInput {
            plan: plan.clone().into(),
            image: picture.clone(),
        };
        let review = engine.critique(&input, &mut draw::Watch("looking"))?;
        show::progress_done();
        for (check, verdict) in plan.checks.iter().zip(&review.verdicts) {
            if args.json {
                continue;
            }
            let asked = critic::question(&plan, check).unwrap_or_else(|| check.id.clone());
            show::print(&show::clean(&format!(
                "{:8}{:5.1} % sure  {asked} Found: {}\n",
                word(verdict.answer),
                verdict.confidence * 100.0,
                verdict.found
            )))?;
        }
        reviews.push(json!({ "question": question, "checks": plan.checks, "review": review }));
    }
    if args.json {
        show::json(&json!({ "reviews": reviews }))
    } else {
        Ok(())
    }
}
