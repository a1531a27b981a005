//! Colours, all of them: few, and each with one meaning.

use anstyle::{AnsiColor, Style};
use atelier_proto::http::RequestState;

const WRONG: Style = AnsiColor::Red.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const STOPPED: Style = AnsiColor::Yellow.on_default();
const RUNNING: Style = AnsiColor::Cyan.on_default();

fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// What failed.
pub fn wrong(text: &str) -> String {
    paint(WRONG, text)
}

/// What is as it should be.
pub fn good(text: &str) -> String {
    paint(GOOD, text)
}

/// Headings.
pub fn bold(text: &str) -> String {
    paint(Style::new().bold(), text)
}

/// What matters less.
pub fn dim(text: &str) -> String {
    paint(Style::new().dimmed(), text)
}

/// The word for a state, in its colour.
pub fn state(state: RequestState) -> String {
    let style = match state {
        RequestState::Active => RUNNING,
        RequestState::Succeeded => GOOD,
        RequestState::Failed => WRONG,
        RequestState::Canceled => STOPPED,
    };
    paint(style, state.as_str())
}
