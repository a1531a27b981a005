//! The review: what the critique found in a picture.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::BBox;

/// Answers to a plan's checks about one picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Review {
    /// One verdict for every check, in the plan's order.
    pub verdicts: Vec<Verdict>,
    /// Everything that was seen, whether asked for or not.
    #[serde(default)]
    pub seen: Vec<Sighting>,
}

/// The answer to one check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// Id of the check.
    pub check: String,
    /// What the answer is.
    pub answer: Answer,
    /// How sure the critic is, 0..1.
    pub confidence: f32,
    /// What was found, in words, for example `2 cats`.
    pub found: String,
    /// Where, as far as places were found.
    #[serde(default)]
    pub boxes: Vec<BBox>,
}

/// The answer to a check. A small margin is `unknown`, not `fail`: critics also break good work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// As wanted.
    Pass,
    /// Not as wanted.
    Fail,
    /// Too close to call, or out of the critic's reach.
    Unknown,
}

/// One thing that the critic saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sighting {
    /// What it is.
    pub name: String,
    /// Its colour, when it has one of the known ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// How sure the critic is, 0..1.
    pub confidence: f32,
    /// Where it is.
    #[serde(rename = "box")]
    pub bbox: BBox,
}

/// How many checks got which answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Score {
    /// Checks that passed.
    pub pass: u32,
    /// Checks that failed.
    pub fail: u32,
    /// Checks without an answer.
    pub unknown: u32,
}

impl Score {
    /// Whether this picture replaces the best so far: only when strictly more checks pass.
    pub const fn beats(&self, best: &Self) -> bool {
        self.pass > best.pass
    }
}

impl Review {
    /// Counts the answers.
    pub fn score(&self) -> Score {
        self.verdicts
            .iter()
            .fold(Score::default(), |mut score, verdict| {
                match verdict.answer {
                    Answer::Pass => score.pass += 1,
                    Answer::Fail => score.fail += 1,
                    Answer::Unknown => score.unknown += 1,
                }
                score
            })
    }
}
