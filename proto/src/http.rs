//! HTTP bodies of the coordinator's API under `/v1/requests`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ArtifactRef, RequestId,
    job::{JobKind, Priority, Size, Think},
    plan::Plan,
    review::{Decision, OutcomeMark, Score},
    webhook::Webhook,
};

/// Longest prompt, in bytes.
pub const MAX_PROMPT_BYTES: usize = 4_000;
/// Most pictures a request may bring.
pub const MAX_REFERENCES: usize = 8;
/// Largest picture a request may bring, in bytes of its file.
pub const MAX_REFERENCE_BYTES: usize = 8 << 20;

/// `POST /v1/requests`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubmitRequest {
    /// What to draw.
    pub prompt: String,
    /// Everything derives from it; none lets the coordinator choose one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// How much to think.
    #[serde(default)]
    pub think: Think,
    /// Most tokens of the free thought before a plan with full thinking, 1..=4096; none is as many as the planner likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub think_tokens: Option<u32>,
    /// How urgent.
    #[serde(default)]
    pub priority: Priority,
    /// Denoise steps; none is the model's own default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// Size in pixels; none is the model's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// Most passes of render and critique, 1..=4; none is 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rounds: Option<u32>,
    /// Drawings of the first round, each with its own seed and critique, 1..=4; it goes on from the best. None is 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidates: Option<u32>,
    /// Seconds since the submit after which no further round begins, also when one waits in the queue by then; the best picture so far is the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_time_s: Option<f64>,
    /// Seconds on devices after which no further round begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cost_s: Option<f64>,
    /// The user's own pictures of things.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<UploadedReference>,
    /// A plan to carry out, for example one that was made before and edited: nothing is planned then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Box<Plan>>,
    /// Ends with the plan, which is in the trace: nothing is drawn.
    #[serde(default, skip_serializing_if = "is_false")]
    pub plan_only: bool,
    /// Who is told of the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,
    /// Whether what was made before for the same tenant may be used, and what is made now be kept; none is yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<bool>,
}

const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// A picture that comes with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadedReference {
    /// The noun of the prompt it stands for.
    pub name: String,
    /// PNG, JPEG or WebP file, base64.
    pub data: String,
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RequestState {
    /// Being worked on.
    Active,
    /// A picture was made.
    Succeeded,
    /// It could not be done.
    Failed,
    /// The user stopped it.
    Canceled,
}

impl RequestState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Active, Self::Succeeded, Self::Failed, Self::Canceled];

    /// The word used in tables, metrics and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// Whether it never changes again.
    pub const fn is_terminal(self) -> bool {
        !matches!(self, Self::Active)
    }
}

/// `GET /v1/requests/{id}`, and the answer to a submit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RequestView {
    /// Its id.
    pub id: RequestId,
    /// What was asked for.
    pub prompt: String,
    /// Where it stands.
    pub state: RequestState,
    /// Why, when it failed or was canceled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The seed everything derives from.
    pub seed: u64,
    /// The round it is in, from 1.
    pub round: u32,
    /// The result so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ArtifactRef>,
    /// How the result did in its critique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
    /// Whether the picture passed; once it ended with one that was checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<OutcomeMark>,
    /// What was decided after pictures with failed checks, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decision>,
    /// What it took of devices so far.
    #[serde(default)]
    pub cost: Cost,
    /// Its jobs in the order they were made.
    pub jobs: Vec<JobView>,
    /// Kinds of jobs that it still needs and that no worker takes at the moment: it waits for one that does.
    #[serde(default)]
    pub waiting_for: Vec<JobKind>,
    /// When it was accepted, RFC 3339.
    pub created_at: String,
    /// When it ended, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
}

/// Time on devices by what it was for, in milliseconds; of every attempt that reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Cost {
    /// Planning.
    pub plan_ms: u64,
    /// Drawing.
    pub render_ms: u64,
    /// Looking.
    pub critique_ms: u64,
    /// Mending.
    pub repair_ms: u64,
}

impl Cost {
    /// All of it.
    pub const fn total_ms(&self) -> u64 {
        self.plan_ms
            .saturating_add(self.render_ms)
            .saturating_add(self.critique_ms)
            .saturating_add(self.repair_ms)
    }

    /// Adds what a job took; `repairs` tells whether it mended a picture.
    pub const fn add(&mut self, kind: JobKind, repairs: bool, device_ms: u64) {
        let part = match (kind, repairs) {
            (JobKind::Plan, _) => &mut self.plan_ms,
            (JobKind::Render, false) => &mut self.render_ms,
            (JobKind::Render, true) => &mut self.repair_ms,
            (JobKind::Critique, _) => &mut self.critique_ms,
        };
        *part = part.saturating_add(device_ms);
    }
}

/// One job of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct JobView {
    /// Its kind.
    pub kind: JobKind,
    /// The stage it draws, of a render job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Its round.
    pub round: u32,
    /// Which of the round's candidates it belongs to, from 1.
    #[serde(default = "first", skip_serializing_if = "is_first")]
    pub candidate: u32,
    /// `waiting`, `ready`, `dispatched`, `done`, `failed` or `canceled`.
    pub state: String,
    /// Attempts so far.
    pub attempt: u32,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

const fn first() -> u32 {
    1
}

const fn is_first(candidate: &u32) -> bool {
    *candidate == 1
}

/// `GET /v1/requests`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RequestList {
    /// Newest first.
    pub requests: Vec<RequestSummary>,
    /// Pass as `before` to get the next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<RequestId>,
}

/// One line of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RequestSummary {
    /// Its id.
    pub id: RequestId,
    /// What was asked for.
    pub prompt: String,
    /// Where it stands.
    pub state: RequestState,
    /// The result so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ArtifactRef>,
    /// How the result did in its critique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Score>,
    /// When it was accepted, RFC 3339.
    pub created_at: String,
}

/// One server-sent event of `GET /v1/requests/{id}/events`; `event:` carries the same word as `type`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The request as it stands; sent first and after every change.
    Request {
        /// The whole view.
        request: Box<RequestView>,
    },
    /// A step of a running job.
    Progress {
        /// What is being done.
        kind: JobKind,
        /// Steps done.
        step: u32,
        /// Steps in all; 0 when unknown.
        total: u32,
        /// A small PNG, base64.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        preview: Option<String>,
    },
}

/// Body of every error answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    /// What is wrong.
    pub error: ErrorDetail,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorDetail {
    /// A stable word for programs, for example `not_found`.
    pub code: String,
    /// A sentence for people that says what to do.
    pub message: String,
    /// The field of the body it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// `GET /v1/workers`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkerView {
    /// Name for people.
    pub name: String,
    /// Kinds of jobs it takes.
    pub roles: Vec<JobKind>,
    /// Model it has loaded.
    pub model: String,
    /// Device it computes on.
    pub device: String,
    /// Those of `roles` that it does not take at the moment, because it kept failing at them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept_from: Vec<JobKind>,
    /// Jobs in its hands.
    pub busy: u32,
    /// Milliseconds since its last heartbeat.
    pub seen_ms_ago: u64,
}

/// `GET /healthz`: whether the process lives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// Every loop turns; otherwise the process is better started anew.
    pub ok: bool,
    /// The loops of the process.
    pub loops: Vec<LoopHealth>,
}

/// One loop of a process. One that waits for something to do turns every second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoopHealth {
    /// Its name.
    pub name: String,
    /// Seconds since its last turn.
    pub age_s: f64,
    /// It hangs when its last turn is longer ago than this, in seconds.
    pub limit_s: f64,
}

/// `GET /readyz`: whether the process can work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Readiness {
    /// Every part is, and the process is not stopping.
    pub ready: bool,
    /// The process finishes what it has and takes nothing new.
    pub stopping: bool,
    /// What it needs.
    pub parts: Vec<PartReadiness>,
}

/// One part that a process needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PartReadiness {
    /// `database`, `nats`, `stream` or `store`.
    pub name: String,
    /// How it does.
    pub state: PartState,
    /// Milliseconds until it answered, or until it was given up.
    pub ms: u64,
}

/// How a part does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PartState {
    /// It answers.
    Ok,
    /// It answers with an error, or cannot be reached.
    Failed,
    /// It does not answer in time.
    Silent,
}
