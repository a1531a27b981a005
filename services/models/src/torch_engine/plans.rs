//! Drafts of several prompts at once.

use atelier_engine::{Control, EngineError, PlanInput};

use crate::planner::{Asking, DraftOutput, Planner, PlannerError};

/// A prompt and who is told about it.
pub type Asked<'a, 'b> = (&'a PlanInput, &'b mut dyn Control);

/// Drafts prompts side by side; says of each what came of it, in their order. It stops early only when nobody wants any of them any more.
pub fn draft(
    planner: &mut Planner,
    asked: &mut [Asked<'_, '_>],
) -> Vec<Result<DraftOutput, EngineError>> {
    let prompts: Vec<(&str, Asking<'_>)> = asked
        .iter()
        .map(|(input, _)| {
            let input: &PlanInput = input;
            let asking = Asking {
                seed: input.seed,
                pictures: &input.reference_names,
                ..Asking::default()
            };
            (input.prompt.as_str(), asking)
        })
        .collect();
    let mut passes = 0;
    let drafted = planner.draft_all(&prompts, &mut |_| {
        passes += 1;
        for (_, control) in asked.iter_mut() {
            control.progress(passes, 0, None);
        }
        asked.iter().any(|(_, control)| !control.canceled())
    });
    let canceled = |control: &dyn Control| control.canceled();
    match drafted {
        Ok(drafted) => asked
            .iter()
            .zip(drafted)
            .map(|((_, control), drafted)| match canceled(&**control) {
                true => Err(EngineError::Canceled),
                false => drafted.map_err(refused),
            })
            .collect(),
        Err(PlannerError::Canceled) => asked.iter().map(|_| Err(EngineError::Canceled)).collect(),
        Err(error) => {
            let failed = |_| Err(EngineError::Failed(error.to_string()));
            asked.iter().map(failed).collect()
        }
    }
}

/// Why there is no draft, as a worker has to know it.
pub fn refused(error: PlannerError) -> EngineError {
    match error {
        PlannerError::Canceled => EngineError::Canceled,
        PlannerError::NoWords => EngineError::Impossible(error.to_string()),
        other => EngineError::Failed(other.to_string()),
    }
}
