//! The review: what the critique found in a picture.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{http::RequestState, plan::BBox};

/// Most fixes of a review.
pub const MAX_FIXES: usize = 16;
/// Most sentences of a review that tell a planner what is wrong.
pub const MAX_FINDINGS: usize = 16;
/// Longest of them, in bytes.
pub const MAX_FINDING_BYTES: usize = 200;
/// Longest instruction or noun of a fix, in bytes.
pub const MAX_FIX_BYTES: usize = 400;

/// Answers to a plan's checks about one picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Review {
    /// One verdict for every check, in the plan's order.
    pub verdicts: Vec<Verdict>,
    /// Everything that was seen, whether asked for or not.
    #[serde(default)]
    pub seen: Vec<Sighting>,
    /// What would make failed checks pass, those of the surest failures first: the difference of found and wanted layout.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixes: Vec<Fix>,
    /// What is wrong, in sentences for a planner.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
    /// Ids of failed checks that ask for what cannot be true at once: no picture can pass them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contradictory: Vec<String>,
}

/// One change of a box of the picture.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Fix {
    /// What is done.
    pub kind: FixKind,
    /// The plan's element that it is about; none for what the plan does not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub element: Option<String>,
    /// What it is.
    pub noun: String,
    /// Where: nothing outside changes.
    #[serde(rename = "box")]
    pub bbox: BBox,
    /// What shall be there, in words.
    pub instruction: String,
    /// Ids of the failed checks that it is for. Fixes with the same checks and element belong together: a thing is moved by erasing and adding it.
    pub checks: Vec<String>,
}

/// What a fix does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FixKind {
    /// Draws a thing that is missing.
    Add,
    /// Paints the background over a thing.
    Erase,
    /// Draws the thing that is there in another colour.
    Recolor,
    /// Changes the light of the whole picture, and keeps what is in it and where.
    Relight,
}

/// What the state machine keeps of a review.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Findings {
    /// Ids of the checks that failed.
    #[serde(default)]
    pub failed: Vec<String>,
    /// What would mend them.
    #[serde(default)]
    pub fixes: Vec<Fix>,
    /// Those of `failed` that contradict each other.
    #[serde(default)]
    pub contradictory: Vec<String>,
    /// The same in sentences for a planner.
    #[serde(default)]
    pub sentences: Vec<String>,
}

/// What was decided after a picture was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Decision {
    /// The round whose picture was looked at.
    pub round: u32,
    /// What is done.
    pub action: Action,
    /// Why, for people.
    pub reason: String,
    /// Ids of the failed checks that it is about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<String>,
}

/// What follows a look at a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// No check failed: it is the result.
    Accept,
    /// Boxes of the best picture are painted anew.
    Repair,
    /// Things of the best picture get another colour, or all of it another light.
    Edit,
    /// Everything is drawn again with another seed.
    Redraw,
    /// The plan is made again, with what was found.
    Replan,
    /// The best picture so far is the result, although it did not pass.
    Stop,
}

impl Action {
    /// The word used in tables, metrics and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Repair => "repair",
            Self::Edit => "edit",
            Self::Redraw => "redraw",
            Self::Replan => "replan",
            Self::Stop => "stop",
        }
    }
}

/// Whether a delivered picture passed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "mark", rename_all = "snake_case")]
pub enum OutcomeMark {
    /// No check failed.
    Accepted,
    /// It is the best there was when the request had to stop.
    BestSoFar {
        /// Why it stopped.
        reason: String,
    },
}

impl OutcomeMark {
    /// The mark of a request; none while it is active, without a picture, or when nothing was checked.
    pub fn of(state: RequestState, score: Option<Score>, decisions: &[Decision]) -> Option<Self> {
        if state != RequestState::Succeeded {
            return None;
        }
        match decisions.last() {
            Some(last) if last.action == Action::Stop => Some(Self::BestSoFar {
                reason: last.reason.clone(),
            }),
            _ if score?.fail == 0 => Some(Self::Accepted),
            // Of a release that wrote no decisions.
            _ => Some(Self::BestSoFar {
                reason: "checks failed".into(),
            }),
        }
    }
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
    /// Where, as far as places were found; of a critic that only reads where the plan has what it was asked about.
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
    /// The plan's element that it was matched with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub element: Option<String>,
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
    /// Checks in all.
    pub const fn total(&self) -> u32 {
        self.pass + self.fail + self.unknown
    }

    /// Whether this picture replaces the best so far: only when strictly more checks pass, or a larger share of them where the plan was made
    /// again in between and asks for more or fewer.
    pub const fn beats(&self, best: &Self) -> bool {
        self.pass as u64 * best.total() as u64 > best.pass as u64 * self.total() as u64
    }

    /// Whether this candidate is better than another one of the same round: more checks pass, or as many and fewer fail.
    pub const fn is_better_candidate(&self, other: &Self) -> bool {
        self.beats(other) || (self.pass == other.pass && self.fail < other.fail)
    }
}

impl Review {
    /// What the state machine keeps: of failed checks only.
    pub fn kept(&self) -> Findings {
        let failed: Vec<String> = self
            .verdicts
            .iter()
            .filter(|verdict| verdict.answer == Answer::Fail)
            .map(|verdict| verdict.check.clone())
            .collect();
        if failed.is_empty() {
            return Findings::default();
        }
        Findings {
            failed,
            fixes: self.fixes.clone(),
            contradictory: self.contradictory.clone(),
            sentences: self.findings.clone(),
        }
    }

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
