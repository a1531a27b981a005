//! How right the critic's answers are about what the farm draws: pictures as they were asked for and spoilt ones, and how often it is right when it says
//! how sure it is.

use std::fmt::{self, Write as _};

use atelier_models::{critic::DetectorCritic, props::vocabulary::Color};
use atelier_proto::{
    plan::{BBox, Check, Plan, Question},
    review::{Answer, Verdict},
};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::{
    drawn::{Deed, Drawn, Shown, ShownThing},
    draws,
};

/// Bins of a table of reliability.
const BINS: usize = 10;

/// An answer of the critic with what is so.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    /// Kind of the check.
    pub kind: &'static str,
    /// Whether what is asked for is so.
    pub so: bool,
    /// The critic's answer.
    pub answer: Answer,
    /// Its probability that it is so; none of kinds of which it tells none.
    pub likely: Option<f32>,
    /// What it found, in words.
    pub found: String,
}

/// Answers about one picture.
#[derive(Clone, Debug, Serialize)]
pub struct Looked {
    /// What was done to it.
    pub deed: Option<Deed>,
    /// To each check whose truth is known.
    pub answers: Vec<Told>,
}

impl Looked {
    /// Asks the critic about a picture what was asked of the renderer.
    pub fn at(critic: &DetectorCritic, drawn: &Drawn) -> Self {
        Self::asked(critic, drawn, &drawn.asked())
    }

    /// Asks for what nobody asked the renderer for: other kinds of things in the places of those that are shown, then those in other colours.
    pub fn misled(
        critic: &DetectorCritic,
        drawn: &Drawn,
        names: &[String],
        rng: &mut ChaCha8Rng,
    ) -> [Self; 2] {
        let asking = |change: &mut dyn FnMut(&mut ShownThing)| {
            let mut asked = Shown {
                asked: None,
                ..drawn.shown.clone()
            };
            asked.things.iter_mut().for_each(change);
            asked
        };
        let renamed = asking(&mut |thing| {
            while drawn.shown.things.iter().any(|one| one.name == thing.name) {
                thing
                    .name
                    .clone_from(&names[rng.random_range(0..names.len())]);
            }
        });
        let recolored = asking(&mut |thing| {
            let others = Color::ALL.map(Color::name).into_iter().filter(|other| {
                thing.color.as_deref() != Some(*other) && !critic.is_own_color(&thing.name, other)
            });
            let others: Vec<&str> = others.collect();
            thing.color = Some(others[rng.random_range(0..others.len())].to_owned());
        });
        [renamed, recolored].map(|asked| Self::asked(critic, drawn, &asked))
    }

    fn asked(critic: &DetectorCritic, drawn: &Drawn, asked: &Shown) -> Self {
        let (plan, so) = questions(asked, &drawn.shown);
        let review = critic.review(&plan, &drawn.sample.picture);
        let told = plan.checks.iter().zip(&review.verdicts).zip(so);
        Self {
            deed: drawn.shown.asked.as_ref().map(|asked| asked.deed),
            answers: told
                .filter_map(|((check, verdict), so)| {
                    Some(Told {
                        kind: check.question.kind(),
                        so: so?,
                        answer: verdict.answer,
                        likely: likely(&check.question, verdict),
                        found: verdict.found.clone(),
                    })
                })
                .collect(),
        }
    }

    /// The answer to the whole picture: as wanted when nothing else was said of any check, not so when that was said of one.
    fn answer(&self) -> Answer {
        let any = |answer| self.answers.iter().any(|told| told.answer == answer);
        if any(Answer::Fail) {
            Answer::Fail
        } else if any(Answer::Unknown) {
            Answer::Unknown
        } else {
            Answer::Pass
        }
    }
}

/// The probability that a check holds, where the critic tells one.
fn likely(question: &Question, verdict: &Verdict) -> Option<f32> {
    let told = matches!(question, Question::Presence { .. } | Question::Color { .. });
    // Of a thing that was not found nothing is said.
    let said = verdict.answer != Answer::Unknown || verdict.confidence > 0.0;
    (told && said).then_some(match verdict.answer {
        Answer::Fail => 1.0 - verdict.confidence,
        Answer::Pass | Answer::Unknown => verdict.confidence,
    })
}

/// A plan of what was asked for, and of each of its checks whether it holds; none where nobody can say so.
pub fn questions(asked: &Shown, shown: &Shown) -> (Plan, Vec<Option<bool>>) {
    let mut plan = draws::plan(asked);
    let mut all: Vec<(Question, Option<bool>)> = Vec::new();
    let number = |of: &Shown, name: &str| of.things.iter().filter(|one| one.name == name).count();
    for (index, thing) in asked.things.iter().enumerate() {
        let element = format!("e{index}");
        let name = thing.name.as_str();
        let here = shown.things.iter().find(|one| is_in_place(one, thing));
        let enough = number(shown, name) >= number(asked, name);
        // The one of that name that stands elsewhere.
        let moved = || {
            let other = |one: &&ShownThing| {
                one.name == name && !asked.things.iter().any(|asked| is_in_place(one, asked))
            };
            shown.things.iter().find(other).filter(|_| enough)
        };
        let there = here.or_else(moved);
        let presence = Question::Presence {
            element: element.clone(),
        };
        all.push((presence, Some(there.is_some())));
        let count = Question::Count {
            noun: thing.name.clone(),
            expect: number(asked, name) as u32,
        };
        if !all.iter().any(|(known, _)| *known == count) {
            all.push((count, Some(number(shown, name) == number(asked, name))));
        }
        if let Some(expect) = &thing.color {
            let so = there.map(|there| there.color.as_ref() == Some(expect));
            let color = Question::Color {
                element: element.clone(),
                expect: expect.clone(),
            };
            all.push((color, so));
        }
        let position = Question::Position {
            element,
            expect: BBox(thing.bbox),
        };
        all.push((position, there.map(|_| here.is_some())));
    }
    let light = Question::Light {
        expect: asked.time.clone(),
    };
    all.push((light, Some(asked.time == shown.time)));
    let mut so = Vec::with_capacity(all.len());
    for (index, (question, holds)) in all.into_iter().enumerate() {
        let id = format!("k{index}");
        plan.checks.push(Check { id, question });
        so.push(holds);
    }
    (plan, so)
}

/// Whether what is shown is the thing that is asked for, whatever its colour.
fn is_in_place(shown: &ShownThing, asked: &ShownThing) -> bool {
    shown.name == asked.name && shown.bbox == asked.bbox
}

/// Answers in a table: by kind of check, by what was done to the picture, and how often it is so when the critic says how likely it is.
pub struct Table<'a> {
    /// To what was asked of the renderer.
    pub asked: &'a [Looked],
    /// To what was not.
    pub misled: &'a [Looked],
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = || {
            let looked = self.asked.iter().chain(self.misled);
            looked.flat_map(|looked| &looked.answers)
        };
        for kind in ["presence", "count", "color", "position", "light"] {
            let of = |so: bool| {
                let answers = all().filter(|told| told.kind == kind && told.so == so);
                shares(answers.map(|told| told.answer))
            };
            writeln!(
                f,
                "{kind}: what is so {}; what is not so {}",
                of(true),
                of(false)
            )?;
        }
        let of = |deed: Option<Deed>| {
            let looked = self.asked.iter().filter(|looked| looked.deed == deed);
            shares(looked.map(Looked::answer))
        };
        writeln!(f, "pictures as asked for: {}", of(None))?;
        for deed in Deed::ALL {
            writeln!(
                f,
                "pictures with a thing {}: {}",
                deed.told(),
                of(Some(deed))
            )?;
        }
        for kind in ["presence", "color"] {
            let told: Vec<(f32, bool)> = all()
                .filter(|told| told.kind == kind)
                .filter_map(|told| Some((told.likely?, told.so)))
                .collect();
            writeln!(f, "{kind}, said to be so: is so: {}", reliability(&told))?;
        }
        Ok(())
    }
}

fn shares(answers: impl Iterator<Item = Answer>) -> String {
    let [mut pass, mut fail, mut unknown] = [0_u32; 3];
    for answer in answers {
        match answer {
            Answer::Pass => pass += 1,
            Answer::Fail => fail += 1,
            Answer::Unknown => unknown += 1,
        }
    }
    let all = pass + fail + unknown;
    let share = |part: u32| 100.0 * f64::from(part) / f64::from(all.max(1));
    format!(
        "pass {:.1} unknown {:.1} fail {:.1} % of {all}",
        share(pass),
        share(unknown),
        share(fail)
    )
}

/// Of each tenth of probabilities how often it was so; and the mean distance of both, weighted by how many there are.
fn reliability(told: &[(f32, bool)]) -> String {
    let mut bins = [(0_u32, 0.0_f64, 0_u32); BINS];
    for (likely, so) in told {
        let bin = &mut bins[((likely * BINS as f32) as usize).min(BINS - 1)];
        bin.0 += 1;
        bin.1 += f64::from(*likely);
        bin.2 += u32::from(*so);
    }
    let mut line = String::new();
    let mut distance = 0.0;
    for (number, sum, so) in bins.iter().filter(|bin| bin.0 > 0) {
        let (said, is) = (
            sum / f64::from(*number),
            f64::from(*so) / f64::from(*number),
        );
        distance += f64::from(*number) * (said - is).abs();
        let _ = write!(
            line,
            "{:.0}: {:.0} % of {number}, ",
            100.0 * said,
            100.0 * is
        );
    }
    let mean = 100.0 * distance / told.len().max(1) as f64;
    let _ = write!(line, "{mean:.1} apart in the mean");
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEFT: [f32; 4] = [0.0, 0.25, 0.5, 0.75];
    const RIGHT: [f32; 4] = [0.5, 0.25, 1.0, 0.75];

    fn shown(things: &[(&str, Option<&str>, [f32; 4])]) -> Shown {
        let thing = |(name, color, bbox): &(&str, Option<&str>, [f32; 4])| ShownThing {
            name: (*name).to_owned(),
            color: color.map(str::to_owned),
            bbox: *bbox,
        };
        Shown {
            background: "plain".into(),
            time: "day".into(),
            things: things.iter().map(thing).collect(),
            asked: None,
        }
    }

    /// What is so of each kind of check about the first thing.
    fn so(asked: &Shown, shown: &Shown) -> Vec<(&'static str, Option<bool>)> {
        let (plan, so) = questions(asked, shown);
        assert_eq!(plan.validate(), Ok(()));
        let kinds = plan.checks.iter().map(|check| check.question.kind());
        kinds.zip(so).collect()
    }

    #[test]
    fn what_was_done_to_a_picture_decides_what_is_so_of_it() {
        let asked = shown(&[("cat", Some("red"), LEFT)]);
        let of = |things: &[(&str, Option<&str>, [f32; 4])]| {
            let so = so(&asked, &shown(things));
            ["presence", "count", "color", "position", "light"].map(|kind| {
                let found = so.iter().find(|(known, _)| *known == kind);
                found.and_then(|(_, so)| *so)
            })
        };
        let (yes, no) = (Some(true), Some(false));
        let red = ("cat", Some("red"), LEFT);
        assert_eq!(of(&[red]), [yes; 5]);
        assert_eq!(of(&[]), [no, no, None, None, yes]);
        assert_eq!(of(&[("dog", None, LEFT)]), [no, no, None, None, yes]);
        assert_eq!(of(&[("cat", None, LEFT)]), [yes, yes, no, yes, yes]);
        let moved = ("cat", Some("red"), RIGHT);
        assert_eq!(of(&[moved]), [yes, yes, yes, no, yes]);
        assert_eq!(of(&[red, moved]), [yes, no, yes, yes, yes]);
        let dark = Shown {
            time: "night".into(),
            ..shown(&[red])
        };
        assert_eq!(so(&asked, &dark).last(), Some(&("light", no)));
    }

    #[test]
    fn one_of_two_alike_that_is_not_there_is_the_one_whose_place_is_empty() {
        let asked = shown(&[("cat", None, LEFT), ("cat", None, RIGHT)]);
        let so = so(&asked, &shown(&[("cat", None, RIGHT)]));
        let presence: Vec<_> = so.iter().filter(|(kind, _)| *kind == "presence").collect();
        assert_eq!(presence[0].1, Some(false));
        assert_eq!(presence[1].1, Some(true));
        // Both are asked for once.
        assert_eq!(so.iter().filter(|(kind, _)| *kind == "count").count(), 1);
    }

    #[test]
    fn reliability_is_told_by_tenths() {
        let told = [(0.95, true), (0.95, true), (0.05, false), (0.05, true)];
        assert_eq!(
            reliability(&told),
            "5: 50 % of 2, 95: 100 % of 2, 25.0 apart in the mean"
        );
    }
}
