//! The trace: everything that led to a result, enough to replay it. Stored as JSON beside the picture.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ArtifactRef, RequestId, Sha256,
    http::{Cost, RequestState, SubmitRequest},
    job::{JobKind, NamedReference, Size},
    made::Made,
    plan::Plan,
    report::{Kept, Thought, UsedReference},
    review::{Decision, Fix, OutcomeMark, Review},
};

/// Everything that led to a result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trace {
    /// Format of this document, 1.
    pub version: u32,
    /// The request.
    pub request: RequestId,
    /// What was asked, without the bytes of its pictures.
    pub submitted: SubmitRequest,
    /// The seed everything derives from.
    pub seed: u64,
    /// Model that planned, drew and looked.
    pub model: String,
    /// How it ended.
    pub state: RequestState,
    /// Why, when it failed or was canceled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ArtifactRef>,
    /// The user's own pictures of things, as `submitted` names them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<NamedReference>,
    /// The plan that was carried out, the newest of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// The same as an artifact, as jobs read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_artifact: Option<ArtifactRef>,
    /// Plans that were carried out before that one, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier_plans: Vec<Revision>,
    /// How the plan came about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thought: Option<Thought>,
    /// Whether the picture passed, of one that was checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<OutcomeMark>,
    /// What was decided after each look, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decision>,
    /// Every job, in the order they were made.
    pub jobs: Vec<TraceJob>,
    /// Time on devices, by what it was spent on.
    #[serde(default)]
    pub cost: Cost,
    /// When it was accepted, RFC 3339.
    pub created_at: String,
    /// When it ended, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
}

impl Trace {
    /// Whether the plan came with the request, a user's own or that of an edit: nobody planned, and it is more than the prompt itself.
    pub fn plan_was_given(&self) -> bool {
        let planned = self.jobs.iter().any(|job| job.kind == JobKind::Plan);
        let plan = self.plan.as_ref();
        !planned && plan.is_some_and(|plan| *plan != Plan::direct(&self.submitted.prompt))
    }
}

/// A plan that another one took the place of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Revision {
    /// The round that it was made for.
    pub round: u32,
    /// It as an artifact.
    pub artifact: ArtifactRef,
    /// It itself; none when it is not stored any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// How it came about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thought: Option<Thought>,
}

/// One job of a trace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TraceJob {
    /// Its kind.
    pub kind: JobKind,
    /// Its round.
    pub round: u32,
    /// Which of the round's candidates it belongs to, when there were several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<u32>,
    /// What it mended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<Fix>,
    /// What of its inputs it left as it was; of repairs and blends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Kept>,
    /// The stage it drew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// What the stage did: generate, edit, blend, repair.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op: Option<String>,
    /// Seed of the noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Denoise steps done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// How it ended.
    pub state: String,
    /// Attempts it took.
    pub attempts: u32,
    /// Name or id of the worker that did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
    /// Milliseconds from the request's acceptance until it was ready to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_ms: Option<u64>,
    /// Milliseconds from the request's acceptance until a device began with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_ms: Option<u64>,
    /// Milliseconds from the request's acceptance until its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<u64>,
    /// Milliseconds between being ready and its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_ms: Option<u64>,
    /// Milliseconds on the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_ms: Option<u64>,
    /// Jobs that were on the device at once, when there were others beside it; low bits may differ from those of a drawing alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
    /// Pixels of what was drawn: with its steps and what it does, the shape that the drawings of a batch share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// How the attempt that did it went, as its worker tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made: Option<Made>,
    /// The pictures that it read, in the stage's order; of a critique the one that it looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Sha256>,
    /// What it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<ArtifactRef>,
    /// Pictures it was drawn with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<UsedReference>,
    /// Answers of a critique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<Review>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
