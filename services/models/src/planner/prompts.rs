//! What models are told that were not taught to draft, one file a family: instructions, and examples as turns of a dialog.

/// Between parts of a file.
const USER: &str = "\n## user\n";
const ANSWER: &str = "\n## answer\n";

/// Before the names of the pictures that the user sent, behind the prompt.
pub const PICTURES: &str = "There are pictures of: ";

/// Instructions with examples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptFile {
    pub instructions: &'static str,
    /// What is asked, and the draft that answers it.
    pub examples: Vec<(&'static str, &'static str)>,
}

/// For models that think between `<think>` and `</think>`.
pub fn qwen3() -> PromptFile {
    PromptFile::read(include_str!("prompts/qwen3.md"))
}

/// For other models that write dialogs in this form, SmolLM2 without an adapter for example.
pub fn smollm2() -> PromptFile {
    PromptFile::read(include_str!("prompts/smollm2.md"))
}

impl PromptFile {
    /// Takes a file apart; what has no answer is no example.
    fn read(text: &'static str) -> Self {
        let mut parts = text.split(USER);
        let instructions = parts.next().unwrap_or_default().trim();
        let examples = parts.filter_map(|part| {
            let (asked, answer) = part.split_once(ANSWER)?;
            Some((asked.trim(), answer.trim()))
        });
        Self {
            instructions,
            examples: examples.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use atelier_engine::planning::{Draft, Studio, make_plan};

    use super::*;
    use crate::planner::{Binding, PromptWords, draft_schema};

    #[test]
    fn every_example_is_what_the_grammar_accepts_and_misses_nothing() {
        for file in [qwen3(), smollm2()] {
            assert!(file.instructions.len() > 50 && file.examples.len() >= 2);
            let told = file
                .examples
                .iter()
                .filter(|(asked, _)| asked.contains(PICTURES));
            assert_eq!(told.count(), 1);
            for (asked, answer) in file.examples {
                let names: Vec<String> = match asked.split_once(PICTURES) {
                    Some((_, names)) => names.split(", ").map(str::to_owned).collect(),
                    None => Vec::new(),
                };
                let (asked, _) = asked.split_once('\n').unwrap_or((asked, ""));
                let schema = draft_schema(&PromptWords::read(asked), Binding::Prompt).unwrap();
                let mut state = schema.start();
                assert!(
                    state.advance_all(answer.as_bytes()) && state.is_complete(),
                    "{answer}"
                );
                let draft: Draft = serde_json::from_str(answer).unwrap();
                let studio = Studio {
                    reference_names: &names,
                    prop_of: &|_| None,
                    stand_in: &|_| None,
                    means: &|word| crate::planner::means(word),
                    color_of: &|word| crate::planner::color_of(word),
                    ground: &crate::planner::ground,
                };
                let made = make_plan(asked, &draft, &studio, 1);
                assert_eq!(made.plan.validate(), Ok(()));
                assert_eq!(made.uncited.things, Vec::<String>::new(), "{asked}");
                for name in &names {
                    let used = Some(format!("refs/{name}"));
                    assert!(made.plan.elements.iter().any(|one| one.reference == used));
                }
            }
        }
    }
}
