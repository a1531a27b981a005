//! Deterministic test double of the engine: for tests of the farm without libtorch. Never a default.
//!
//! It draws coloured boxes from the seed and obeys the words in square brackets of the prompt, so that a test can say
//! in the request itself what shall go wrong; see [`Directive`].

mod directive;
mod picture;
mod plan;
mod verdict;

use std::{collections::HashSet, time::Duration};

use atelier_proto::{Sha256, job::JobKind, review::Review};

pub use directive::{Directive, directives};

use crate::{
    Control, CritiqueInput, Engine, EngineError, Looked, PlanInput, PlanOutput, RenderInput,
    RenderOutput,
};

/// Steps of a render that names none.
const DEFAULT_STEPS: u32 = 4;

/// It has no weights; what it does changes with releases only.
const WEIGHTS: Sha256 = Sha256([0xdb; 32]);

/// How the double behaves.
#[derive(Clone, Debug)]
pub struct DoubleOptions {
    /// Name in subjects.
    pub model: String,
    /// Roles that it says to have.
    pub roles: Vec<JobKind>,
    /// Time that every step takes.
    pub step: Duration,
}

/// The test double.
#[derive(Debug)]
pub struct DoubleEngine {
    options: DoubleOptions,
    /// Prompts that failed once already, for [`Directive::Flaky`].
    failed_once: HashSet<(JobKind, String)>,
}

impl DoubleEngine {
    /// A double.
    pub fn new(options: DoubleOptions) -> Self {
        Self {
            options,
            failed_once: HashSet::new(),
        }
    }

    /// Does what the prompt's directives want of jobs of this kind; returns the time that a step takes.
    fn obey(&mut self, kind: JobKind, prompt: &str) -> Result<Duration, EngineError> {
        let mut step = self.options.step;
        for directive in directives(prompt) {
            match directive {
                Directive::Slow(time) => step = time,
                Directive::Fail(of) if of == kind => {
                    return Err(EngineError::Failed("told to fail".into()));
                }
                Directive::Impossible(of) if of == kind => {
                    return Err(EngineError::Impossible("told to be impossible".into()));
                }
                Directive::Full(of) if of == kind => {
                    return Err(EngineError::OutOfMemory("told to be full".into()));
                }
                Directive::Flaky(of)
                    if of == kind && self.failed_once.insert((kind, prompt.to_owned())) =>
                {
                    return Err(EngineError::Failed("told to fail the first time".into()));
                }
                Directive::Panic(of) if of == kind => panic!("told to panic"),
                // As a fault in native code would: no unwinding, no report.
                Directive::Abort(of) if of == kind => std::process::abort(),
                Directive::Hang(of) if of == kind => loop {
                    std::thread::park();
                },
                _ => {}
            }
        }
        Ok(step)
    }
}

impl DoubleEngine {
    /// The time that a step takes, and what the picture will be.
    fn begin(&mut self, input: &RenderInput) -> Result<(Duration, RenderOutput), EngineError> {
        let step = self.obey(JobKind::Render, &input.plan.caption)?;
        let small = directive::bytes(&input.plan.caption).is_some();
        let default = if small { 1 } else { DEFAULT_STEPS };
        let drawing = RenderOutput {
            image: picture::draw(input)?,
            steps: input.steps.unwrap_or(default).max(1),
            references: picture::used_references(input),
            texts: Looked::default(),
        };
        Ok((step, drawing))
    }
}

/// Takes out those that are canceled; the others go on.
fn stop_canceled(
    drawings: &mut [Result<RenderOutput, EngineError>],
    controls: &[&mut dyn Control],
) {
    for (drawing, control) in drawings.iter_mut().zip(controls) {
        if drawing.is_ok() && control.canceled() {
            *drawing = Err(EngineError::Canceled);
        }
    }
}

impl Engine for DoubleEngine {
    fn model(&self) -> &str {
        &self.options.model
    }

    fn device(&self) -> String {
        "double".into()
    }

    fn roles(&self) -> Vec<JobKind> {
        self.options.roles.clone()
    }

    fn weights(&self, _role: JobKind) -> Option<Sha256> {
        Some(WEIGHTS)
    }

    fn plan(
        &mut self,
        input: &PlanInput,
        control: &mut dyn Control,
    ) -> Result<PlanOutput, EngineError> {
        let step = self.obey(JobKind::Plan, &input.prompt)?;
        work(1, step, control, |_| None)?;
        Ok(plan::make(input))
    }

    fn render(
        &mut self,
        input: &RenderInput,
        control: &mut dyn Control,
    ) -> Result<RenderOutput, EngineError> {
        let (step, drawing) = self.begin(input)?;
        let small = directive::bytes(&input.plan.caption).is_some();
        work(drawing.steps, step, control, |done| {
            (!small).then(|| picture::preview(&drawing.image, done, drawing.steps))
        })?;
        Ok(drawing)
    }

    /// A step takes as long for all of them as for the slowest alone.
    fn render_batch(
        &mut self,
        inputs: &[&RenderInput],
        controls: &mut [&mut dyn Control],
    ) -> Vec<Result<RenderOutput, EngineError>> {
        let mut step = Duration::ZERO;
        let mut drawings: Vec<_> = inputs
            .iter()
            .map(|input| {
                let (own, drawing) = self.begin(input)?;
                step = step.max(own);
                Ok(drawing)
            })
            .collect();
        let steps = drawings.iter().flatten().map(|drawing| drawing.steps);
        for done in 1..=steps.max().unwrap_or(0) {
            stop_canceled(&mut drawings, controls);
            if drawings.iter().all(Result::is_err) {
                break;
            }
            if !step.is_zero() {
                std::thread::sleep(step);
            }
            for (drawing, control) in drawings.iter().zip(controls.iter_mut()) {
                if let Ok(RenderOutput { image, steps, .. }) = drawing {
                    let small = || picture::preview(image, done, *steps);
                    let preview = control.looks().then(small);
                    control.progress(done, *steps, preview);
                }
            }
        }
        stop_canceled(&mut drawings, controls);
        drawings
    }

    fn critique(
        &mut self,
        input: &CritiqueInput,
        control: &mut dyn Control,
    ) -> Result<Review, EngineError> {
        let step = self.obey(JobKind::Critique, &input.plan.caption)?;
        work(1, step, control, |_| None)?;
        Ok(verdict::review(input))
    }
}

/// Takes its time, step by step; stops within one step when canceled.
fn work(
    steps: u32,
    step: Duration,
    control: &mut dyn Control,
    preview: impl Fn(u32) -> Option<image::RgbImage>,
) -> Result<(), EngineError> {
    for done in 1..=steps {
        if control.canceled() {
            return Err(EngineError::Canceled);
        }
        if !step.is_zero() {
            std::thread::sleep(step);
        }
        let preview = control.looks().then(|| preview(done)).flatten();
        control.progress(done, steps, preview);
    }
    if control.canceled() {
        return Err(EngineError::Canceled);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
