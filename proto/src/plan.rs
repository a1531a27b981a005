//! The plan: structured instructions made from a prompt (schema version 1). The same types on the wire to people and models.

mod field;
mod validate;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use validate::{MAX_CHECKS, MAX_ELEMENTS, MAX_RELATIONS, MAX_STAGES, PlanError};

/// Version of the schema that this build writes and reads.
pub const PLAN_VERSION: u32 = 1;

/// A rectangle `[x0, y0, x1, y1]` in 0..1, origin top left.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct BBox(pub [f32; 4]);

/// By their bits, so that boxes can be part of what is hashed; both zeros are one.
impl PartialEq for BBox {
    fn eq(&self, other: &Self) -> bool {
        self.bits() == other.bits()
    }
}

impl Eq for BBox {}

impl std::hash::Hash for BBox {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.bits().hash(state);
    }
}

impl BBox {
    fn bits(&self) -> [u32; 4] {
        self.0.map(|edge| (edge + 0.0).to_bits())
    }

    /// Whether it is a rectangle of some size inside 0..1.
    pub fn is_inside(&self) -> bool {
        let [x0, y0, x1, y1] = self.0;
        // A NaN fails every comparison, so it is refused too.
        0.0 <= x0 && x0 < x1 && x1 <= 1.0 && 0.0 <= y0 && y0 < y1 && y1 <= 1.0
    }

    /// The pixels that it touches in a picture of `width` x `height`: columns, then rows.
    pub fn pixels(&self, width: u32, height: u32) -> (std::ops::Range<u32>, std::ops::Range<u32>) {
        let span = |from: f32, to: f32, side: u32| {
            let long = side as f32;
            let (first, end) = ((from * long).floor() as u32, (to * long).ceil() as u32);
            first.min(side)..end.min(side)
        };
        let [x0, y0, x1, y1] = self.0;
        (span(x0, x1, width), span(y0, y1, height))
    }

    /// Centre `(x, y)`.
    pub fn center(&self) -> (f32, f32) {
        let [x0, y0, x1, y1] = self.0;
        ((x0 + x1) / 2.0, (y0 + y1) / 2.0)
    }

    /// Area, 0 for a degenerate box.
    pub fn area(&self) -> f32 {
        let [x0, y0, x1, y1] = self.0;
        (x1 - x0).max(0.0) * (y1 - y0).max(0.0)
    }

    /// Intersection over union with `other`, 0..1.
    pub fn iou(&self, other: &Self) -> f32 {
        let ([a0, b0, a1, b1], [c0, d0, c1, d1]) = (self.0, other.0);
        let common = Self([a0.max(c0), b0.max(d0), a1.min(c1), b1.min(d1)]).area();
        let union = self.area() + other.area() - common;
        if union > 0.0 { common / union } else { 0.0 }
    }
}

/// What to draw, where, in which stages, and what to check afterwards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Schema version, 1.
    pub version: u32,
    /// Short free text, at most 60 words.
    #[serde(default)]
    pub reasoning: String,
    /// The full picture in one rewritten paragraph.
    pub caption: String,
    /// Style in words; empty when the prompt names none.
    #[serde(default)]
    pub style: String,
    /// Light in words, for example `night`.
    #[serde(default)]
    pub lighting: String,
    /// What is behind everything, for example `moon surface`.
    #[serde(default)]
    pub background: String,
    /// The things in the picture.
    #[serde(default)]
    pub elements: Vec<Element>,
    /// How things stand to each other.
    #[serde(default)]
    pub relations: Vec<Relation>,
    /// The graph of stages; the one that no other reads is the result.
    pub stages: Vec<Stage>,
    /// What the critique asks about the picture.
    #[serde(default)]
    pub checks: Vec<Check>,
}

/// One thing, or one instance of a counted thing (`cat-1`, `cat-2`: one box cannot enforce three).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Element {
    /// Name that relations and checks use; unique in the plan.
    pub id: String,
    /// What it is, in the prompt's own words.
    pub noun: String,
    /// How many this element stands for; 1 once code has split a counted element into instances.
    #[serde(default = "one")]
    pub count: u32,
    /// Words about it, for example `in a spacesuit`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<String>,
    /// Colour words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub colors: Vec<String>,
    /// Where it goes; none lets the renderer choose.
    #[serde(default, rename = "box", skip_serializing_if = "Option::is_none")]
    pub bbox: Option<BBox>,
    /// A picture of it: `props/NAME` from the model's library, `refs/NAME` sent by the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

const fn one() -> u32 {
    1
}

/// `subject` stands to `object` as `predicate` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Relation {
    /// Element id.
    pub subject: String,
    /// How.
    pub predicate: Predicate,
    /// Element id.
    pub object: String,
}

/// How one element stands to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Predicate {
    /// Its centre is to the left.
    LeftOf,
    /// Its centre is to the right.
    RightOf,
    /// Its centre is higher.
    Above,
    /// Its centre is lower.
    Below,
    /// It stands on top of it.
    On,
    /// It is inside.
    In,
    /// Close by.
    Near,
    /// Farther from the eye.
    Behind,
    /// Nearer to the eye.
    InFrontOf,
}

impl Predicate {
    /// As people say it: `left of`.
    pub const fn words(self) -> &'static str {
        match self {
            Self::LeftOf => "left of",
            Self::RightOf => "right of",
            Self::Above => "above",
            Self::Below => "below",
            Self::On => "on",
            Self::In => "in",
            Self::Near => "near",
            Self::Behind => "behind",
            Self::InFrontOf => "in front of",
        }
    }
}

/// One node of the plan's graph: one render job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stage {
    /// Unique in the plan.
    pub id: String,
    /// What the stage does.
    #[serde(flatten)]
    pub op: StageOp,
}

/// What a stage does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum StageOp {
    /// Draws from the plan.
    Generate {
        /// Replaces the plan's caption for this stage; empty keeps it.
        #[serde(default)]
        caption: String,
    },
    /// Redraws the picture of another stage.
    Edit {
        /// Stage whose picture is changed, or `refs/NAME`: a picture that the user sent.
        input: String,
        /// What it shall become.
        instruction: String,
        /// How far from the input, 0..1.
        strength: f32,
    },
    /// Composes two pictures with a mask: the first where it is 0, the second where it is 1.
    Blend {
        /// Exactly two stages.
        inputs: Vec<String>,
        /// Where the second one shows.
        mask: Mask,
    },
    /// Repaints one box and leaves every pixel outside it untouched.
    Repair {
        /// Stage whose picture is mended, or `refs/NAME`: a picture that the user sent. Where such a one is transparent, only what is
        /// transparent in the box is repainted.
        input: String,
        /// What is repainted.
        #[serde(rename = "box")]
        bbox: BBox,
        /// What shall be there.
        instruction: String,
    },
}

impl StageOp {
    /// Stages whose pictures this one reads.
    pub fn inputs(&self) -> Vec<&str> {
        let reads = self.reads().into_iter();
        reads.filter(|name| sent_picture(name).is_none()).collect()
    }

    /// All pictures that this one reads, in their order: those of stages by their ids, those that the user sent as `refs/NAME`.
    pub fn reads(&self) -> Vec<&str> {
        match self {
            Self::Generate { .. } => Vec::new(),
            Self::Edit { input, .. } | Self::Repair { input, .. } => vec![input],
            Self::Blend { inputs, .. } => inputs.iter().map(String::as_str).collect(),
        }
    }

    /// The word used in traces and logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Generate { .. } => "generate",
            Self::Edit { .. } => "edit",
            Self::Blend { .. } => "blend",
            Self::Repair { .. } => "repair",
        }
    }
}

/// The name in `refs/NAME`, which stands for a picture that the user sent; none of the id of a stage, in which there is no slash.
pub fn sent_picture(read: &str) -> Option<&str> {
    read.strip_prefix("refs/")
}

/// Where the second picture of a blend shows.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Mask {
    /// A ramp along `angle` degrees (0 = left to right), 0 before `from`, 1 after `to`, both in 0..1 of the picture.
    Linear {
        /// Degrees, clockwise.
        angle: f32,
        /// Where the ramp starts.
        from: f32,
        /// Where it ends.
        to: f32,
    },
}

impl Mask {
    /// How much of the second picture shows at points of 0..1, across and down: 0 to 1.
    pub fn shares(&self) -> impl Fn(f32, f32) -> f32 + Copy + use<> {
        let Self::Linear { angle, from, to } = *self;
        let (sin, cos) = angle.to_radians().sin_cos();
        // Along the angle, the picture reaches from 0 to 1 whatever the angle.
        let reach = sin.abs() + cos.abs();
        move |across, down| {
            let along = ((across - 0.5) * cos + (down - 0.5) * sin) / reach + 0.5;
            if to > from {
                ((along - from) / (to - from)).clamp(0.0, 1.0)
            } else {
                f32::from(u8::from(along >= from))
            }
        }
    }

    /// The same in the middle of the pixels of a picture of `width` x `height`.
    pub fn shares_of_pixels(
        &self,
        (width, height): (u32, u32),
    ) -> impl Fn(u32, u32) -> f32 + Copy + use<> {
        let share = self.shares();
        move |x, y| {
            share(
                (x as f32 + 0.5) / width as f32,
                (y as f32 + 0.5) / height as f32,
            )
        }
    }
}

/// One closed question that the critique answers about the picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// Unique in the plan.
    pub id: String,
    /// What is asked.
    #[serde(flatten)]
    pub question: Question,
}

/// What a check asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Question {
    /// Is the element there?
    Presence {
        /// Element id.
        element: String,
    },
    /// Are there exactly `expect` things called `noun`?
    Count {
        /// What is counted.
        noun: String,
        /// How many.
        expect: u32,
    },
    /// Does the element have this colour?
    Color {
        /// Element id.
        element: String,
        /// Colour word.
        expect: String,
    },
    /// Is the element where the plan puts it?
    Position {
        /// Element id.
        element: String,
        /// Where its centre should be.
        expect: BBox,
    },
    /// Does the relation hold?
    Relation {
        /// Element id.
        subject: String,
        /// How.
        predicate: Predicate,
        /// Element id.
        object: String,
    },
    /// Is the picture in this light?
    Light {
        /// Time of day, for example `night`.
        expect: String,
    },
    /// Is this text in the picture?
    Text {
        /// The text.
        expect: String,
    },
}

impl Question {
    /// The word used in traces, metrics and logs.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Presence { .. } => "presence",
            Self::Count { .. } => "count",
            Self::Color { .. } => "color",
            Self::Position { .. } => "position",
            Self::Relation { .. } => "relation",
            Self::Light { .. } => "light",
            Self::Text { .. } => "text",
        }
    }
}

impl Plan {
    /// A plan of one stage with the raw prompt: what is drawn when planning is off or failed.
    pub fn direct(prompt: &str) -> Self {
        Self {
            version: PLAN_VERSION,
            reasoning: String::new(),
            caption: prompt.to_owned(),
            style: String::new(),
            lighting: String::new(),
            background: String::new(),
            elements: Vec::new(),
            relations: Vec::new(),
            stages: vec![Stage {
                id: "out".into(),
                op: StageOp::Generate {
                    caption: String::new(),
                },
            }],
            checks: Vec::new(),
        }
    }

    /// The element called `id`.
    pub fn element(&self, id: &str) -> Option<&Element> {
        self.elements.iter().find(|element| element.id == id)
    }

    /// The stage called `id`.
    pub fn stage(&self, id: &str) -> Option<&Stage> {
        self.stages.iter().find(|stage| stage.id == id)
    }

    /// The stage that no other reads; unique in a valid plan.
    pub fn sink(&self) -> Option<&Stage> {
        let read = |id: &str| {
            self.stages
                .iter()
                .any(|stage| stage.op.inputs().contains(&id))
        };
        self.stages.iter().find(|stage| !read(&stage.id))
    }
}
