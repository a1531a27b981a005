//! How right the critic's answers are: true and false plans about scenes whose truth is known.

use std::{fmt, sync::Arc};

use atelier_models::{
    critic::DetectorCritic,
    props::{
        PropLibrary,
        vocabulary::{Color, TimeOfDay},
    },
};
use atelier_proto::{
    plan::{BBox, Check, Element, Plan, Predicate, Question},
    review::Answer,
};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::sample::{Sample, Truth};

/// Counts of answers: pass, fail, unknown.
type Counts = [u32; 3];

/// Answers by kind of check, about true and about false claims.
#[derive(Default)]
pub struct Answered {
    kinds: Vec<(&'static str, Counts, Counts)>,
}

impl Answered {
    /// Asks about one sample: what is so, and what is not.
    pub fn add(
        &mut self,
        critic: &DetectorCritic,
        sample: &Sample,
        names: &[String],
        rng: &mut ChaCha8Rng,
    ) {
        for truth in [true, false] {
            let plan = claims(sample, names, truth, rng);
            let review = critic.review(&plan, &sample.picture);
            for (check, verdict) in plan.checks.iter().zip(&review.verdicts) {
                self.count(check.question.kind(), truth, verdict.answer);
            }
        }
    }

    fn count(&mut self, kind: &'static str, truth: bool, answer: Answer) {
        if !self.kinds.iter().any(|(known, ..)| *known == kind) {
            self.kinds.push((kind, [0; 3], [0; 3]));
        }
        let slot = match answer {
            Answer::Pass => 0,
            Answer::Fail => 1,
            Answer::Unknown => 2,
        };
        for (known, right, wrong) in &mut self.kinds {
            if *known == kind {
                if truth {
                    right[slot] += 1
                } else {
                    wrong[slot] += 1
                }
            }
        }
    }
}

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, right, wrong) in &self.kinds {
            let share = |counts: &Counts| {
                let all = f64::from(counts.iter().sum::<u32>().max(1));
                counts.map(|count| 100.0 * f64::from(count) / all)
            };
            let ([a, b, c], [d, e, g]) = (share(right), share(wrong));
            writeln!(
                f,
                "{kind}: true claims pass {a:.1} fail {b:.1} unknown {c:.1} %; false claims pass {d:.1} fail {e:.1} unknown {g:.1} %"
            )?;
        }
        Ok(())
    }
}

/// A plan whose checks about the sample all hold, or none does.
fn claims(sample: &Sample, names: &[String], truth: bool, rng: &mut ChaCha8Rng) -> Plan {
    let mut plan = Plan::direct("a scene");
    let present = |name: usize| {
        sample
            .things
            .iter()
            .filter(|thing| thing.name == name)
            .count()
    };
    for (index, thing) in sample.things.iter().enumerate() {
        let id = format!("e{index}");
        let mut name = thing.name;
        while !truth && present(name) > 0 {
            name = rng.random_range(0..names.len());
        }
        plan.elements.push(element(&id, &names[thing.name], thing));
        plan.elements
            .push(element(&format!("{id}-claimed"), &names[name], thing));
        let mut ask = |question| {
            plan.checks.push(Check {
                id: format!("k{}", plan.checks.len()),
                question,
            })
        };
        ask(Question::Presence {
            element: if truth {
                id.clone()
            } else {
                format!("{id}-claimed")
            },
        });
        let number = present(thing.name) as u32;
        ask(Question::Count {
            noun: names[thing.name].clone(),
            expect: if truth { number } else { number + 1 },
        });
        if let Some(color) = thing.color {
            let other = Color::ALL
                [(color as usize + rng.random_range(1..Color::ALL.len())) % Color::ALL.len()];
            ask(Question::Color {
                element: id.clone(),
                expect: if truth { color } else { other }.name().to_owned(),
            });
        }
        let [x0, y0, x1, y1] = thing.bbox;
        // The picture's other half, when it is clearly elsewhere.
        let shift = if x0 + x1 > 1.0 { -0.5 } else { 0.5 };
        let expect = BBox(if truth {
            thing.bbox
        } else {
            [(x0 + shift).max(0.0), y0, (x1 + shift).min(1.0), y1]
        });
        if truth || present(thing.name) == 1 {
            ask(Question::Position {
                element: id,
                expect,
            });
        }
    }
    if truth {
        // Doubles are only for false claims: as a second owner of each thing they would take the other's.
        plan.elements
            .retain(|element| !element.id.ends_with("-claimed"));
    } else {
        plan.elements
            .sort_by_key(|element| element.id.ends_with("-claimed"));
    }
    let other = TimeOfDay::ALL[(sample.time as usize + 1) % TimeOfDay::ALL.len()];
    plan.checks.push(Check {
        id: "light".into(),
        question: Question::Light {
            expect: if truth { sample.time } else { other }.name().to_owned(),
        },
    });
    if let [a, b, ..] = sample.things.as_slice() {
        let (ax, bx) = (a.bbox[0] + a.bbox[2], b.bbox[0] + b.bbox[2]);
        if (ax - bx).abs() > 0.3 && present(a.name) == 1 && present(b.name) == 1 {
            let predicate = if (ax < bx) == truth {
                Predicate::LeftOf
            } else {
                Predicate::RightOf
            };
            plan.checks.push(Check {
                id: "relation".into(),
                question: Question::Relation {
                    subject: "e0".into(),
                    predicate,
                    object: "e1".into(),
                },
            });
        }
    }
    plan
}

fn element(id: &str, noun: &str, thing: &Truth) -> Element {
    Element {
        id: id.to_owned(),
        noun: noun.to_owned(),
        count: 1,
        attributes: Vec::new(),
        colors: Vec::new(),
        bbox: Some(BBox(thing.bbox)),
        reference: Some(format!("props/{noun}")),
    }
}

/// A critic over the shipped props.
pub fn critic(
    detector: atelier_models::critic::detector::Detector,
    props: &std::path::Path,
) -> anyhow::Result<DetectorCritic> {
    Ok(DetectorCritic::of(
        detector,
        Arc::new(PropLibrary::open(props)?),
    ))
}
