//! What the farm's words are called on the page.

use atelier_proto::{
    http::{JobView, RequestState, RequestView},
    job::JobKind,
    plan::{BBox, Plan, Question},
    review::Score,
};
use maud::{Markup, html};

/// A state as a mark with its word.
pub fn state(state: RequestState) -> Markup {
    let word = match state {
        RequestState::Active => "in the works",
        RequestState::Succeeded => "done",
        RequestState::Failed => "failed",
        RequestState::Canceled => "stopped",
    };
    html! { span class=(format!("state {}", state.as_str())) { (word) } }
}

/// How many checks passed.
pub fn score(score: &Score) -> Option<String> {
    let Score {
        pass,
        fail,
        unknown,
    } = *score;
    let all = pass + fail + unknown;
    (all > 0).then(|| format!("{pass} of {all} checks passed"))
}

/// A time (RFC 3339), which the script turns into how long ago it was.
pub fn time(rfc3339: &str) -> Markup {
    // As in 2026-11-28T09:17:00Z.
    let shown = match (rfc3339.get(..10), rfc3339.get(11..16)) {
        (Some(day), Some(minute)) => format!("{day} {minute} UTC"),
        _ => rfc3339.to_owned(),
    };
    html! { time datetime=(rfc3339) { (shown) } }
}

/// What is being done, for somebody who waits.
pub fn doing(view: &RequestView) -> String {
    let round = match view.round {
        0 | 1 => String::new(),
        round => format!(", round {round}"),
    };
    match view.state {
        RequestState::Succeeded => view
            .score
            .as_ref()
            .and_then(score)
            .map_or_else(|| "Done".into(), |score| format!("Done: {score}")),
        RequestState::Failed => "Failed".into(),
        RequestState::Canceled => "Stopped".into(),
        RequestState::Active if !view.waiting_for.is_empty() => {
            let kinds: Vec<&str> = view.waiting_for.iter().map(|kind| role(*kind)).collect();
            format!("Waits for a worker that can {}", kinds.join(" and "))
        }
        RequestState::Active => match open_job(view) {
            Some(job) if job.state != "dispatched" => format!("Waits for its turn{round}"),
            Some(job) => format!("{}{round}", doing_kind(job.kind)),
            None => "In the works".into(),
        },
    }
}

fn open_job(view: &RequestView) -> Option<&JobView> {
    let in_state = |state: &str| view.jobs.iter().find(|job| job.state == state);
    in_state("dispatched").or_else(|| in_state("ready"))
}

fn doing_kind(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Plan => "Planning",
        JobKind::Render => "Drawing",
        JobKind::Critique => "Checking",
    }
}

/// What somebody with this role can do.
pub fn role(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Plan => "plan",
        JobKind::Render => "draw",
        JobKind::Critique => "check",
    }
}

/// Milliseconds as people say them.
pub fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{:.1} s", ms as f64 / 1_000.0),
        _ => format!("{} min {} s", ms / 60_000, ms / 1_000 % 60),
    }
}

/// A check as a question.
pub fn question(plan: &Plan, question: &Question) -> String {
    let noun = |id: &str| {
        plan.element(id)
            .map_or_else(|| id.to_owned(), |element| element.noun.clone())
    };
    match question {
        Question::Presence { element } => {
            let noun = noun(element);
            format!("Is there {} {noun}?", article(&noun))
        }
        Question::Count { noun, expect } => format!("Is the number of {noun} {expect}?"),
        Question::Color { element, expect } => format!("Is the {} {expect}?", noun(element)),
        Question::Position { element, expect } => {
            format!("Is the {} {}?", noun(element), place(expect))
        }
        Question::Relation {
            subject,
            predicate: how,
            object,
        } => format!(
            "Is the {} {} the {}?",
            noun(subject),
            how.words(),
            noun(object)
        ),
        Question::Light { expect } => format!("Is it {expect}?"),
        Question::Text { expect } => format!("Does it say \u{201c}{expect}\u{201d}?"),
    }
}

/// By the first letter, which is right often enough.
fn article(noun: &str) -> &'static str {
    let vowel = noun.starts_with(['a', 'e', 'i', 'o', 'u', 'A', 'E', 'I', 'O', 'U']);
    if vowel { "an" } else { "a" }
}

/// Where the middle of a box is.
fn place(bbox: &BBox) -> &'static str {
    let third = |at: f32| match at {
        at if at < 0.37 => 0,
        at if at > 0.63 => 2,
        _ => 1,
    };
    let (x, y) = bbox.center();
    match (third(x), third(y)) {
        (0, 0) => "at the top left",
        (1, 0) => "at the top",
        (2, 0) => "at the top right",
        (0, 1) => "on the left",
        (2, 1) => "on the right",
        (0, 2) => "at the bottom left",
        (1, 2) => "at the bottom",
        (2, 2) => "at the bottom right",
        _ => "in the middle",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_places_are_said_as_people_do() {
        assert_eq!(
            time("2026-11-28T09:17:03.5Z").0,
            "<time datetime=\"2026-11-28T09:17:03.5Z\">2026-11-28 09:17 UTC</time>"
        );
        assert_eq!(time("soon").0, "<time datetime=\"soon\">soon</time>");
        assert_eq!(
            [duration(7), duration(1_500), duration(61_000)],
            ["7 ms", "1.5 s", "1 min 1 s"]
        );
        assert_eq!(place(&BBox([0.0, 0.0, 0.3, 0.3])), "at the top left");
        assert_eq!(place(&BBox([0.4, 0.4, 0.6, 0.6])), "in the middle");
    }

    #[test]
    fn nothing_is_said_of_checks_that_there_are_not() {
        assert_eq!(score(&Score::default()), None);
        let two = Score {
            pass: 1,
            fail: 1,
            unknown: 0,
        };
        assert_eq!(score(&two).as_deref(), Some("1 of 2 checks passed"));
    }
}
