//! What makes a plan valid: ids resolve, the stage graph is acyclic with one sink, boxes are inside, sizes are bounded.

use std::collections::{HashMap, HashSet};

use super::{BBox, Mask, PLAN_VERSION, Plan, Question, StageOp, sent_picture};

/// Most elements a plan may have.
pub const MAX_ELEMENTS: usize = 16;
/// Most stages a plan may have.
pub const MAX_STAGES: usize = 8;
/// Most checks a plan may have.
pub const MAX_CHECKS: usize = 64;
/// Most relations a plan may have.
pub const MAX_RELATIONS: usize = 32;
/// Longest text field, in bytes.
pub const MAX_TEXT: usize = 4_000;
/// Longest id, in bytes.
pub const MAX_ID: usize = 64;

/// Why a plan cannot be carried out.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// The schema version is not ours.
    #[error("plan version {0} is not {PLAN_VERSION}")]
    Version(u32),
    /// Too many of something.
    #[error("{count} {what}, at most {limit} are allowed")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A text is too long.
    #[error("{what} has {bytes} bytes, at most {limit} are allowed")]
    TooLong {
        /// Which text.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// Letters, digits, `-`, `_` and `.` only, not empty.
    #[error(
        "{what} id {id:?} is empty or has other characters than letters, digits, '-', '_' and '.'"
    )]
    BadId {
        /// Of what.
        what: &'static str,
        /// The id.
        id: String,
    },
    /// Two of a kind share an id.
    #[error("{what} id {id:?} is used twice")]
    Duplicate {
        /// Of what.
        what: &'static str,
        /// The id.
        id: String,
    },
    /// Something names what does not exist.
    #[error("{from} names {what} {id:?}, which does not exist")]
    Unresolved {
        /// What refers.
        from: String,
        /// Kind of the target.
        what: &'static str,
        /// The missing id.
        id: String,
    },
    /// A box is degenerate or leaves the picture.
    #[error("box {bbox:?} of {of} is empty or not inside 0..1")]
    BadBox {
        /// Whose box.
        of: String,
        /// The box.
        bbox: [f32; 4],
    },
    /// A number is out of its range.
    #[error("{what} of {of} is {value}, which is not within {range}")]
    OutOfRange {
        /// What.
        what: &'static str,
        /// Whose.
        of: String,
        /// The value.
        value: f32,
        /// The range in words.
        range: &'static str,
    },
    /// The stages read each other in a circle.
    #[error("the stages form a cycle")]
    Cycle,
    /// Not exactly one stage is the result.
    #[error("{0} stages are read by no other, exactly one must be the result")]
    Sinks(usize),
    /// A blend needs two pictures.
    #[error("blend {stage:?} has {count} inputs, it takes exactly two different ones")]
    BlendInputs {
        /// The stage.
        stage: String,
        /// How many it names.
        count: usize,
    },
}

impl Plan {
    /// Checks every rule; a job is made only of a plan that passes.
    pub fn validate(&self) -> Result<(), PlanError> {
        if self.version != PLAN_VERSION {
            return Err(PlanError::Version(self.version));
        }
        self.check_sizes()?;
        self.check_elements()?;
        self.check_questions()?;
        self.check_stages()
    }

    fn check_sizes(&self) -> Result<(), PlanError> {
        at_most("elements", self.elements.len(), MAX_ELEMENTS)?;
        at_most("stages", self.stages.len(), MAX_STAGES)?;
        at_most("checks", self.checks.len(), MAX_CHECKS)?;
        at_most("relations", self.relations.len(), MAX_RELATIONS)?;
        let texts = [
            ("reasoning", &self.reasoning),
            ("caption", &self.caption),
            ("style", &self.style),
            ("lighting", &self.lighting),
            ("background", &self.background),
        ];
        texts
            .into_iter()
            .try_for_each(|(what, text)| text_fits(what, text))
    }

    fn check_elements(&self) -> Result<(), PlanError> {
        unique(
            "element",
            self.elements.iter().map(|element| element.id.as_str()),
        )?;
        for element in &self.elements {
            text_fits("noun", &element.noun)?;
            if !(1..=16).contains(&element.count) {
                return Err(PlanError::OutOfRange {
                    what: "count",
                    of: element.id.clone(),
                    value: element.count as f32,
                    range: "1..=16",
                });
            }
            at_most("attributes", element.attributes.len(), 16)?;
            at_most("colors", element.colors.len(), 8)?;
            element
                .attributes
                .iter()
                .try_for_each(|text| text_fits("attribute", text))?;
            element
                .colors
                .iter()
                .try_for_each(|text| text_fits("color", text))?;
            if let Some(bbox) = element.bbox {
                inside(&element.id, bbox)?;
            }
            if let Some(reference) = &element.reference {
                text_fits("reference", reference)?;
                let named = reference
                    .strip_prefix("props/")
                    .or_else(|| reference.strip_prefix("refs/"));
                if named.is_none_or(str::is_empty) {
                    return Err(PlanError::Unresolved {
                        from: format!("element {:?}", element.id),
                        what: "reference (props/NAME or refs/NAME)",
                        id: reference.clone(),
                    });
                }
            }
        }
        for relation in &self.relations {
            for id in [&relation.subject, &relation.object] {
                self.resolve_element("a relation", id)?;
            }
        }
        Ok(())
    }

    fn check_questions(&self) -> Result<(), PlanError> {
        unique("check", self.checks.iter().map(|check| check.id.as_str()))?;
        for check in &self.checks {
            let from = format!("check {:?}", check.id);
            match &check.question {
                Question::Presence { element } => self.resolve_element(&from, element)?,
                Question::Count { noun, .. } => text_fits("noun", noun)?,
                Question::Color { element, expect } => {
                    self.resolve_element(&from, element)?;
                    text_fits("color", expect)?;
                }
                Question::Position { element, expect } => {
                    self.resolve_element(&from, element)?;
                    inside(&check.id, *expect)?;
                }
                Question::Relation {
                    subject, object, ..
                } => {
                    self.resolve_element(&from, subject)?;
                    self.resolve_element(&from, object)?;
                }
                Question::Light { expect } => text_fits("expected light", expect)?,
                Question::Text { expect } => text_fits("expected text", expect)?,
            }
        }
        Ok(())
    }

    fn check_stages(&self) -> Result<(), PlanError> {
        unique("stage", self.stages.iter().map(|stage| stage.id.as_str()))?;
        for stage in &self.stages {
            for input in stage.op.reads() {
                let sent = sent_picture(input);
                let sent = sent.is_some_and(|name| (1..=MAX_ID).contains(&name.len()));
                if !sent && self.stage(input).is_none() {
                    return Err(PlanError::Unresolved {
                        from: format!("stage {:?}", stage.id),
                        what: "stage",
                        id: input.to_owned(),
                    });
                }
            }
            check_op(&stage.id, &stage.op)?;
        }
        self.check_acyclic()?;
        let read: HashSet<&str> = self
            .stages
            .iter()
            .flat_map(|stage| stage.op.inputs())
            .collect();
        match self
            .stages
            .iter()
            .filter(|stage| !read.contains(stage.id.as_str()))
            .count()
        {
            1 => Ok(()),
            sinks => Err(PlanError::Sinks(sinks)),
        }
    }

    /// Kahn's algorithm: every stage must become free once the stages it reads are.
    fn check_acyclic(&self) -> Result<(), PlanError> {
        let mut waiting: HashMap<&str, Vec<&str>> = self
            .stages
            .iter()
            .map(|stage| (stage.id.as_str(), stage.op.inputs()))
            .collect();
        while !waiting.is_empty() {
            let free: Vec<&str> = waiting
                .iter()
                .filter(|(_, inputs)| inputs.iter().all(|input| !waiting.contains_key(input)))
                .map(|(&id, _)| id)
                .collect();
            if free.is_empty() {
                return Err(PlanError::Cycle);
            }
            for id in free {
                waiting.remove(id);
            }
        }
        Ok(())
    }

    fn resolve_element(&self, from: &str, id: &str) -> Result<(), PlanError> {
        match self.element(id) {
            Some(_) => Ok(()),
            None => Err(PlanError::Unresolved {
                from: from.to_owned(),
                what: "element",
                id: id.to_owned(),
            }),
        }
    }
}

fn check_op(stage: &str, op: &StageOp) -> Result<(), PlanError> {
    let within = |what, value: f32, low: f32, high: f32, range| {
        if value.is_finite() && (low..=high).contains(&value) {
            Ok(())
        } else {
            Err(PlanError::OutOfRange {
                what,
                of: stage.to_owned(),
                value,
                range,
            })
        }
    };
    match op {
        StageOp::Generate { caption } => text_fits("caption", caption),
        StageOp::Edit {
            instruction,
            strength,
            ..
        } => {
            text_fits("instruction", instruction)?;
            within("strength", *strength, 0.0, 1.0, "0..=1")
        }
        StageOp::Blend { inputs, mask } => {
            if inputs.len() != 2 || inputs[0] == inputs[1] {
                return Err(PlanError::BlendInputs {
                    stage: stage.to_owned(),
                    count: inputs.len(),
                });
            }
            let Mask::Linear { angle, from, to } = mask;
            within("mask angle", *angle, -360.0, 360.0, "-360..=360")?;
            within("mask from", *from, 0.0, 1.0, "0..=1")?;
            within("mask to", *to, *from, 1.0, "from..=1")
        }
        StageOp::Repair {
            bbox, instruction, ..
        } => {
            text_fits("instruction", instruction)?;
            inside(stage, *bbox)
        }
    }
}

fn at_most(what: &'static str, count: usize, limit: usize) -> Result<(), PlanError> {
    if count > limit {
        Err(PlanError::TooMany { what, count, limit })
    } else {
        Ok(())
    }
}

fn text_fits(what: &'static str, text: &str) -> Result<(), PlanError> {
    if text.len() > MAX_TEXT {
        return Err(PlanError::TooLong {
            what,
            bytes: text.len(),
            limit: MAX_TEXT,
        });
    }
    Ok(())
}

fn inside(of: &str, bbox: BBox) -> Result<(), PlanError> {
    if bbox.is_inside() {
        Ok(())
    } else {
        Err(PlanError::BadBox {
            of: of.to_owned(),
            bbox: bbox.0,
        })
    }
}

fn unique<'a>(what: &'static str, ids: impl Iterator<Item = &'a str>) -> Result<(), PlanError> {
    let mut seen = HashSet::new();
    for id in ids {
        let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        if id.is_empty() || id.len() > MAX_ID || !id.chars().all(plain) {
            return Err(PlanError::BadId {
                what,
                id: id.chars().take(MAX_ID).collect(),
            });
        }
        if !seen.insert(id) {
            return Err(PlanError::Duplicate {
                what,
                id: id.to_owned(),
            });
        }
    }
    Ok(())
}
