//! From a prompt to the best covered of some drafts.
//!
//! What no draft's plan cites and names a thing is named by code in a second draft, under a grammar that leaves the model no choice of things,
//! only of what is said about them. With full thought, models that can think do so first; one that was taught to draft cannot, and drafts more
//! freely some times over instead.

use atelier_engine::{
    Control, EngineError, PlanInput, PlanOutput,
    planning::{Made, Studio, make_plan, merged},
};
use atelier_proto::{job::Think, report::Thought};

use crate::planner::{Asking, DraftOutput, Planner, PlannerError};

/// Further drafts with full thought, and how freely they are drawn.
const VARIANTS: u64 = 2;
const FREELY: f64 = 0.7;

/// A draft and its plan.
struct Candidate {
    drafted: DraftOutput,
    made: Made,
}

impl Candidate {
    /// Less is better.
    fn uncovered(&self) -> (usize, usize) {
        let uncited = &self.made.uncited;
        (uncited.things.len(), uncited.words.len())
    }
}

/// Drafts a prompt in the studio; the plan is valid whatever the model writes.
pub fn plan(
    planner: &mut Planner,
    studio: &Studio<'_>,
    input: &PlanInput,
    control: &mut dyn Control,
) -> Result<PlanOutput, EngineError> {
    let full = input.think == Think::Full || !input.findings.is_empty();
    let first = Asking {
        seed: input.seed,
        findings: &input.findings,
        reason: full,
        ..Asking::default()
    };
    let mut drafts = Drafts {
        planner,
        studio,
        input,
        tokens: (0, 0),
        reasoning: String::new(),
        notes: Vec::new(),
    };
    let mut best = drafts.draft(&first, control)?;
    if !best.made.uncited.things.is_empty() {
        best = drafts.naming_what_was_missed(best, &first, control)?;
    }
    if full && !drafts.planner.thinks() {
        for variant in 1..=VARIANTS {
            let asking = Asking {
                seed: input.seed.wrapping_add(variant),
                temperature: Some(FREELY),
                ..first
            };
            let Some(other) = drafts.draft_too(&asking, control)? else {
                continue;
            };
            if other.uncovered() < best.uncovered() {
                let note =
                    format!("the plan is that of a freer draft, the {variant}. of {VARIANTS}");
                drafts.notes.push(note);
                best = other;
            }
        }
    }
    Ok(drafts.output(best))
}

/// The drafts of one prompt.
struct Drafts<'a> {
    planner: &'a mut Planner,
    studio: &'a Studio<'a>,
    input: &'a PlanInput,
    /// Sampled and forced, of all drafts.
    tokens: (u32, u32),
    reasoning: String,
    notes: Vec<String>,
}

impl Drafts<'_> {
    fn draft(
        &mut self,
        asking: &Asking<'_>,
        control: &mut dyn Control,
    ) -> Result<Candidate, EngineError> {
        let before = self.tokens.0 + self.tokens.1;
        let mut step = |tokens| {
            control.progress(before + tokens, 0, None);
            !control.canceled()
        };
        let drafted = self.planner.draft_as(&self.input.prompt, asking, &mut step);
        let drafted = drafted.map_err(|error| match error {
            PlannerError::Canceled => EngineError::Canceled,
            PlannerError::NoWords => EngineError::Impossible(error.to_string()),
            other => EngineError::Failed(other.to_string()),
        })?;
        self.tokens.0 += drafted.tokens_sampled;
        self.tokens.1 += drafted.tokens_forced;
        if !drafted.reasoning.is_empty() {
            self.reasoning.clone_from(&drafted.reasoning);
        }
        let made = make_plan(
            &self.input.prompt,
            &drafted.draft,
            self.studio,
            self.input.seed,
        );
        Ok(Candidate { drafted, made })
    }

    /// One more draft beside a good one: that it cannot be made is no reason to fail.
    fn draft_too(
        &mut self,
        asking: &Asking<'_>,
        control: &mut dyn Control,
    ) -> Result<Option<Candidate>, EngineError> {
        match self.draft(asking, control) {
            Ok(candidate) => Ok(Some(candidate)),
            Err(EngineError::Failed(reason)) => {
                self.notes
                    .push(format!("a further draft was not made: {reason}"));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Drafts again, told to name everything; the better covered one.
    fn naming_what_was_missed(
        &mut self,
        before: Candidate,
        first: &Asking<'_>,
        control: &mut dyn Control,
    ) -> Result<Candidate, EngineError> {
        let missed = &before.made.uncited.things;
        let things = merged(&self.input.prompt, &before.drafted.draft, missed);
        let asking = Asking {
            things: &things,
            reason: false,
            ..*first
        };
        let missed = missed.join(", ");
        match self.draft_too(&asking, control)? {
            Some(again) if again.uncovered() < before.uncovered() => {
                let note = format!("drafted again, to name what was missed: {missed}");
                self.notes.push(note);
                Ok(again)
            }
            _ => {
                let note = format!("drafted again for nothing, to name: {missed}");
                self.notes.push(note);
                Ok(before)
            }
        }
    }

    fn output(self, best: Candidate) -> PlanOutput {
        let Made {
            plan,
            mut notes,
            evidence,
            ..
        } = best.made;
        notes.extend(self.notes);
        if best.drafted.truncated {
            notes.push(
                "the prompt is longer than what the planner reads; its end was left out".into(),
            );
        }
        let findings = self.input.findings.iter();
        notes.extend(findings.map(|finding| format!("planned again, since {finding}")));
        PlanOutput {
            plan,
            thought: Thought {
                text: best.drafted.text,
                tokens_sampled: self.tokens.0,
                tokens_forced: self.tokens.1,
                notes,
                reasoning: self.reasoning,
                evidence,
            },
        }
    }
}
