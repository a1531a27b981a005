//! From a prompt to the best covered of some drafts, and from a draft to its plan.
//!
//! What no draft's plan cites and names a thing is named by code in a second draft, under a grammar that leaves the model no choice of things,
//! only of what is said about them. With full thought, models that can think do so first; one that was taught to draft cannot, and drafts more
//! freely some times over instead.

use atelier_engine::{
    Control, EngineError, PlanInput, PlanOutput,
    planning::{Made, Studio, Uncited, make_plan, merged},
};
use atelier_proto::{job::Think, report::Thought};

use super::plans::refused;
use crate::planner::{Asking, DraftOutput, Planner};

/// Further drafts with full thought, and how freely they are drawn.
const VARIANTS: u64 = 2;
const FREELY: f64 = 0.7;

/// A draft and what its plan does not cover.
struct Candidate {
    drafted: DraftOutput,
    uncited: Uncited,
}

impl Candidate {
    /// Less is better.
    fn uncovered(&self) -> [usize; 3] {
        let Uncited {
            things,
            words,
            unkept,
            ..
        } = &self.uncited;
        [things.len(), words.len(), unkept.len()]
    }
}

/// Whether the planner reasons before it drafts this one.
pub fn thinks(planner: &Planner, input: &PlanInput) -> bool {
    is_full(input) && planner.thinks()
}

fn is_full(input: &PlanInput) -> bool {
    input.think == Think::Full || !input.findings.is_empty()
}

/// Drafts a prompt in the studio; `first` is a draft that was made already.
pub fn draft(
    planner: &mut Planner,
    studio: &Studio<'_>,
    input: &PlanInput,
    first: Option<DraftOutput>,
    control: &mut dyn Control,
) -> Result<DraftOutput, EngineError> {
    let full = is_full(input);
    let thinks = thinks(planner, input);
    let asking = Asking {
        seed: input.seed,
        findings: &input.findings,
        pictures: &input.reference_names,
        reason: full,
        thought: input.think_tokens,
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
    let mut best = match first {
        Some(first) => drafts.weighed(first),
        None => drafts.draft(&asking, control)?,
    };
    if !best.uncited.things.is_empty() {
        best = drafts.naming_what_was_missed(best, &asking, control)?;
    }
    if full && !thinks {
        for variant in 1..=VARIANTS {
            let freer = Asking {
                seed: input.seed.wrapping_add(variant),
                temperature: Some(FREELY),
                ..asking
            };
            let Some(other) = drafts.draft_too(&freer, control)? else {
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

/// The plan of a draft; valid whatever the model wrote. `kept` as it will be told.
pub fn planned(
    studio: &Studio<'_>,
    input: &PlanInput,
    drafted: DraftOutput,
    kept: Option<bool>,
) -> PlanOutput {
    let Made {
        plan,
        mut notes,
        evidence,
        uncited,
    } = make_plan(&input.prompt, &drafted.draft, studio, input.seed);
    notes.extend(drafted.notes);
    if drafted.truncated {
        notes.push("the prompt is longer than what the planner reads; its end was left out".into());
    }
    let findings = input.findings.iter();
    notes.extend(findings.map(|finding| format!("planned again, since {finding}")));
    PlanOutput {
        plan,
        thought: Thought {
            text: drafted.text,
            tokens_sampled: drafted.tokens_sampled,
            tokens_forced: drafted.tokens_forced,
            notes,
            reasoning: drafted.reasoning,
            evidence,
            coverage: Some(uncited.coverage),
        },
        kept,
    }
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
        Ok(self.weighed(drafted.map_err(refused)?))
    }

    /// Finds what a draft's plan does not cover.
    fn weighed(&mut self, drafted: DraftOutput) -> Candidate {
        self.tokens.0 += drafted.tokens_sampled;
        self.tokens.1 += drafted.tokens_forced;
        if !drafted.reasoning.is_empty() {
            self.reasoning.clone_from(&drafted.reasoning);
        }
        let input = self.input;
        let made = make_plan(&input.prompt, &drafted.draft, self.studio, input.seed);
        Candidate {
            drafted,
            uncited: made.uncited,
        }
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
        let missed = &before.uncited.things;
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

    fn output(self, best: Candidate) -> DraftOutput {
        DraftOutput {
            tokens_sampled: self.tokens.0,
            tokens_forced: self.tokens.1,
            reasoning: self.reasoning,
            notes: self.notes,
            ..best.drafted
        }
    }
}
