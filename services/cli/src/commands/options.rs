//! From the command line to the body of a submit.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use atelier_proto::{
    http::{
        MAX_PROMPT_BYTES, MAX_REFERENCE_BYTES, MAX_REFERENCES, SubmitRequest, UploadedReference,
    },
    job::{MAX_THINK_TOKENS, Priority, Size, Think},
    plan::Plan,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::ValueEnum;

use crate::{client::Defaults, exit::Usage};

/// What to draw, and how.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct RequestArgs {
    /// What to draw; - reads it from stdin. With --plan it may be left out
    #[arg(required_unless_present = "plan")]
    prompt: Option<String>,
    /// The same seed draws the same picture
    #[arg(long)]
    seed: Option<u64>,
    /// A picture of a thing of the prompt, as in cat=my-cat.png; may be given up to 8 times.
    #[arg(long = "ref", value_name = "NAME=FILE")]
    references: Vec<String>,
    /// Denoise steps; without it, as many as the model likes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    steps: Option<u32>,
    /// Size in pixels, as in 256x256.
    #[arg(long, value_name = "WxH", value_parser = size)]
    size: Option<Size>,
    /// How much to think before drawing; fast unless the profile says otherwise
    #[arg(long, value_enum, conflicts_with = "plan")]
    think: Option<Thinking>,
    /// Most tokens of the free thought of --think full, 1 to 4096; without it, as many as the planner likes
    #[arg(long, value_name = "N", conflicts_with = "plan", value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_THINK_TOKENS)))]
    think_tokens: Option<u32>,
    /// Carry out this plan, as `atelier plan` writes them, instead of making one; - reads it from stdin
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Most rounds of drawing and checking, 1 to 4.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4))]
    max_rounds: Option<u32>,
    /// Draw everything anew, also what was drawn before, and keep nothing of it for later
    #[arg(long)]
    no_cache: bool,
    /// Drawings of the first round, 1 to 4; the best goes on.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4))]
    candidates: Option<u32>,
    /// Begin no further round after so many seconds, also not one that waits in the queue by then.
    #[arg(long, value_name = "SECONDS")]
    max_time: Option<f64>,
    /// Begin no further round after so many seconds on devices.
    #[arg(long, value_name = "SECONDS")]
    max_cost: Option<f64>,
    /// How urgent it is; interactive unless the profile says otherwise
    #[arg(long, value_enum)]
    priority: Option<Urgency>,
}

/// [`Think`] as a word of the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Thinking {
    /// Draw the prompt as it is, check nothing.
    Off,
    /// Plan, draw, check, repair.
    Fast,
    /// Think before planning, and plan again what came out short.
    Full,
}

impl From<Thinking> for Think {
    fn from(thinking: Thinking) -> Self {
        match thinking {
            Thinking::Off => Self::Off,
            Thinking::Fast => Self::Fast,
            Thinking::Full => Self::Full,
        }
    }
}

/// [`Priority`] as a word of the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Urgency {
    /// Somebody waits for it.
    Interactive,
    /// As it comes.
    Normal,
    /// When nothing else is to do.
    Batch,
}

impl From<Urgency> for Priority {
    fn from(urgency: Urgency) -> Self {
        match urgency {
            Urgency::Interactive => Self::Interactive,
            Urgency::Normal => Self::Normal,
            Urgency::Batch => Self::Batch,
        }
    }
}

impl RequestArgs {
    /// What a command line says that gives a prompt and nothing else.
    pub fn of_prompt(prompt: &str) -> Self {
        Self {
            prompt: Some(prompt.to_owned()),
            ..Self::default()
        }
    }

    /// The body of the submit, with `defaults` where the command line says nothing; reads the pictures.
    pub fn body(&self, defaults: &Defaults) -> Result<SubmitRequest> {
        let plan = self.plan.as_deref().map(read_plan).transpose()?;
        let prompt = match (self.prompt.as_deref(), &plan) {
            (Some(prompt), _) => prompt_of(prompt)?,
            (None, Some(plan)) => prompt_of(&plan.caption)?,
            (None, None) => prompt_of("")?,
        };
        Ok(SubmitRequest {
            prompt,
            seed: self.seed,
            think: match (self.think, &plan) {
                // It is made already.
                (None, Some(_)) => Thinking::Fast,
                (None, None) => word("think", defaults.think.as_deref())?.unwrap_or(Thinking::Fast),
                (Some(think), _) => think,
            }
            .into(),
            think_tokens: self.think_tokens,
            priority: self
                .priority
                .or(word("priority", defaults.priority.as_deref())?)
                .unwrap_or(Urgency::Interactive)
                .into(),
            steps: self.steps.or(defaults.steps),
            size: match (self.size, &defaults.size) {
                (None, Some(text)) => Some(size(text).map_err(|error| in_profile("size", &error))?),
                (given, _) => given,
            },
            max_rounds: self.max_rounds.or(defaults.max_rounds),
            candidates: self.candidates,
            max_time_s: self.max_time,
            max_cost_s: self.max_cost,
            references: references_of(&self.references)?,
            plan: plan.map(Box::new),
            plan_only: false,
            webhook: None,
            cache: self.no_cache.then_some(false),
        })
    }
}

/// What to draw, from the command line or, when that is `-`, from stdin.
pub fn prompt_of(argument: &str) -> Result<String> {
    let text = match argument {
        "-" => std::io::read_to_string(std::io::stdin().lock().take(1 << 20))?,
        prompt => prompt.to_owned(),
    };
    let prompt = text.trim().to_owned();
    check_prompt(&prompt)?;
    Ok(prompt)
}

/// The pictures of `--ref`, read.
pub fn references_of(arguments: &[String]) -> Result<Vec<UploadedReference>> {
    if arguments.len() > MAX_REFERENCES {
        return Err(Usage(format!("at most {MAX_REFERENCES} --ref are allowed")).into());
    }
    arguments.iter().map(|text| reference(text)).collect()
}

/// A word of the profile as one of the command line.
fn word<T: ValueEnum>(option: &str, word: Option<&str>) -> Result<Option<T>, Usage> {
    let known = || {
        let values = T::value_variants().iter().filter_map(T::to_possible_value);
        let names: Vec<String> = values.map(|value| value.get_name().to_owned()).collect();
        names.join(", ")
    };
    let read = |text| {
        T::from_str(text, false)
            .map_err(|_| in_profile(option, &format!("'{text}' is none of {}", known())))
    };
    word.map(read).transpose()
}

fn in_profile(option: &str, error: &str) -> Usage {
    Usage(format!("submit.{option} of the profile: {error}"))
}

/// What the farm would refuse anyway.
pub fn check_prompt(prompt: &str) -> Result<(), Usage> {
    if prompt.trim().is_empty() {
        return Err(Usage("the prompt is empty: say what to draw".into()));
    }
    if prompt.len() > MAX_PROMPT_BYTES {
        let (long, most) = (prompt.len(), MAX_PROMPT_BYTES);
        return Err(Usage(format!(
            "the prompt has {long} bytes; at most {most} are allowed"
        )));
    }
    Ok(())
}

/// Longest plan that is read, in bytes.
const MAX_PLAN_BYTES: u64 = 256 << 10;

/// A plan from a file; what is wrong with it is told with its place.
fn read_plan(file: &Path) -> Result<Plan> {
    let wrong = |message: String| Usage(format!("--plan {}: {message}", file.display()));
    let mut text = String::new();
    let mut source: Box<dyn Read> = match file == Path::new("-") {
        true => Box::new(std::io::stdin().lock()),
        false => Box::new(fs::File::open(file).map_err(|error| wrong(error.to_string()))?),
    };
    let read = source
        .by_ref()
        .take(MAX_PLAN_BYTES + 1)
        .read_to_string(&mut text);
    read.map_err(|error| wrong(error.to_string()))?;
    if text.len() as u64 > MAX_PLAN_BYTES {
        let most = MAX_PLAN_BYTES >> 10;
        return Err(wrong(format!("is larger than {most} KiB")).into());
    }
    let plan: Plan =
        serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(&text))
            .map_err(|error| wrong(error.to_string()))?;
    match plan.validate() {
        Ok(()) => Ok(plan),
        Err(error) => Err(wrong(format!("{}: {error}", plan.field_of(&error))).into()),
    }
}

fn reference(text: &str) -> Result<UploadedReference> {
    let Some((name, file)) = text
        .split_once('=')
        .filter(|(name, file)| !name.is_empty() && !file.is_empty())
    else {
        return Err(Usage(format!(
            "--ref {text}: give a name and a file, as in --ref cat=my-cat.png"
        ))
        .into());
    };
    let data =
        read_bounded(Path::new(file)).map_err(|error| Usage(format!("--ref {text}: {error:#}")))?;
    Ok(UploadedReference {
        name: name.to_owned(),
        data: STANDARD.encode(data),
    })
}

fn read_bounded(file: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let most = MAX_REFERENCE_BYTES as u64;
    fs::File::open(file)
        .context("cannot open the file")?
        .take(most + 1)
        .read_to_end(&mut bytes)?;
    anyhow::ensure!(
        bytes.len() as u64 <= most,
        "the file is larger than {} MiB",
        most >> 20
    );
    anyhow::ensure!(
        image::guess_format(&bytes).is_ok(),
        "the file is no PNG, JPEG or WebP picture"
    );
    Ok(bytes)
}

fn size(text: &str) -> Result<Size, String> {
    let parts = text.split_once(['x', 'X']);
    let parse = |(width, height): (&str, &str)| Some((width.parse().ok()?, height.parse().ok()?));
    match parts.and_then(parse) {
        Some((width, height)) if width > 0 && height > 0 => Ok(Size { width, height }),
        _ => Err("give width and height in pixels, as in 256x256".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let wanted = Size {
            width: 640,
            height: 480,
        };
        assert_eq!(size("640x480"), Ok(wanted));
        for bad in ["640", "x480", "0x1", "-1x2", "1x2x3", "99999999999x1"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn references_are_pictures_with_a_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a=b.png");
        let error = |text: &str| reference(text).unwrap_err().to_string();
        assert!(error("cat").contains("--ref cat=my-cat.png"));
        assert!(error(&format!("cat={}", file.display())).contains("cannot open"));
        fs::write(&file, "text").unwrap();
        assert!(error(&format!("cat={}", file.display())).contains("no PNG"));
        image::RgbImage::new(2, 2).save(&file).unwrap();
        let sent = reference(&format!("cat={}", file.display())).unwrap();
        assert_eq!(sent.name, "cat");
        assert_eq!(
            STANDARD.decode(sent.data).unwrap(),
            fs::read(&file).unwrap()
        );
    }
}
