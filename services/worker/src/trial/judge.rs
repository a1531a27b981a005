//! `try judge`: pictures and what they should show in, what of it is so out, a JSON document a line.

use std::{
    io::{self, BufRead, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use atelier_engine::{CritiqueInput, Engine, Unattended};
use atelier_models::{TorchEngine, judge::Judge};
use atelier_proto::{
    job::JobKind,
    judging::{Asked, Finding, Graded, LookedFor},
    plan::Plan,
    review::Answer,
};
use image::RgbImage;

use super::{Language, Place, ask, draw, show};

/// Longest line that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// Judge pictures by what a suite says that they show
///
/// Reads one JSON document a line, {"id", "picture": FILE, "looked_for": {"truth": {..}}}, and answers each with one: {"id", "correct", "checks"}. The
/// first line of the answer is about the judge. With {"looked_for": {"plan": {..}}} the model's own critic answers the plan's checks instead.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Folder of an Atelier model with a judge
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    #[command(flatten)]
    language: Language,
    #[command(flatten)]
    place: Place,
}

/// Answers until there are no more lines.
pub fn run(args: &Args) -> Result<()> {
    let mut seats = Seats {
        judge: Judge::load(&args.model, args.place.open()?)?,
        critic: None,
        args,
    };
    say(&seats.judge.about())?;
    let mut lines = io::stdin().lock();
    loop {
        let mut line = Vec::new();
        (&mut lines).take(LONGEST).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(());
        }
        say(&seats.answer(read(&line)?))?;
    }
}

/// One line that was asked.
pub fn read(line: &[u8]) -> Result<Asked> {
    serde_json::from_slice(line).with_context(|| format!("no question of a picture: {}", cut(line)))
}

fn say(answer: &impl serde::Serialize) -> Result<()> {
    show::print(&format!("{}\n", serde_json::to_string(answer)?))
}

fn cut(line: &[u8]) -> String {
    show::clean(&String::from_utf8_lossy(&line[..line.len().min(200)]))
}

/// Who answers; the critic is loaded when it is first asked.
struct Seats<'a> {
    judge: Judge,
    critic: Option<TorchEngine>,
    args: &'a Args,
}

impl Seats<'_> {
    /// A picture that cannot be read is an answer, too.
    fn answer(&mut self, asked: Asked) -> Graded {
        let found =
            ask::picture(Path::new(&asked.picture)).and_then(|picture| match asked.looked_for {
                LookedFor::Truth(truth) => {
                    truth.check().map_err(anyhow::Error::msg)?;
                    let unknown = self.judge.unknown(&truth);
                    ensure!(
                        unknown.is_empty(),
                        "the judge does not know: {}",
                        unknown.join(", ")
                    );
                    Ok(self.judge.grade(&truth, &picture))
                }
                LookedFor::Plan(plan) => self.review(*plan, picture),
            });
        let (checks, error) = match found {
            Ok(checks) => (checks, None),
            Err(error) => (Vec::new(), Some(format!("{error:#}"))),
        };
        Graded {
            id: asked.id,
            correct: error.is_none() && checks.iter().all(|check| check.ok),
            checks,
            error,
        }
    }

    fn review(&mut self, plan: Plan, image: RgbImage) -> Result<Vec<Finding>> {
        plan.validate()?;
        let critic = match &mut self.critic {
            Some(critic) => critic,
            empty => empty.insert(draw::engine(
                &self.args.model,
                &self.args.language,
                &self.args.place,
                &[JobKind::Critique],
            )?),
        };
        let input = CritiqueInput {
            plan: plan.into(),
            image,
        };
        let review = critic.critique(&input, &mut Unattended)?;
        let verdict =
            |(check, verdict): (&atelier_proto::plan::Check, &atelier_proto::review::Verdict)| {
                Finding {
                    kind: check.question.kind().to_owned(),
                    about: check.id.clone(),
                    ok: verdict.answer == Answer::Pass,
                    found: verdict.found.clone(),
                }
            };
        Ok(input
            .plan
            .checks
            .iter()
            .zip(&review.verdicts)
            .map(verdict)
            .collect())
    }
}
