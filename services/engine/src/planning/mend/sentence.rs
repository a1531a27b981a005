//! What is wrong with a picture, in sentences for whoever plans it again.

use atelier_proto::{
    plan::{Plan, Question},
    review::{Answer, MAX_FINDING_BYTES, MAX_FINDINGS, Review, Verdict},
};

/// One sentence for each failed check, as many as a planner reads.
pub fn findings(plan: &Plan, review: &Review) -> Vec<String> {
    let failed = review
        .verdicts
        .iter()
        .filter(|verdict| verdict.answer == Answer::Fail);
    let sentences = failed.filter_map(|verdict| {
        let check = plan.checks.iter().find(|check| check.id == verdict.check)?;
        Some(sentence(plan, &check.question, verdict))
    });
    sentences.take(MAX_FINDINGS).collect()
}

fn sentence(plan: &Plan, question: &Question, verdict: &Verdict) -> String {
    let noun = |id: &str| {
        plan.element(id)
            .map_or(id, |element| &element.noun)
            .to_owned()
    };
    let wanted = match question {
        Question::Presence { element } => format!("{} was not found", noun(element)),
        Question::Count { noun, expect } => format!("there shall be {expect} x {noun}"),
        Question::Color { element, expect } => format!("{} shall be {expect}", noun(element)),
        Question::Position { element, .. } => format!("{} is not in its place", noun(element)),
        Question::Relation {
            subject,
            predicate,
            object,
        } => format!(
            "{} is not {} {}",
            noun(subject),
            predicate.words(),
            noun(object)
        ),
        Question::Light { expect } => format!("it shall be {expect}"),
        Question::Text { expect } => format!("the text {expect:?} is not there"),
    };
    let mut sentence = format!("{wanted} (found: {})", verdict.found);
    sentence.truncate(sentence.floor_char_boundary(MAX_FINDING_BYTES));
    sentence
}
