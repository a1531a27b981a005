//! `try draw`: a prompt in, a picture out, through the same engine as in a farm.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use atelier_engine::{Control, Engine, PlanInput, RenderInput};
use atelier_models::{Sources, TorchEngine};
use atelier_pictures::Format;
use atelier_proto::{
    job::{JobKind, Size},
    plan::Plan,
};
use image::RgbImage;
use serde_json::json;

use super::{Language, Place, show};

/// Draw a picture
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Folder of a model that draws
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// What to draw
    #[arg(value_name = "PROMPT")]
    prompt: String,
    /// Where the picture goes: .png, .jpg or .webp
    #[arg(long, value_name = "FILE", default_value = "picture.png")]
    out: PathBuf,
    /// The same seed gives the same picture
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Denoise steps; the model's own number unless given
    #[arg(long)]
    steps: Option<u32>,
    /// Size in pixels, as in 1024x1024; the model's own unless given
    #[arg(long, value_parser = size)]
    size: Option<Size>,
    /// Draw the words as they are, without a plan; a pipeline always does
    #[arg(long)]
    no_plan: bool,
    /// Quality of a JPEG, 1 (smallest) to 100 (best)
    #[arg(long, default_value_t = Format::QUALITY, value_parser = clap::value_parser!(u8).range(1..=100))]
    quality: u8,
    /// One JSON document about it
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    language: Language,
    #[command(flatten)]
    place: Place,
}

fn size(text: &str) -> Result<Size, String> {
    let wrong = || format!("{text:?} is no size: write WIDTHxHEIGHT, for example 1024x1024");
    let (width, height) = text.split_once(['x', 'X']).ok_or_else(wrong)?;
    let side = |text: &str| text.parse().ok().filter(|side| (1..=8_192).contains(side));
    Ok(Size {
        width: side(width).ok_or_else(wrong)?,
        height: side(height).ok_or_else(wrong)?,
    })
}

/// Nobody cancels; progress goes to the terminal.
pub(super) struct Watch(pub &'static str);

impl Control for Watch {
    fn canceled(&self) -> bool {
        false
    }

    fn looks(&self) -> bool {
        false
    }

    fn progress(&mut self, step: u32, total: u32, _preview: Option<RgbImage>) {
        match total {
            0 => show::progress(&format!("{}: {step}", self.0)),
            total => show::progress(&format!("{}: {step} of {total}", self.0)),
        }
    }
}

/// Whether a folder is an Atelier model, which plans; a pipeline draws only.
pub(super) fn is_atelier(model: &Path) -> bool {
    model.join("model.json").exists()
}

/// An engine of a model that draws.
pub(super) fn engine(
    model: &Path,
    language: &Language,
    place: &Place,
    roles: &[JobKind],
) -> Result<TorchEngine> {
    let language = language.language.clone();
    if is_atelier(model) && language.is_none() {
        bail!(
            "{} needs the language model that it was trained on: --language FILE (deploy/setup puts that of the default model into .deps/models)",
            model.display()
        );
    }
    place.threads();
    let sources = Sources {
        model: model.to_owned(),
        language,
        critic: None,
        props: None,
    };
    Ok(TorchEngine::load(&sources, roles, &place.device)?)
}

/// Draws and saves.
pub fn run(args: &Args) -> Result<()> {
    let ending = args.out.extension().unwrap_or_default().to_string_lossy();
    let format = match Format::of_ending(&ending) {
        Some(Format::Jpeg { .. }) => Format::Jpeg {
            quality: args.quality,
        },
        Some(format) => format,
        None => bail!(
            "--out {}: the name must end in .png, .jpg or .webp",
            args.out.display()
        ),
    };
    let start = Instant::now();
    let planned = is_atelier(&args.model) && !args.no_plan;
    let roles = if planned {
        &[JobKind::Plan, JobKind::Render][..]
    } else {
        &[JobKind::Render]
    };
    let mut engine = engine(&args.model, &args.language, &args.place, roles)?;
    let load_ms = start.elapsed().as_millis() as u64;
    let start = Instant::now();
    let plan = if planned {
        plan(&mut engine, args)?
    } else {
        Plan::direct(&args.prompt)
    };
    let plan_ms = start.elapsed().as_millis() as u64;
    let start = Instant::now();
    let (picture, steps) = draw(&mut engine, &plan, args)?;
    let draw_ms = start.elapsed().as_millis() as u64;
    show::progress_done();
    let (width, height) = picture.dimensions();
    let file = atelier_pictures::write(&picture.into(), format, &[])?;
    std::fs::write(&args.out, file)
        .with_context(|| format!("cannot write {}", args.out.display()))?;
    if args.json {
        return show::json(&json!({
            "picture_file": args.out, "model": engine.model(), "device": engine.device(), "seed": args.seed, "steps": steps,
            "width": width, "height": height, "load_ms": load_ms, "plan_ms": plan_ms, "draw_ms": draw_ms, "plan": plan,
        }));
    }
    show::print(&format!(
        "{}: {width} x {height}, seed {}, {steps} steps on {}; loaded in {load_ms} ms, planned in {plan_ms} ms, drawn in {draw_ms} ms\n",
        args.out.display(),
        args.seed,
        engine.device(),
    ))
}

fn plan(engine: &mut TorchEngine, args: &Args) -> Result<Plan> {
    let input = PlanInput {
        prompt: args.prompt.clone(),
        seed: args.seed,
        ..PlanInput::default()
    };
    Ok(engine.plan(&input, &mut Watch("planning, token"))?.plan)
}

/// Draws the plan's stages, each once those that it reads are there; the picture of the last one and all steps.
fn draw(engine: &mut TorchEngine, plan: &Plan, args: &Args) -> Result<(RgbImage, u32)> {
    let mut made: HashMap<&str, RgbImage> = HashMap::new();
    let mut steps = 0;
    while made.len() < plan.stages.len() {
        let ready = plan.stages.iter().find(|stage| {
            !made.contains_key(stage.id.as_str())
                && stage
                    .op
                    .inputs()
                    .iter()
                    .all(|input| made.contains_key(input))
        });
        // A valid plan has no circles.
        let stage = ready.context("the plan's stages wait for each other")?;
        let input = RenderInput {
            plan: plan.clone().into(),
            stage: stage.id.clone(),
            seed: args.seed,
            steps: args.steps,
            size: args.size,
            inputs: stage
                .op
                .inputs()
                .iter()
                .map(|input| made[input].clone())
                .collect(),
            references: Vec::new(),
            reuse: true,
        };
        let drawn = engine.render(&input, &mut Watch("drawing, step"))?;
        steps += drawn.steps;
        made.insert(&stage.id, drawn.image);
    }
    let sink = plan.sink().context("the plan has no last stage")?;
    let picture = made.remove(sink.id.as_str()).context("nothing was drawn")?;
    Ok((picture, steps))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_strictly() {
        let wanted = Size {
            width: 640,
            height: 480,
        };
        assert_eq!(size("640x480"), Ok(wanted));
        for wrong in ["640", "x", "0x4", "-1x4", "99999x4", "4x4x4", ""] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
