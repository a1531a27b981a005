//! Answers a plan's checks from what the detector saw. Closed questions only, and a small margin is `unknown`: critics also break good work.

mod geometry;
mod matching;

use atelier_engine::planning::mend;
use atelier_proto::{
    plan::{BBox, Check, Element, Plan, Question},
    review::{Answer, Review, Sighting, Verdict},
};

use super::detector::Detection;
use matching::Match;

/// Evidence (thing there x name right) from which a thing counts as found.
const FOUND: f32 = 0.5;
/// Evidence from which a thing may be there.
const MAYBE: f32 = 0.12;
/// Probability from which another colour or name is believed instead.
const BELIEVED: f32 = 0.8;
/// Probability under which the wanted colour or name is ruled out.
const RULED_OUT: f32 = 0.05;

/// What a critic must know beside the picture.
pub struct Words<'a> {
    /// The detector's name for a plan's noun; none when it knows no such thing.
    pub name_of: &'a dyn Fn(&Element) -> Option<String>,
    /// The same for a bare noun, as count checks have it.
    pub name_of_noun: &'a dyn Fn(&str) -> Option<String>,
    /// The detector's word for a colour; none when it knows no such colour.
    pub color_of: &'a dyn Fn(&str) -> Option<String>,
    /// Whether things of this name have this colour of their own.
    pub is_own_color: &'a dyn Fn(&str, &str) -> bool,
    /// The detector's word for a time of day; none when it knows no such light.
    pub time_of: &'a dyn Fn(&str) -> Option<String>,
    /// The time of day that the picture shows, with its probability.
    pub time: (&'a str, f32),
}

/// Answers every check of the plan, in its order.
pub fn review(plan: &Plan, things: &[Detection], words: &Words<'_>) -> Review {
    let names: Vec<Option<String>> = plan.elements.iter().map(words.name_of).collect();
    let matches = matching::assign(plan, &names, things);
    let critic = Critic {
        plan,
        things,
        names,
        matches,
        words,
    };
    let mut review = Review {
        verdicts: plan
            .checks
            .iter()
            .map(|check| critic.verdict(check))
            .collect(),
        seen: things
            .iter()
            .enumerate()
            .filter(|(_, thing)| thing.score >= FOUND)
            .map(|(index, thing)| Sighting {
                name: thing.name.clone(),
                color: thing.color.clone(),
                confidence: thing.score
                    * thing
                        .names
                        .first()
                        .map_or(0.0, |(_, probability)| *probability),
                bbox: thing.place(),
                element: critic.element_of(index),
            })
            .collect(),
        ..Review::default()
    };
    mend::advise(plan, &mut review);
    review
}

struct Critic<'a> {
    plan: &'a Plan,
    things: &'a [Detection],
    names: Vec<Option<String>>,
    matches: Vec<Match>,
    words: &'a Words<'a>,
}

/// An answer with what it rests on.
struct Finding {
    answer: Answer,
    confidence: f32,
    found: String,
    boxes: Vec<BBox>,
}

impl Finding {
    fn new(answer: Answer, confidence: f32, found: impl Into<String>) -> Self {
        Self {
            answer,
            confidence: confidence.clamp(0.0, 1.0),
            found: found.into(),
            boxes: Vec::new(),
        }
    }

    fn unknown(found: impl Into<String>) -> Self {
        Self::new(Answer::Unknown, 0.0, found)
    }

    fn at(mut self, boxes: impl IntoIterator<Item = BBox>) -> Self {
        self.boxes.extend(boxes);
        self
    }
}

impl Critic<'_> {
    fn verdict(&self, check: &Check) -> Verdict {
        let finding = match &check.question {
            Question::Presence { element } => self.presence(element),
            Question::Count { noun, expect } => self.count(noun, *expect),
            Question::Color { element, expect } => self.color(element, expect),
            Question::Position { element, expect } => self.position(element, expect),
            Question::Relation {
                subject,
                predicate,
                object,
            } => match (self.found(subject), self.found(object)) {
                (Some(a), Some(b)) => {
                    let (answer, confidence) =
                        geometry::relation(*predicate, &a.place(), &b.place());
                    Finding::new(answer, confidence, format!("{} and {}", a.name, b.name))
                        .at([a.place(), b.place()])
                }
                _ => Finding::unknown("one of the two was not found"),
            },
            Question::Light { expect } => self.light(expect),
            Question::Text { .. } => Finding::unknown("text is out of this critic's reach"),
        };
        Verdict {
            check: check.id.clone(),
            answer: finding.answer,
            confidence: finding.confidence,
            found: finding.found,
            boxes: finding.boxes,
        }
    }

    fn index(&self, element: &str) -> Option<usize> {
        self.plan
            .elements
            .iter()
            .position(|known| known.id == element)
    }

    /// Id of the element that a thing was matched with, if any.
    fn element_of(&self, thing: usize) -> Option<String> {
        let own = self
            .matches
            .iter()
            .position(|found| found.thing == Some(thing));
        own.map(|index| self.plan.elements[index].id.clone())
    }

    /// What an element was matched with, if anything.
    fn found(&self, element: &str) -> Option<&Detection> {
        self.matches[self.index(element)?]
            .thing
            .map(|index| &self.things[index])
    }

    fn presence(&self, element: &str) -> Finding {
        let Some(index) = self.index(element) else {
            return Finding::unknown("no such element");
        };
        let Some(name) = &self.names[index] else {
            let found = format!(
                "{} is not a thing that this critic knows",
                self.plan.elements[index].noun
            );
            return Finding::unknown(found).at(self.found(element).map(Detection::place));
        };
        let Match {
            thing, evidence, ..
        } = self.matches[index];
        if let Some(thing) = thing.map(|thing| &self.things[thing]) {
            let answer = if evidence >= FOUND {
                Answer::Pass
            } else {
                Answer::Unknown
            };
            return Finding::new(answer, evidence, thing.name.clone()).at([thing.place()]);
        }
        let best = self
            .things
            .iter()
            .map(|thing| thing.score * thing.likelihood(name))
            .fold(0.0, f32::max);
        let free = matching::free(&self.matches, self.things.len());
        // Nothing free that could be it: what stands in its place is something else for sure, or nothing stands there.
        let doubtful = free.map(|index| &self.things[index]).any(|thing| {
            let sure_of_other = thing
                .names
                .first()
                .is_some_and(|(_, probability)| *probability >= BELIEVED)
                && thing.likelihood(name) < RULED_OUT;
            thing.score >= MAYBE && !sure_of_other
        });
        if doubtful {
            Finding::new(Answer::Unknown, best, "something that may be it")
        } else {
            Finding::new(Answer::Fail, 1.0 - best, "nothing of the kind")
        }
    }

    fn count(&self, noun: &str, expect: u32) -> Finding {
        let Some(name) = (self.words.name_of_noun)(noun) else {
            return Finding::unknown(format!("{noun} is not a thing that this critic knows"));
        };
        let evidence = |thing: &Detection| thing.score * thing.likelihood(&name);
        let sure: Vec<&Detection> = self
            .things
            .iter()
            .filter(|thing| evidence(thing) >= FOUND)
            .collect();
        let maybe = self
            .things
            .iter()
            .filter(|thing| {
                evidence(thing) < FOUND
                    && (evidence(thing) >= MAYBE
                        || (thing.score >= FOUND
                            && thing.names.first().is_none_or(|(_, p)| *p < 0.4)))
            })
            .count() as u32;
        let least = sure.len() as u32;
        let answer = if maybe == 0 && least == expect {
            Answer::Pass
        } else if expect < least || expect > least + maybe {
            Answer::Fail
        } else {
            Answer::Unknown
        };
        let confidence = sure.iter().map(|thing| evidence(thing)).fold(1.0, f32::min);
        let found = if maybe > 0 {
            format!("{least} to {} x {name}", least + maybe)
        } else {
            format!("{least} x {name}")
        };
        Finding::new(
            answer,
            if answer == Answer::Unknown {
                0.0
            } else {
                confidence
            },
            found,
        )
        .at(sure.iter().map(|thing| thing.place()))
    }

    fn color(&self, element: &str, expect: &str) -> Finding {
        let Some(wanted) = (self.words.color_of)(expect) else {
            return Finding::unknown(format!("{expect} is not a colour that this critic knows"));
        };
        let Some(thing) = self.found(element) else {
            return Finding::unknown("the thing was not found");
        };
        let of = |color: &str| {
            thing
                .colors
                .iter()
                .find(|(known, _)| known == color)
                .map_or(0.0, |(_, p)| *p)
        };
        let found = thing
            .color
            .clone()
            .unwrap_or_else(|| "as it comes".to_owned());
        // A tomato that nobody painted is red all the same.
        let own = thing.color.is_none() && (self.words.is_own_color)(&thing.name, &wanted);
        let (answer, confidence) = if own || of(&wanted) >= FOUND {
            (
                Answer::Pass,
                of(&wanted).max(if own { thing.color_score } else { 0.0 }),
            )
        } else if thing.color_score >= BELIEVED && of(&wanted) < RULED_OUT {
            (Answer::Fail, thing.color_score)
        } else {
            (Answer::Unknown, of(&wanted))
        };
        Finding::new(answer, confidence, found).at([thing.place()])
    }

    fn light(&self, expect: &str) -> Finding {
        let Some(wanted) = (self.words.time_of)(expect) else {
            return Finding::unknown(format!("{expect} is not a light that this critic knows"));
        };
        let (found, probability) = self.words.time;
        let answer = if found == wanted && probability >= FOUND {
            Answer::Pass
        } else if found != wanted && probability > 1.0 - RULED_OUT {
            Answer::Fail
        } else {
            Answer::Unknown
        };
        Finding::new(answer, probability, found)
    }

    fn position(&self, element: &str, expect: &BBox) -> Finding {
        let Some(thing) = self.found(element) else {
            return Finding::unknown("the thing was not found");
        };
        let (answer, confidence) = geometry::position(&thing.place(), expect);
        let (x, y) = thing.place().center();
        Finding::new(
            answer,
            confidence * thing.score,
            format!("{} at {x:.2}, {y:.2}", thing.name),
        )
        .at([thing.place()])
    }
}

#[cfg(test)]
mod tests;
