//! A critic that reads questions: Qwen3-VL's probability of yes for each check, and a detector's eye for counts and places where there is one.

use std::path::Path;

use atelier_engine::planning::mend;
use atelier_proto::{
    plan::{BBox, Check, Plan, Question},
    review::{Answer, Review, Verdict},
};
use image::RgbImage;
use tch::Device;

use super::{
    questions::question,
    qwen3_vl::{Belief, Qwen3Vl, Qwen3VlError},
};

/// Share of yes from which a check passes; as far below one half it fails, and between the two nobody knows. Critics also break good work.
/// A default, as is the next one: neither was measured on published weights.
const BELIEVED: f32 = 0.7;
/// Probability of yes and no together under which the model would rather say something else.
const CERTAIN: f32 = 0.5;
/// Largest answer in words, in characters.
const MOST_WORDS: usize = 120;

/// Looks at pictures and answers plans' checks about them.
pub struct ReadingCritic {
    model: Qwen3Vl,
}

impl ReadingCritic {
    /// Loads a Qwen3-VL folder.
    pub fn load(dir: &Path, device: Device) -> Result<Self, Qwen3VlError> {
        Qwen3Vl::load(dir, device).map(|model| Self { model })
    }

    /// Answers every check of the plan about a picture, in its order. `seen` is what a detector answered: it stands for counts and places where
    /// it could tell, and everywhere where the model cannot. Before the picture is read, and before it is asked about, `goes_on` says whether the
    /// answers are still wanted; there are none when they are not.
    pub fn review(
        &self,
        plan: &Plan,
        picture: &RgbImage,
        seen: Option<Review>,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<Option<Review>, Qwen3VlError> {
        let mut review = seen.unwrap_or_else(|| unanswered(plan));
        let mut asked = Vec::new();
        for (index, check) in plan.checks.iter().enumerate() {
            let told = review
                .verdicts
                .get(index)
                .is_some_and(|verdict| verdict.answer != Answer::Unknown);
            if !(told && is_measured(&check.question))
                && let Some(question) = question(plan, check)
            {
                asked.push((index, question));
            }
        }
        if asked.is_empty() {
            return Ok(Some(review));
        }
        if !goes_on() {
            return Ok(None);
        }
        let look = self.model.look(picture)?;
        if !goes_on() {
            return Ok(None);
        }
        let questions: Vec<&str> = asked
            .iter()
            .map(|(_, question)| question.as_str())
            .collect();
        let beliefs = self.model.ask(&look, &questions)?;
        for ((index, question), belief) in asked.iter().zip(beliefs) {
            if let Some(verdict) = review.verdicts.get_mut(*index) {
                let place = place(plan, &plan.checks[*index]);
                believe(verdict, question, belief, place);
            }
        }
        // It may have found other checks failed than the detector.
        mend::advise(plan, &mut review);
        Ok(Some(review))
    }
}

/// What a detector measures better than a model that reads.
const fn is_measured(question: &Question) -> bool {
    matches!(
        question,
        Question::Count { .. } | Question::Position { .. } | Question::Relation { .. }
    )
}

fn unanswered(plan: &Plan) -> Review {
    let verdict = |check: &Check| Verdict {
        check: check.id.clone(),
        answer: Answer::Unknown,
        confidence: 0.0,
        found: "not asked".into(),
        boxes: Vec::new(),
    };
    Review {
        verdicts: plan.checks.iter().map(verdict).collect(),
        ..Review::default()
    }
}

/// Where the plan has what a check asks of; a model that reads says nothing of places.
fn place(plan: &Plan, check: &Check) -> Option<BBox> {
    match &check.question {
        Question::Presence { element } | Question::Color { element, .. } => {
            plan.element(element)?.bbox
        }
        Question::Position { expect, .. } => Some(*expect),
        Question::Relation { subject, .. } => plan.element(subject)?.bbox,
        Question::Count { .. } | Question::Light { .. } | Question::Text { .. } => None,
    }
}

/// Puts a belief into a verdict, with its `place` where no detector found one. A belief that is no answer leaves a detector's as it is.
fn believe(verdict: &mut Verdict, question: &str, belief: Belief, place: Option<BBox>) {
    let answer = answer(belief);
    if answer == Answer::Unknown && verdict.answer != Answer::Unknown {
        return;
    }
    let share = belief.yes.max(1.0 - belief.yes);
    verdict.answer = answer;
    verdict.confidence = (share * belief.certain).clamp(0.0, 1.0);
    if verdict.boxes.is_empty() {
        verdict.boxes.extend(place);
    }
    let asked: String = question.chars().take(MOST_WORDS).collect();
    verdict.found = format!("{:.0} % yes: {asked}", belief.yes * 100.0);
}

/// Yes, no, or too close to call.
pub fn answer(belief: Belief) -> Answer {
    if belief.certain < CERTAIN {
        Answer::Unknown
    } else if belief.yes >= BELIEVED {
        Answer::Pass
    } else if belief.yes <= 1.0 - BELIEVED {
        Answer::Fail
    } else {
        Answer::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_margin_is_unknown_not_no() {
        let of = |yes, certain| answer(Belief { yes, certain });
        assert_eq!(of(0.9, 0.99), Answer::Pass);
        assert_eq!(of(0.05, 0.99), Answer::Fail);
        for yes in [0.35, 0.5, 0.65] {
            assert_eq!(of(yes, 0.99), Answer::Unknown, "{yes}");
        }
        // It would rather say something else.
        assert_eq!(of(0.99, 0.1), Answer::Unknown);
        assert_eq!(of(0.01, 0.1), Answer::Unknown);
    }

    #[test]
    fn a_doubt_leaves_what_a_detector_saw() {
        let mut verdict = Verdict {
            check: "k1".into(),
            answer: Answer::Pass,
            confidence: 0.8,
            found: "cat".into(),
            boxes: Vec::new(),
        };
        let before = verdict.clone();
        let planned = BBox([0.1, 0.4, 0.5, 0.9]);
        let mut told = |yes| {
            let belief = Belief { yes, certain: 1.0 };
            believe(&mut verdict, "Is there a cat?", belief, Some(planned));
            verdict.clone()
        };
        assert_eq!(told(0.5), before);
        let verdict = told(0.1);
        assert_eq!(verdict.boxes, [planned]);
        // What a detector found is where it is.
        let found = vec![BBox([0.0, 0.0, 0.2, 0.2])];
        let mut seen = Verdict {
            boxes: found.clone(),
            ..before
        };
        let belief = Belief {
            yes: 0.1,
            certain: 1.0,
        };
        believe(&mut seen, "Is there a cat?", belief, Some(planned));
        assert_eq!(seen.boxes, found);
        assert_eq!(verdict.answer, Answer::Fail);
        assert_eq!(verdict.found, "10 % yes: Is there a cat?");
        assert!((verdict.confidence - 0.9).abs() < 1e-6);
    }
}
