//! What a critique found: every check with its answer.

use std::fmt::Write as _;

use atelier_proto::{
    plan::Plan,
    review::{Answer, Review},
};

use super::text::Esc;
use crate::words::{asked, line};

pub fn tell(out: &mut String, review: &Review, plan: Option<&Plan>) {
    let score = review.score();
    let _ = writeln!(
        out,
        "<p>{} right, {} wrong, {} undecided</p>",
        score.pass, score.fail, score.unknown
    );
    if review.verdicts.is_empty() {
        return;
    }
    let _ = writeln!(
        out,
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Checks\"><table class=\"checks\">\n<thead><tr>\
         <th scope=\"col\">Answer</th><th scope=\"col\">Check</th><th scope=\"col\">Found</th><th scope=\"col\">Sure</th></tr></thead>\n<tbody>"
    );
    for verdict in &review.verdicts {
        let (class, mark, word) = match verdict.answer {
            Answer::Pass => ("good", "\u{2713}", "yes"),
            Answer::Fail => ("wrong", "\u{2717}", "no"),
            Answer::Unknown => ("open", "?", "undecided"),
        };
        let _ = writeln!(
            out,
            "<tr><td class=\"{class}\"><span aria-hidden=\"true\">{mark}</span> {word}</td><td>{}</td><td>{}</td><td>{:.0} %</td></tr>",
            Esc(&asked(plan, &verdict.check)),
            Esc(&line(&verdict.found)),
            verdict.confidence * 100.0
        );
    }
    let _ = writeln!(out, "</tbody>\n</table></div>");
}
