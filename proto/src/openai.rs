//! HTTP bodies of the part of the API that OpenAI's client libraries speak: `/v1/images/...` and `/v1/models`.
//!
//! Field by field as those libraries send and read them; what is the farm's own stands at the end of each type.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    RequestId,
    job::{Priority, Think},
};

/// Most pictures that one call may ask for.
pub const MAX_PICTURES: u32 = 10;
/// Most partial pictures of a stream.
pub const MAX_PARTIAL_PICTURES: u32 = 3;

/// `POST /v1/images/generations`. Fields that are not described here are ignored, and named in the header `x-atelier-ignored-fields`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ImageRequest {
    /// What to draw. Needed.
    pub prompt: Option<String>,
    /// The farm's model, as `GET /v1/models` names it; none is that one.
    pub model: Option<String>,
    /// Pictures wanted, 1..=10; none is 1.
    pub n: Option<u32>,
    /// `auto`, or width x height in pixels, for example `1024x1024`; none is `auto`, the model's own.
    pub size: Option<String>,
    /// How much is done for a picture; none is `auto`.
    pub quality: Option<Quality>,
    /// File format; none is PNG.
    pub output_format: Option<OutputFormat>,
    /// 0..=100: quality of a JPEG. Of formats without loss only 100 is taken.
    pub output_compression: Option<u32>,
    /// What is behind the things; pictures are always opaque.
    pub background: Option<Background>,
    /// Whether the answer holds the pictures or links to them; none is `b64_json`.
    pub response_format: Option<ResponseFormat>,
    /// Whether to answer with server-sent events.
    pub stream: Option<bool>,
    /// Most partial pictures of a stream, 0..=3; none is 0.
    pub partial_images: Option<u32>,
    /// Whose picture it is, in the caller's words; the older name of `safety_identifier`.
    pub user: Option<String>,
    /// Whose picture it is, in the caller's words; comes back in the answer.
    pub safety_identifier: Option<String>,
    /// Nothing is moderated here: taken, and named as ignored.
    pub moderation: Option<Moderation>,
    /// The prompt says the style here: taken, and named as ignored.
    pub style: Option<Style>,
    /// How much is thought before drawing, in place of what `quality` says.
    pub complexity: Option<Complexity>,
    /// Animations are not made: refused.
    pub frame_count: Option<u32>,
    /// Animations are not made: refused.
    pub frame_duration_ms: Option<u32>,
    /// Drawings of lines are not made: refused.
    pub svg: Option<serde_json::Map<String, serde_json::Value>>,
    /// The farm's own: everything derives from it; picture k of several has `seed` + k.
    pub seed: Option<u64>,
    /// The farm's own: how much to think, in place of what `quality` and `complexity` say.
    pub think: Option<Think>,
    /// The farm's own: most tokens of a free thought before the plan, 1..=4096, where `think` (or `complexity`) asks for full thought; none is as
    /// many as the planner likes.
    pub think_tokens: Option<u32>,
    /// The farm's own: most passes of render and critique, 1..=4, in place of what `quality` says.
    pub max_rounds: Option<u32>,
    /// The farm's own: how urgent; none is `interactive`, since somebody waits.
    pub priority: Option<Priority>,
    /// The farm's own: denoise steps; none is the model's own default.
    pub steps: Option<u32>,
}

/// `POST /v1/images/edits`, as the fields of a form (multipart/form-data).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EditForm {
    /// What a generation takes too.
    #[serde(flatten)]
    pub request: ImageRequest,
    /// PNG, JPEG or WebP file that is changed. Needed, unless `image[]` is there.
    #[schemars(extend("contentMediaType" = "application/octet-stream"))]
    pub image: Option<String>,
    /// Several files: the first is changed, the others show things of the prompt.
    #[serde(rename = "image[]")]
    #[schemars(schema_with = "files")]
    pub images: Option<Vec<String>>,
    /// PNG file of the first picture's size: what is transparent in it is painted anew, every other pixel stays.
    #[schemars(extend("contentMediaType" = "application/octet-stream"))]
    pub mask: Option<String>,
    /// How close the result stays to the picture, without a mask; none is `low`.
    pub input_fidelity: Option<Fidelity>,
    /// Notes drawn over a picture are not read: refused.
    #[schemars(extend("contentMediaType" = "application/octet-stream"))]
    pub markup: Option<String>,
}

fn files(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array",
        "items": { "type": "string", "contentMediaType": "application/octet-stream" },
        "description": "Several files: the first is changed, the others show things of the prompt.",
    })
}

/// How much is done for a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Quality {
    /// The prompt is drawn as it is.
    Low,
    /// Planned, drawn and checked once.
    Medium,
    /// Planned, and drawn again where a check failed.
    High,
    /// The same, up to three rounds.
    Xhigh,
    /// The same, up to four rounds.
    Max,
    /// As much as a request without options gets: that of `high`.
    Auto,
    /// An older name of `medium`.
    Standard,
    /// An older name of `high`.
    Hd,
}

/// File format of a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OutputFormat {
    /// Without loss.
    #[default]
    Png,
    /// With loss.
    Jpeg,
    /// Without loss.
    Webp,
    /// Refused.
    Gif,
    /// Refused.
    Svg,
}

/// What is behind the things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Background {
    /// Refused: pictures are opaque.
    Transparent,
    /// What the prompt says.
    Opaque,
    /// The same.
    Auto,
}

/// How a picture comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResponseFormat {
    /// A link that is good for an hour.
    Url,
    /// The file itself.
    #[default]
    B64Json,
}

/// How strictly prompts are looked at elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Moderation {
    /// Less.
    Low,
    /// As usual.
    Auto,
}

/// Style of older models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Style {
    /// Dramatic.
    Vivid,
    /// Plain.
    Natural,
}

/// How much is thought before drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Complexity {
    /// Nothing: the prompt is drawn as it is.
    Low,
    /// A plan is made directly.
    Medium,
    /// As much as the farm can.
    High,
}

/// How close an edit stays to its picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fidelity {
    /// Close.
    High,
    /// Less close.
    #[default]
    Low,
}

/// Answer of a call that is not streamed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImagesResponse {
    /// Seconds since 1970.
    pub created: u64,
    /// The pictures, in the order of their seeds.
    pub data: Vec<Picture>,
    /// Always `opaque`.
    pub background: Background,
    /// Format of the files.
    pub output_format: OutputFormat,
    /// What was done for them, in the words of the request.
    pub quality: Quality,
    /// Width x height in pixels.
    pub size: String,
    /// Whose pictures they are, as the call said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safety_identifier: Option<String>,
    /// What went in and came out.
    pub usage: Usage,
}

/// One picture of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Picture {
    /// The file, base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub b64_json: Option<String>,
    /// Where the file is, for an hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The caption of its plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revised_prompt: Option<String>,
    /// The farm's own: its seed.
    pub seed: u64,
    /// The farm's own: its request, under `/v1/requests`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
}

/// What went in and came out. Texts are counted in words and marks, pictures in squares of 16 x 16 pixels, which is what the renderers work on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Of prompt and pictures.
    pub input_tokens: u64,
    /// The same, apart.
    pub input_tokens_details: TokenCounts,
    /// Of the pictures drawn.
    pub output_tokens: u64,
    /// The same, apart.
    pub output_tokens_details: TokenCounts,
    /// All together.
    pub total_tokens: u64,
}

/// Counts of texts and pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenCounts {
    /// Words and marks.
    pub text_tokens: u64,
    /// Squares of 16 x 16 pixels.
    pub image_tokens: u64,
}

/// One server-sent event of a streamed call; `event:` carries the same word as `type`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type")]
pub enum ImageEvent {
    /// How the picture looks so far, small.
    #[serde(rename = "image_generation.partial_image")]
    Drawing(Partial),
    /// The picture.
    #[serde(rename = "image_generation.completed")]
    Drawn(Box<Completed>),
    /// The same of an edit.
    #[serde(rename = "image_edit.partial_image")]
    Editing(Partial),
    /// The same of an edit.
    #[serde(rename = "image_edit.completed")]
    Edited(Box<Completed>),
    /// There will be no picture.
    #[serde(rename = "error")]
    Error {
        /// Why.
        error: OpenAiErrorDetail,
    },
}

impl ImageEvent {
    /// Its `type`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Drawing(_) => "image_generation.partial_image",
            Self::Drawn(_) => "image_generation.completed",
            Self::Editing(_) => "image_edit.partial_image",
            Self::Edited(_) => "image_edit.completed",
            Self::Error { .. } => "error",
        }
    }
}

/// How a picture looks so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Partial {
    /// The file, base64.
    pub b64_json: String,
    /// Which one, from 0.
    pub partial_image_index: u32,
    /// Seconds since 1970.
    pub created_at: u64,
    /// What was asked for: `auto`, or width x height. The partial picture is smaller.
    pub size: String,
    /// What is done for it.
    pub quality: Quality,
    /// Always `opaque`.
    pub background: Background,
    /// Format of the file.
    pub output_format: OutputFormat,
}

/// A picture at the end of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Completed {
    /// The file, base64; empty when a link was asked for.
    pub b64_json: String,
    /// Where the file is, for an hour, when a link was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Seconds since 1970.
    pub created_at: u64,
    /// Width x height in pixels.
    pub size: String,
    /// What was done for it.
    pub quality: Quality,
    /// Always `opaque`.
    pub background: Background,
    /// Format of the file.
    pub output_format: OutputFormat,
    /// What went in and came out.
    pub usage: Usage,
    /// Whose picture it is, as the call said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safety_identifier: Option<String>,
    /// The caption of its plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revised_prompt: Option<String>,
    /// The farm's own: its seed.
    pub seed: u64,
    /// The farm's own: its request, under `/v1/requests`.
    pub request: RequestId,
}

/// `GET /v1/models`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ModelList {
    /// Always `list`.
    pub object: String,
    /// The farm's model.
    pub data: Vec<Model>,
}

/// `GET /v1/models/{model}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Model {
    /// Its name.
    pub id: String,
    /// Always `model`.
    pub object: String,
    /// When it was made, in seconds since 1970; 0, since a farm does not know.
    pub created: u64,
    /// Always `atelier`.
    pub owned_by: String,
}

/// Body of every error answer under these paths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenAiError {
    /// What is wrong.
    pub error: OpenAiErrorDetail,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenAiErrorDetail {
    /// A sentence for people that says what to do.
    pub message: String,
    /// `invalid_request_error`, `authentication_error`, `rate_limit_error`, `insufficient_quota` or `server_error`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The field that it is about.
    pub param: Option<String>,
    /// A stable word for programs, for example `model_not_found`.
    pub code: Option<String>,
}
