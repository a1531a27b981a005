//! What the farm's words are called on the page.

use atelier_proto::{
    http::{JobView, RequestState, RequestView},
    job::JobKind,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_as_people_do() {
        assert_eq!(
            time("2026-11-28T09:17:03.5Z").0,
            "<time datetime=\"2026-11-28T09:17:03.5Z\">2026-11-28 09:17 UTC</time>"
        );
        assert_eq!(time("soon").0, "<time datetime=\"soon\">soon</time>");
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
