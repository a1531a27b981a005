//! Answers a plan's checks from what the detector saw, as sure as its calibration says. Closed questions only, and a small margin is `unknown`: critics
//! also break good work.

mod geometry;
mod matching;

use atelier_engine::planning::mend;
use atelier_proto::{
    plan::{BBox, Check, Element, Plan, Question},
    review::{Answer, Review, Sighting, Verdict},
};

use super::detector::{Calibration, Detection};
use matching::Match;

/// Probability from which what is asked for is said to be so: an error here costs the picture.
const SO: f32 = 0.8;
/// Probability up to which it is said not to be so: an error here costs a repainted box, since only what passes more checks replaces a picture.
const NOT_SO: f32 = 0.6;
/// Probability of a thing, whatever it is, from which one is seen.
const FOUND: f32 = 0.5;
/// Probability up to which there is not one more of a kind than was asked for.
const FAINT: f32 = 0.25;
/// Probability from which another light is believed.
const OTHER_LIGHT: f32 = 0.95;

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
    /// How sure the detector's evidence makes.
    pub calibration: Calibration,
}

/// Answers every check of the plan, in its order.
pub fn review(plan: &Plan, things: &[Detection], words: &Words<'_>) -> Review {
    let names: Vec<Option<String>> = plan.elements.iter().map(words.name_of).collect();
    let matches = matching::assign(plan, &names, things, &words.calibration.presence);
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
            .filter(|(index, thing)| thing.score >= FOUND || critic.owner(*index).is_some())
            .map(|(index, thing)| Sighting {
                name: thing.name.clone(),
                color: thing.color.clone(),
                confidence: thing.score
                    * thing
                        .names
                        .first()
                        .map_or(0.0, |(_, probability)| *probability),
                bbox: thing.place(),
                element: (critic.owner(index)).map(|owner| plan.elements[owner].id.clone()),
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

    /// By the probability that what is asked for is so. The confidence of an answer is its own probability, that of none the question's.
    fn of(likely: f32, found: impl Into<String>) -> Self {
        if likely >= SO {
            Self::new(Answer::Pass, likely, found)
        } else if likely <= NOT_SO {
            Self::new(Answer::Fail, 1.0 - likely, found)
        } else {
            Self::new(Answer::Unknown, likely, found)
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

    /// The element that a thing was matched with, if any.
    fn owner(&self, thing: usize) -> Option<usize> {
        self.matches
            .iter()
            .position(|found| found.thing == Some(thing))
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
        let Match { thing, likely } = self.matches[index];
        if let Some(thing) = thing.map(|thing| &self.things[thing]) {
            return Finding::of(likely, thing.name.clone()).at([thing.place()]);
        }
        // The likeliest of what no other element has was not likely enough to be it.
        let best = matching::free(&self.matches, self.things.len())
            .map(|index| self.likely(index, name))
            .fold(self.words.calibration.presence.likely(0.0), f32::max);
        Finding::new(Answer::Fail, 1.0 - best, "nothing of the kind")
    }

    /// Probability that a found thing is a `name`.
    fn likely(&self, thing: usize, name: &str) -> f32 {
        let evidence = self.things[thing].evidence(name);
        self.words.calibration.presence.likely(evidence)
    }

    fn count(&self, noun: &str, expect: u32) -> Finding {
        let Some(name) = (self.words.name_of_noun)(noun) else {
            return Finding::unknown(format!("{noun} is not a thing that this critic knows"));
        };
        let (mut sure, mut maybe) = (Vec::new(), 0);
        for (index, thing) in self.things.iter().enumerate() {
            // How likely it is, from where on it counts, and up to where not.
            let (likely, so, not_so) = match self.owner(index).map(|owner| &self.names[owner]) {
                Some(Some(own)) if *own == name => (self.likely(index, &name), SO, NOT_SO),
                // What was found to be another element's is none of these.
                Some(_) => continue,
                // Nobody asked for it, so that evidence is worth no more than it says.
                None => (thing.evidence(&name), FOUND, FAINT),
            };
            if likely >= so {
                sure.push((index, likely));
            } else if likely > not_so {
                maybe += 1;
            }
        }
        let least = sure.len() as u32;
        let answer = if maybe == 0 && least == expect {
            Answer::Pass
        } else if expect < least || expect > least + maybe {
            Answer::Fail
        } else {
            Answer::Unknown
        };
        let confidence = match answer {
            Answer::Unknown => 0.0,
            _ => sure.iter().map(|one| one.1).fold(1.0, f32::min),
        };
        let found = if maybe > 0 {
            format!("{least} to {} x {name}", least + maybe)
        } else {
            format!("{least} x {name}")
        };
        Finding::new(answer, confidence, found)
            .at(sure.iter().map(|(thing, _)| self.things[*thing].place()))
    }

    fn color(&self, element: &str, expect: &str) -> Finding {
        let Some(wanted) = (self.words.color_of)(expect) else {
            return Finding::unknown(format!("{expect} is not a colour that this critic knows"));
        };
        let Some(thing) = self.found(element) else {
            return Finding::unknown("the thing was not found");
        };
        let painted = |color: &String| (thing.colors.iter()).find(|(known, _)| known == color);
        let mut evidence = painted(&wanted).map_or(0.0, |(_, probability)| *probability);
        let name = self
            .index(element)
            .and_then(|index| self.names[index].as_ref());
        // A tomato that nobody painted is red all the same.
        if (self.words.is_own_color)(name.unwrap_or(&thing.name), &wanted) {
            let any: f32 = thing
                .colors
                .iter()
                .map(|(_, probability)| probability)
                .sum();
            evidence += (1.0 - any).max(0.0);
        }
        let likely = self.words.calibration.color.likely(evidence);
        let found = thing.color.clone();
        Finding::of(likely, found.unwrap_or_else(|| "as it comes".to_owned())).at([thing.place()])
    }

    fn light(&self, expect: &str) -> Finding {
        let Some(wanted) = (self.words.time_of)(expect) else {
            return Finding::unknown(format!("{expect} is not a light that this critic knows"));
        };
        let (found, probability) = self.words.time;
        let answer = if found == wanted && probability >= FOUND {
            Answer::Pass
        } else if found != wanted && probability > OTHER_LIGHT {
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
