//! From a prompt to a draft with a language model that writes under a grammar.
//!
//! [`words`] says what a prompt can mean, [`schema`] makes the grammar of its drafts, [`tokens`] turns that into allowed and forced tokens,
//! [`Planner`] runs the decoder.

mod dialog;
mod drafting;
pub mod grammar;
mod prompt;
mod prompts;
mod reasoning;
pub mod schema;
pub mod tokens;
pub mod words;
mod writing;

pub use dialog::Dialog;
pub use drafting::{Asking, DraftOutput, Planner, PlannerError};
pub use prompt::readable;
pub use schema::{Binding, draft_schema, schema_naming};
pub use words::PromptWords;

use crate::props::vocabulary::{Background, Color, TimeOfDay};

/// What a word of a prompt is called in plans: `golden` is `yellow`, `sunny` is `day`, `seaside` is `beach`.
pub fn means(word: &str) -> Option<String> {
    let time = TimeOfDay::ALL
        .iter()
        .find(|one| one.words().contains(&word));
    let place = Background::ALL
        .iter()
        .find(|one| one.words().contains(&word));
    let other = time
        .map(|one| one.name())
        .or_else(|| place.map(|one| one.name()));
    color_of(word).or_else(|| other.map(str::to_owned))
}

/// What is behind things of some colours where a prompt names nothing. The plain ground is light: what is white is lost on it.
pub fn ground(colors: &[&str]) -> &'static str {
    let has = |wanted| {
        colors
            .iter()
            .any(|color| Color::find(color) == Some(wanted))
    };
    let ground = match (has(Color::White), has(Color::Green)) {
        (false, _) => Background::Plain,
        (true, false) => Background::Grass,
        (true, true) => Background::Desert,
    };
    ground.name()
}

/// The colour that a word of a prompt names: `golden` is `yellow`.
pub fn color_of(word: &str) -> Option<String> {
    let color = Color::ALL.iter().find(|one| one.words().contains(&word))?;
    Some(color.name().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_things_do_not_stand_on_a_white_ground() {
        assert_eq!(ground(&["red", "green"]), "plain");
        assert_eq!(ground(&["red", "white"]), "grass");
        assert_eq!(ground(&["ivory", "emerald"]), "desert");
        assert_eq!(ground(&[]), "plain");
    }
}
