//! The seam between the farm and the networks: what a worker asks of a model, in plain types.
//!
//! No tensors, no async, no network. `models` implements [`Engine`] on libtorch; [`double`] is the deterministic test double;
//! [`planning`] is the pure code that turns what a model named into a plan.

pub mod double;
pub mod planning;

use std::sync::Arc;

use atelier_proto::{
    Sha256, TenantId,
    job::{JobKind, Size, Think},
    plan::{Plan, StageOp, sent_picture},
    report::{Thought, UsedReference},
    review::Review,
};
use image::{GrayImage, Luma, RgbImage};

/// What a worker asks of its models. One thread owns an engine.
pub trait Engine {
    /// Name of the loaded model, as in subjects: letters, digits, `-` and `_`.
    fn model(&self) -> &str;

    /// What it computes on, for example `cpu` or `cuda:0`.
    fn device(&self) -> String;

    /// Kinds of jobs that it has loaded what they need.
    fn roles(&self) -> Vec<JobKind>;

    /// Digest of everything that jobs of this kind are done with, word lists and adapters included: with equal digests, on one kind of device,
    /// equal jobs come out equal. None where there is none to tell.
    fn weights(&self, role: JobKind) -> Option<Sha256> {
        let _ = role;
        None
    }

    /// Makes a plan of a prompt; the plan is valid.
    fn plan(
        &mut self,
        input: &PlanInput,
        control: &mut dyn Control,
    ) -> Result<PlanOutput, EngineError>;

    /// Most plans that are worth making at once; 1 when that is no faster than one by one.
    fn best_plan_batch(&self) -> usize {
        1
    }

    /// Makes plans at once, each under its own control, and says of each what came of it, in their order: the same plans as one by one, which is
    /// how they are made unless the engine knows better.
    fn plan_batch(
        &mut self,
        inputs: &[&PlanInput],
        controls: &mut [&mut dyn Control],
    ) -> Vec<Result<PlanOutput, EngineError>> {
        let pairs = inputs.iter().zip(controls);
        pairs
            .map(|(input, control)| self.plan(input, *control))
            .collect()
    }

    /// Draws one stage.
    fn render(
        &mut self,
        input: &RenderInput,
        control: &mut dyn Control,
    ) -> Result<RenderOutput, EngineError>;

    /// Whether a drawing takes longer than asking the object store whether it was made before.
    fn is_dear(&self) -> bool {
        false
    }

    /// Most drawings of equal [`Shape`] that are worth making at once; 1 when that is no faster than one by one.
    fn best_batch(&self) -> usize {
        1
    }

    /// Draws stages of equal [`Shape`] at once, each under its own control, and says of each what came of it, in their order. One by one
    /// unless the engine knows better.
    fn render_batch(
        &mut self,
        inputs: &[&RenderInput],
        controls: &mut [&mut dyn Control],
    ) -> Vec<Result<RenderOutput, EngineError>> {
        let pairs = inputs.iter().zip(controls);
        pairs
            .map(|(input, control)| self.render(input, *control))
            .collect()
    }

    /// Answers the checks of a plan about a picture, in the plan's order.
    fn critique(
        &mut self,
        input: &CritiqueInput,
        control: &mut dyn Control,
    ) -> Result<Review, EngineError>;
}

/// How running work talks to the worker around it. Called between steps, often; must be cheap.
pub trait Control {
    /// Whether to stop now.
    fn canceled(&self) -> bool;

    /// Whether a small picture that came now would be looked at: making one takes time.
    fn looks(&self) -> bool {
        true
    }

    /// Step `step` of `total` is done (`total` 0 when unknown), with a small picture of how it looks so far.
    fn progress(&mut self, step: u32, total: u32, preview: Option<RgbImage>);
}

/// Work that nobody stops and nobody watches.
#[derive(Clone, Copy, Debug)]
pub struct Unattended;

impl Control for Unattended {
    fn canceled(&self) -> bool {
        false
    }

    fn looks(&self) -> bool {
        false
    }

    fn progress(&mut self, _step: u32, _total: u32, _preview: Option<RgbImage>) {}
}

/// A picture that the user sent for a noun of the prompt.
#[derive(Clone, Debug)]
pub struct Reference {
    /// The noun.
    pub name: String,
    /// The picture with its transparency.
    pub picture: image::RgbaImage,
    /// SHA-256 of the file's bytes.
    pub sha256: Sha256,
}

/// Input of [`Engine::plan`].
#[derive(Clone, Debug, Default)]
pub struct PlanInput {
    /// What the user wrote.
    pub prompt: String,
    /// Seed of layout and sampling.
    pub seed: u64,
    /// Nouns that the user sent pictures of.
    pub reference_names: Vec<String>,
    /// What was wrong with pictures of an earlier plan of this prompt, in sentences; empty for the first plan.
    pub findings: Vec<String>,
    /// How much to think: [`Think::Off`] is never asked for, and is taken as fast.
    pub think: Think,
    /// Most tokens of a free thought; none is as many as the planner likes.
    pub think_tokens: Option<u32>,
    /// Whose drafts may be used again, and who may use this one; none forbids both.
    pub keep_for: Option<TenantId>,
}

/// Output of [`Engine::plan`].
#[derive(Clone, Debug, PartialEq)]
pub struct PlanOutput {
    /// A valid plan.
    pub plan: Plan,
    /// How it came about.
    pub thought: Thought,
    /// The draft was written before, for an equal prompt; none where nothing was looked for.
    pub kept: Option<bool>,
}

/// Input of [`Engine::render`].
#[derive(Clone, Debug)]
pub struct RenderInput {
    /// A valid plan, the same one for all that is made of it.
    pub plan: Arc<Plan>,
    /// Id of one of its stages.
    pub stage: String,
    /// Seed of the noise.
    pub seed: u64,
    /// Denoise steps; none is the model's own default.
    pub steps: Option<u32>,
    /// Size; none is the model's own.
    pub size: Option<Size>,
    /// Pictures that the stage reads, in its order; those that the user sent among them.
    pub inputs: Vec<RgbImage>,
    /// The user's pictures.
    pub references: Vec<Reference>,
    /// Whether what was computed of texts for other drawings may be used again, and this one's for others. The picture is the same either way.
    pub reuse: bool,
}

/// What drawings must have in common to be made at once: they take the same steps on tensors of the same size.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    op: &'static str,
    /// Bits of the strength of an edit, which decides on its steps.
    strength: Option<u32>,
    steps: Option<u32>,
    size: Option<Size>,
    inputs: Vec<(u32, u32)>,
    references: usize,
}

impl RenderInput {
    /// What a repair of a picture that the user sent repaints, where that picture is transparent anywhere: 255 in the transparent pixels of the
    /// box, 0 elsewhere. None of other stages: they repaint the whole box.
    pub fn mask(&self) -> Option<GrayImage> {
        let StageOp::Repair { input, bbox, .. } = &self.plan.stage(&self.stage)?.op else {
            return None;
        };
        let name = sent_picture(input)?;
        let mut sent = self.references.iter();
        let picture = &sent.find(|reference| reference.name == name)?.picture;
        if picture.pixels().all(|pixel| pixel.0[3] == 255) {
            return None;
        }
        let (width, height) = picture.dimensions();
        let [x0, y0, x1, y1] = bbox.0;
        let inside = |x: u32, y: u32| {
            let (x, y) = (x as f32 + 0.5, y as f32 + 0.5);
            let (x, y) = (x / width as f32, y / height as f32);
            (x0..x1).contains(&x) && (y0..y1).contains(&y)
        };
        Some(GrayImage::from_fn(width, height, |x, y| {
            let share = 255 - picture.get_pixel(x, y).0[3];
            Luma([if inside(x, y) { share } else { 0 }])
        }))
    }

    /// Its shape; none when its plan has no such stage.
    pub fn shape(&self) -> Option<Shape> {
        let op = &self.plan.stage(&self.stage)?.op;
        let strength = match op {
            StageOp::Edit { strength, .. } => Some(strength.to_bits()),
            _ => None,
        };
        Some(Shape {
            op: op.name(),
            strength,
            steps: self.steps,
            size: self.size,
            inputs: self.inputs.iter().map(RgbImage::dimensions).collect(),
            references: self.references.len(),
        })
    }
}

/// Output of [`Engine::render`].
#[derive(Clone, Debug)]
pub struct RenderOutput {
    /// The picture.
    pub image: RgbImage,
    /// Denoise steps done.
    pub steps: u32,
    /// Pictures that things were drawn with.
    pub references: Vec<UsedReference>,
    /// Texts that were looked for before a language model read them.
    pub texts: Looked,
}

/// How often something was looked for before it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    /// It was there.
    pub hits: u32,
    /// It was not.
    pub misses: u32,
}

impl Looked {
    /// Something was looked for.
    pub const fn count(&mut self, hit: bool) {
        match hit {
            true => self.hits += 1,
            false => self.misses += 1,
        }
    }
}

/// Input of [`Engine::critique`].
#[derive(Clone, Debug)]
pub struct CritiqueInput {
    /// A valid plan, the same one for all that is made of it.
    pub plan: Arc<Plan>,
    /// The picture to look at.
    pub image: RgbImage,
}

/// Why an engine did not do its work. Says what happens next.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// [`Control::canceled`] said so.
    #[error("canceled")]
    Canceled,
    /// The input cannot be done by this engine; another attempt would end the same.
    #[error("{0}")]
    Impossible(String),
    /// Something went wrong on the way; another attempt may do better.
    #[error("{0}")]
    Failed(String),
    /// The device has no room for it, also by itself; the engine is as good as before. A worker with more memory may do better.
    #[error("{0}")]
    OutOfMemory(String),
}
