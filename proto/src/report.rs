//! Reports: how an attempt ended. A NATS request that a coordinator answers only after its commit.

use std::sync::Arc;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ArtifactRef, JobId, RequestId, WorkerId,
    flat::there,
    job::Size,
    made::Made,
    plan::{BBox, Plan},
    review::{Review, Score},
};

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The job.
    pub job: JobId,
    /// Which attempt; anything but the current one is superseded.
    pub attempt: u32,
    /// The request it belongs to.
    pub request: RequestId,
    /// Who did it.
    pub worker: WorkerId,
    /// Stands for what the job read, as [`crate::job::Work::sources`] has it: an attempt that was published ahead of a commit which never came may have
    /// the number of another one, with other pictures. None of a plan; earlier releases do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<u64>,
    /// Time on the device, in milliseconds; of a batch its share.
    pub device_ms: u64,
    /// Jobs that were computed at once, this one included.
    #[serde(default = "alone", skip_serializing_if = "is_alone")]
    pub batch: u32,
    /// Whether it failed because something else was away, for example the object store: says nothing against the job or the worker.
    #[serde(default, skip_serializing_if = "is_false")]
    pub outage: bool,
    /// How it was done, of an attempt that made something; earlier releases do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Box<Made>>,
    /// What came of it.
    pub outcome: Outcome,
}

const fn alone() -> u32 {
    1
}

const fn is_alone(batch: &u32) -> bool {
    *batch == 1
}

const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case", try_from = "Fields")]
pub enum Outcome {
    /// A plan was made.
    Planned {
        /// The plan, so that the coordinator need not fetch it.
        plan: Arc<Plan>,
        /// The same as an artifact.
        artifact: ArtifactRef,
        /// How it came about.
        thought: Thought,
    },
    /// A stage was drawn.
    Rendered {
        /// The picture.
        image: ArtifactRef,
        /// Its size in pixels.
        size: Size,
        /// Denoise steps done.
        steps: u32,
        /// What was drawn with which picture: element id and digest or prop name.
        references: Vec<UsedReference>,
        /// What of its inputs it left as it was; of repairs and blends.
        #[serde(skip_serializing_if = "Option::is_none")]
        kept: Option<Kept>,
    },
    /// A picture was looked at.
    Reviewed {
        /// The answers (also stored as the artifact).
        review: Arc<Review>,
        /// The same as an artifact.
        artifact: ArtifactRef,
        /// Their counts.
        score: Score,
    },
    /// It went wrong.
    Failed {
        /// What went wrong, for people.
        reason: String,
        /// Whether another attempt may do better.
        retry: bool,
    },
    /// Given back undone (the worker drains); does not count as a failure.
    Returned,
}

/// The fields of every [`Outcome`] side by side, see [`crate::flat`].
#[derive(Deserialize)]
struct Fields {
    outcome: Word,
    plan: Option<Arc<Plan>>,
    artifact: Option<ArtifactRef>,
    thought: Option<Thought>,
    image: Option<ArtifactRef>,
    size: Option<Size>,
    steps: Option<u32>,
    references: Option<Vec<UsedReference>>,
    kept: Option<Kept>,
    review: Option<Arc<Review>>,
    score: Option<Score>,
    reason: Option<String>,
    retry: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Planned,
    Rendered,
    Reviewed,
    Failed,
    Returned,
}

impl TryFrom<Fields> for Outcome {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        Ok(match fields.outcome {
            Word::Planned => Self::Planned {
                plan: there(fields.plan, "plan")?,
                artifact: there(fields.artifact, "artifact")?,
                thought: there(fields.thought, "thought")?,
            },
            Word::Rendered => Self::Rendered {
                image: there(fields.image, "image")?,
                size: there(fields.size, "size")?,
                steps: there(fields.steps, "steps")?,
                references: fields.references.unwrap_or_default(),
                kept: fields.kept,
            },
            Word::Reviewed => Self::Reviewed {
                review: there(fields.review, "review")?,
                artifact: there(fields.artifact, "artifact")?,
                score: there(fields.score, "score")?,
            },
            Word::Failed => Self::Failed {
                reason: there(fields.reason, "reason")?,
                retry: there(fields.retry, "retry")?,
            },
            Word::Returned => Self::Returned,
        })
    }
}

/// How a plan came about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Thought {
    /// What the model wrote.
    pub text: String,
    /// Tokens chosen by the model.
    pub tokens_sampled: u32,
    /// Tokens that the grammar forced.
    pub tokens_forced: u32,
    /// Words of the prompt that nothing in the plan cites, and other remarks.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What the model thought in free words before it wrote.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reasoning: String,
    /// Which words of the prompt what stands in the plan comes from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Cited>,
    /// How much of the prompt is in the plan, where its planner looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
}

/// How much of a prompt is in its plan, in words with a meaning of their own (no articles, prepositions and the like), each counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Coverage {
    /// How many the prompt has.
    pub words: u32,
    /// How many of them nothing in the plan comes from.
    pub uncited: u32,
}

/// Something in a plan, and the words of the prompt that it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cited {
    /// What: `background`, `lighting`, `elements.ID`, `elements.ID.colors`, `elements.ID.attributes`, `elements.ID.count`, `relations.INDEX`,
    /// `stages.ID`.
    pub what: String,
    /// The words, exactly as they stand in the prompt.
    pub words: String,
    /// Where they begin in the prompt, in bytes.
    pub at: u32,
}

/// The picture an element was drawn with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UsedReference {
    /// Element id.
    pub element: String,
    /// `props/NAME` or `refs/NAME`.
    pub reference: String,
    /// SHA-256 of the picture's bytes.
    pub sha256: crate::Sha256,
}

/// What a repair or a blend left of its inputs, measured on the pixels of the finished picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Kept {
    /// The box outside of which nothing may change; none of a blend, which follows its mask.
    #[serde(default, rename = "box", skip_serializing_if = "Option::is_none")]
    pub bbox: Option<BBox>,
    /// Pixels that had to stay, and were compared.
    pub pixels: u64,
    /// Greatest difference of one of their colour values, 0..=255: always 0, a picture with another one is not accepted.
    pub difference: u8,
    /// The pictures that were compared, in the order of the stage's inputs.
    pub inputs: Vec<crate::Sha256>,
    /// The finished picture.
    pub output: crate::Sha256,
}

/// Reports of one kind of job that leave a worker together: carrying one message costs as much as carrying one report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reports {
    /// Each as it would travel alone: an encoded [`Report`] in an envelope of its own. At most [`MOST_TOGETHER`].
    pub reports: Vec<Bytes>,
}

/// Most reports in one message.
pub const MOST_TOGETHER: usize = 64;

/// The coordinator's answer to [`Reports`], given once all of them are answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportAnswers {
    /// One for each, in their order.
    pub answers: Vec<ReportAnswer>,
}

/// The coordinator's answer to a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum ReportAnswer {
    /// The outcome is in PostgreSQL.
    Committed,
    /// Another attempt or the request's end came first; the outcome was not needed.
    Superseded,
    /// The report breaks a rule; sending it again will not help.
    Refused,
}
