//! Jobs: what the coordinator publishes on the JOBS stream and a worker carries out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ArtifactRef, JobId, RequestId, TenantId, WorkerId, flat::there, review::Fix};

/// Kind of a job; also the role a worker needs for it.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// Turns the prompt into a plan.
    Plan,
    /// Draws one stage.
    Render,
    /// Answers the plan's checks about a picture.
    Critique,
}

impl JobKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Plan, Self::Render, Self::Critique];

    /// The word used in subjects, tables, metrics and flags.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Render => "render",
            Self::Critique => "critique",
        }
    }
}

impl std::str::FromStr for JobKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| format!("{text:?} is not a kind of job: plan, render, critique"))
    }
}

/// How urgent a request is. Smaller sorts first.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Somebody is waiting.
    Interactive,
    /// The default.
    #[default]
    Normal,
    /// When there is time.
    Batch,
}

impl Priority {
    /// Every priority, most urgent first.
    pub const ALL: [Self; 3] = [Self::Interactive, Self::Normal, Self::Batch];

    /// The word used in subjects, tables, metrics and flags.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Normal => "normal",
            Self::Batch => "batch",
        }
    }
}

/// How much is thought before drawing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Think {
    /// The raw prompt, one stage, no critique.
    Off,
    /// Plan directly.
    #[default]
    Fast,
    /// Think in free words first, and draft again what came out short. A worker that does not know it plans directly.
    Full,
}

impl Think {
    /// Every one, the least first.
    pub const ALL: [Self; 3] = [Self::Off, Self::Fast, Self::Full];

    /// The word used in tables, metrics and flags.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Fast => "fast",
            Self::Full => "full",
        }
    }

    /// Whether it is the default.
    pub const fn is_fast(&self) -> bool {
        matches!(self, Self::Fast)
    }
}

/// One attempt at one job, as published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobOffer {
    /// The job.
    pub job: JobId,
    /// Which execution this is, from 1; fences late answers.
    pub attempt: u32,
    /// The request it belongs to.
    pub request: RequestId,
    /// How long the coordinator waits for a sign of life, in milliseconds.
    pub lease_ms: u64,
    /// Workers that it failed on, while there are others: one of these gives it back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub avoid: Vec<WorkerId>,
    /// Whether it failed before. Such a job is not computed in one batch with others, so that it takes none along.
    #[serde(default, skip_serializing_if = "is_false")]
    pub alone: bool,
    /// What to do.
    pub work: Work,
}

const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// What a job asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", try_from = "Fields")]
pub enum Work {
    /// Make a plan.
    Plan(PlanWork),
    /// Draw a stage.
    Render(RenderWork),
    /// Look at a picture.
    Critique(CritiqueWork),
}

/// The fields of every [`Work`] side by side, see [`crate::flat`].
#[derive(Deserialize)]
struct Fields {
    kind: JobKind,
    prompt: Option<String>,
    seed: Option<u64>,
    #[serde(default)]
    references: Vec<NamedReference>,
    #[serde(default)]
    findings: Vec<String>,
    #[serde(default)]
    think: Think,
    think_tokens: Option<u32>,
    keep_for: Option<TenantId>,
    plan: Option<ArtifactRef>,
    stage: Option<String>,
    steps: Option<u32>,
    size: Option<Size>,
    #[serde(default)]
    inputs: Vec<ArtifactRef>,
    fix: Option<Fix>,
    image: Option<ArtifactRef>,
}

impl TryFrom<Fields> for Work {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        Ok(match fields.kind {
            JobKind::Plan => Self::Plan(PlanWork {
                prompt: there(fields.prompt, "prompt")?,
                seed: there(fields.seed, "seed")?,
                references: fields.references,
                findings: fields.findings,
                think: fields.think,
                think_tokens: fields.think_tokens,
                keep_for: fields.keep_for,
            }),
            JobKind::Render => Self::Render(RenderWork {
                plan: there(fields.plan, "plan")?,
                stage: there(fields.stage, "stage")?,
                seed: there(fields.seed, "seed")?,
                steps: fields.steps,
                size: fields.size,
                inputs: fields.inputs,
                references: fields.references,
                fix: fields.fix,
                keep_for: fields.keep_for,
            }),
            JobKind::Critique => Self::Critique(CritiqueWork {
                plan: there(fields.plan, "plan")?,
                image: there(fields.image, "image")?,
            }),
        })
    }
}

impl Work {
    /// Stands for the artifacts that this work reads, see [`sources`]; none of a plan, which is made of what its request never changes.
    pub fn sources(&self) -> Option<u64> {
        match self {
            Self::Plan(_) => None,
            Self::Render(work) => Some(sources(work.plan, &work.inputs)),
            Self::Critique(work) => Some(sources(work.plan, &[work.image])),
        }
    }

    /// The kind of this work.
    pub const fn kind(&self) -> JobKind {
        match self {
            Self::Plan(_) => JobKind::Plan,
            Self::Render(_) => JobKind::Render,
            Self::Critique(_) => JobKind::Critique,
        }
    }
}

/// Stands for a plan and the pictures that are read with it, in their order: another plan or picture makes another number.
pub fn sources(plan: ArtifactRef, pictures: &[ArtifactRef]) -> u64 {
    let pictures = pictures.iter().map(|picture| picture.sha256);
    pictures.fold(plan.sha256.prefix(), |sources, picture| {
        // Digests are as good as random, so that this is, too.
        sources.rotate_left(7) ^ picture.prefix()
    })
}

/// A picture that the user sent for a thing of the prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NamedReference {
    /// The noun it stands for, as in `--ref cat=my-cat.png`.
    pub name: String,
    /// The picture.
    pub picture: ArtifactRef,
}

/// Width and height of a picture in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Size {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// Most tokens of a free thought that a request may ask for.
pub const MAX_THINK_TOKENS: u32 = 4_096;

/// Input of a plan job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlanWork {
    /// What the user wrote.
    pub prompt: String,
    /// Seed of the layout and of sampling.
    pub seed: u64,
    /// Pictures that elements may use.
    #[serde(default)]
    pub references: Vec<NamedReference>,
    /// What was wrong with pictures of the plan before, in sentences; empty for the first plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<String>,
    /// How much to think.
    #[serde(default, skip_serializing_if = "Think::is_fast")]
    pub think: Think,
    /// Most tokens of a free thought; none is as many as the planner likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub think_tokens: Option<u32>,
    /// Whose the request is, where a draft of an equal prompt of the same tenant may be used instead, and this one kept for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_for: Option<TenantId>,
}

/// Input of a render job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RenderWork {
    /// The plan (JSON).
    pub plan: ArtifactRef,
    /// Which of its stages.
    pub stage: String,
    /// Seed of the noise.
    pub seed: u64,
    /// Denoise steps; none is the model's own default.
    #[serde(default)]
    pub steps: Option<u32>,
    /// Size of the picture; none is the model's own.
    #[serde(default)]
    pub size: Option<Size>,
    /// Pictures of the stages this one reads, in the stage's order.
    #[serde(default)]
    pub inputs: Vec<ArtifactRef>,
    /// Pictures that elements may use.
    #[serde(default)]
    pub references: Vec<NamedReference>,
    /// What is mended of the picture in `inputs`. The stage is then none of the plan's: the plan never changes, and a repair is added to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<Fix>,
    /// Whose the request is, where an equal drawing of the same tenant may be used instead, and this one kept for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_for: Option<TenantId>,
}

/// Input of a critique job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CritiqueWork {
    /// The plan (JSON).
    pub plan: ArtifactRef,
    /// The picture to look at.
    pub image: ArtifactRef,
}
