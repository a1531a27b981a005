//! From a plan and what was found in its picture to the boxes that would mend it: the difference of wanted and found layout, in pure code.
//!
//! What is right is kept. A missing thing is added in its box, of a counted noun's surplus the weakest that is no element's is erased, a thing in
//! the wrong place is erased there and added where it belongs, and one in the wrong colour is painted anew where it is. A picture in the wrong
//! light is edited as a whole. Only failed checks lead to a fix; the light comes first, since boxes are painted in it, then those that the
//! critic was surest of.

mod contradiction;
mod part;
mod sentence;

use super::stages;
use atelier_proto::{
    plan::{BBox, Element, MAX_ELEMENTS, Plan, Predicate, Question, Stage, StageOp},
    review::{Answer, Fix, FixKind, MAX_FIXES, Review, Sighting, Verdict},
};

use super::caption::of_element;
pub use contradiction::contradictory;
use part::part_under;
pub use sentence::findings;

/// Room around an erased thing, in sides of the picture: found boxes are tight.
const AROUND: f32 = 0.02;
/// Distance between a thing's centre and where the plan wants it, from which it is out of its place.
const OUT_OF_PLACE: f32 = 0.1;
/// Overlap from which a wanted thing stands in the box of one that is erased.
const SAME_PLACE: f32 = 0.5;
/// How many times larger than planned a missing thing is added where there is room, the largest first: in the same box it comes out as vague as
/// it was.
const LARGER: [f32; 3] = [1.4, 1.25, 1.1];
/// What another light changes.
const WHOLE: BBox = BBox([0.0, 0.0, 1.0, 1.0]);

/// Adds to a review what would mend the picture, what is wrong in words, and which of it nothing can mend.
pub fn advise(plan: &Plan, review: &mut Review) {
    review.fixes = fixes(plan, review);
    review.findings = findings(plan, review);
    review.contradictory = contradictory(plan, review);
}

/// What would make failed checks pass.
pub fn fixes(plan: &Plan, review: &Review) -> Vec<Fix> {
    let mut diff = Diff {
        plan,
        seen: &review.seen,
        changes: Vec::new(),
    };
    let mut failed: Vec<(&Question, &Verdict)> = review
        .verdicts
        .iter()
        .filter(|verdict| verdict.answer == Answer::Fail)
        .filter_map(|verdict| {
            let check = plan.checks.iter().find(|check| check.id == verdict.check)?;
            Some((&check.question, verdict))
        })
        .collect();
    // Stable: of equal confidence, the plan's order.
    failed.sort_by(|a, b| b.1.confidence.total_cmp(&a.1.confidence));
    for (question, verdict) in failed {
        diff.answer(question, &verdict.check);
    }
    let mut fixes = Vec::new();
    let light = |change: &&Change| matches!(change.what, What::Relight(_));
    let (first, others): (Vec<&Change>, Vec<&Change>) = diff.changes.iter().partition(light);
    for change in first.into_iter().chain(others) {
        let made = diff.carry_out(change);
        if fixes.len() + made.len() <= MAX_FIXES {
            fixes.extend(made);
        }
    }
    fixes
}

/// The plan with one more stage, which carries out `fix` on the picture that was the result. Only what the box shall show is left in it, in the
/// words of the part of the picture that it lies in.
pub fn with_fix(plan: &Plan, stage: &str, fix: &Fix) -> Plan {
    let part = part_under(plan, &fix.bbox);
    let mut plan = plan.clone();
    let input = plan.sink().map(|sink| sink.id.clone()).unwrap_or_default();
    if fix.kind == FixKind::Relight {
        let relit = stages::relit(stage, &input, &fix.instruction);
        plan.stages.push(relit);
        return plan;
    }
    if let Some(part) = part {
        (plan.caption, plan.background, plan.lighting) =
            (part.caption, part.background, part.lighting);
    }
    plan.stages.push(Stage {
        id: stage.to_owned(),
        op: StageOp::Repair {
            input,
            bbox: fix.bbox,
            instruction: fix.instruction.clone(),
        },
    });
    let own = |element: &Element| Some(&element.id) == fix.element.as_ref();
    match fix.kind {
        FixKind::Add | FixKind::Recolor | FixKind::Relight => {
            for element in plan.elements.iter_mut().filter(|element| own(element)) {
                element.bbox = Some(fix.bbox);
            }
        }
        FixKind::Erase => {
            let there = |element: &Element| {
                let overlap = element.bbox.map_or(0.0, |bbox| bbox.iou(&fix.bbox));
                own(element) || overlap >= SAME_PLACE
            };
            plan.elements.retain(|element| !there(element));
            let ids: Vec<String> = plan.elements.iter().map(|one| one.id.clone()).collect();
            let known = |id: &String| ids.contains(id);
            plan.relations
                .retain(|relation| known(&relation.subject) && known(&relation.object));
            // They are about the whole picture, and some about what is not there any more.
            plan.checks.clear();
            plan.caption.clone_from(&fix.instruction);
        }
    }
    plan
}

/// One difference between wanted and found.
#[derive(Clone, Debug, PartialEq)]
struct Change {
    what: What,
    /// Failed checks that it would make pass.
    checks: Vec<String>,
}

/// Elements and sightings are named by their places in plan and review.
#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    Add(usize),
    Erase(usize),
    Move {
        element: usize,
        from: usize,
    },
    /// Where it was found, or in its own box where nobody looked for places.
    Recolor {
        element: usize,
        at: Option<usize>,
    },
    /// The check that asks for the light, by its place in the plan.
    Relight(usize),
}

struct Diff<'a> {
    plan: &'a Plan,
    seen: &'a [Sighting],
    changes: Vec<Change>,
}

impl Diff<'_> {
    fn answer(&mut self, question: &Question, check: &str) {
        match question {
            Question::Presence { element } => {
                if let Some(element) = self.missing(element) {
                    self.change(What::Add(element), check);
                }
            }
            Question::Count { noun, expect } => self.count(noun, *expect as usize, check),
            Question::Color { element, .. } => {
                let at = self.sighting_of(element);
                if let Some(element) = self.element(element)
                    && (at.is_some() || self.seen.is_empty())
                {
                    self.change(What::Recolor { element, at }, check);
                }
            }
            Question::Position { element, .. } => {
                if let Some((element, from)) = self.found(element) {
                    self.change(What::Move { element, from }, check);
                }
            }
            Question::Relation {
                subject,
                object,
                predicate,
            } => self.relation(subject, *predicate, object, check),
            Question::Light { .. } => {
                let asked = self.plan.checks.iter().position(|one| one.id == check);
                if let Some(asked) = asked {
                    self.change(What::Relight(asked), check);
                }
            }
            // No box says where the text is.
            Question::Text { .. } => {}
        }
    }

    fn element(&self, id: &str) -> Option<usize> {
        self.plan.elements.iter().position(|one| one.id == id)
    }

    fn sighting_of(&self, id: &str) -> Option<usize> {
        let own = |seen: &Sighting| seen.element.as_deref() == Some(id);
        self.seen.iter().position(own)
    }

    /// An element that was found, and what was found.
    fn found(&self, id: &str) -> Option<(usize, usize)> {
        Some((self.element(id)?, self.sighting_of(id)?))
    }

    /// An element that was not found and has a place to be added in.
    fn missing(&self, id: &str) -> Option<usize> {
        let element = self.element(id)?;
        let placed = self.plan.elements[element].bbox.is_some();
        (placed && self.sighting_of(id).is_none()).then_some(element)
    }

    fn count(&mut self, noun: &str, expect: usize, check: &str) {
        let called: Vec<usize> = (0..self.seen.len())
            .filter(|index| self.is_called(*index, noun))
            .collect();
        let missing: Vec<usize> = (0..self.plan.elements.len())
            .filter(|index| self.plan.elements[*index].noun == noun)
            .filter(|index| self.missing(&self.plan.elements[*index].id).is_some())
            .take(expect.saturating_sub(called.len()))
            .collect();
        for element in missing {
            self.change(What::Add(element), check);
        }
        let mut surplus: Vec<usize> = called
            .iter()
            .copied()
            .filter(|index| self.seen[*index].element.is_none())
            .collect();
        let sureness = |index: &usize| self.seen[*index].confidence;
        surplus.sort_by(|a, b| sureness(a).total_cmp(&sureness(b)));
        for index in surplus
            .into_iter()
            .take(called.len().saturating_sub(expect))
        {
            self.change(What::Erase(index), check);
        }
    }

    /// Whether a sighting is one of `noun`: by its element, or by a name that the noun's elements have.
    fn is_called(&self, index: usize, noun: &str) -> bool {
        let seen = &self.seen[index];
        let own = |element: &&Element| element.noun == noun;
        if let Some(id) = &seen.element {
            return self
                .plan
                .elements
                .iter()
                .filter(own)
                .any(|one| one.id == *id);
        }
        let named = |element: &Element| {
            let prop = element.reference.as_deref();
            let prop = prop.and_then(|name| name.strip_prefix("props/"));
            let found = self.sighting_of(&element.id);
            prop == Some(seen.name.as_str())
                || found.is_some_and(|found| self.seen[found].name == seen.name)
        };
        seen.name == noun || self.plan.elements.iter().filter(own).any(named)
    }

    /// Of two things that stand wrongly to each other, the one moves that is farther from where the plan wants it.
    fn relation(&mut self, subject: &str, predicate: Predicate, object: &str, check: &str) {
        // Depth does not show in boxes.
        if matches!(predicate, Predicate::Behind | Predicate::InFrontOf) {
            return;
        }
        let astray = [subject, object].into_iter().filter_map(|id| {
            let (element, from) = self.found(id)?;
            let (wanted, found) = (self.plan.elements[element].bbox?, self.seen[from].bbox);
            let ((ax, ay), (bx, by)) = (wanted.center(), found.center());
            Some(((ax - bx).hypot(ay - by), element, from))
        });
        let farthest = astray.max_by(|a, b| a.0.total_cmp(&b.0));
        if let Some((distance, element, from)) = farthest
            && distance >= OUT_OF_PLACE
        {
            self.change(What::Move { element, from }, check);
        }
    }

    /// Remembers a change. One thing is changed once: what is moved is painted anew, in its own colour.
    fn change(&mut self, what: What, check: &str) {
        if let What::Move { element, .. } = what
            && self.plan.elements[element].bbox.is_none()
        {
            return;
        }
        let same = |other: &What| match (*other, what) {
            (
                What::Move { element: a, .. } | What::Recolor { element: a, .. },
                What::Move { element: b, .. },
            )
            | (What::Move { element: a, .. }, What::Recolor { element: b, .. }) => a == b,
            (other, what) => other == what,
        };
        if let Some(known) = self.changes.iter_mut().find(|known| same(&known.what)) {
            if matches!(what, What::Move { .. }) {
                known.what = what;
            }
            if !known.checks.iter().any(|known| known == check) {
                known.checks.push(check.to_owned());
            }
            return;
        }
        let checks = vec![check.to_owned()];
        self.changes.push(Change { what, checks });
    }

    /// The box of a missing element, as much larger as leaves everything else that is wanted or was found as free of it as it was.
    fn roomy(&self, index: usize, bbox: &BBox) -> BBox {
        let others = (self.plan.elements.iter().enumerate())
            .filter(|(at, _)| *at != index)
            .filter_map(|(_, other)| other.bbox);
        let found = (self.seen.iter())
            .filter(|seen| seen.element.is_some())
            .map(|seen| seen.bbox);
        let taken: Vec<BBox> = others.chain(found).collect();
        let free = |larger: &BBox| {
            let apart = |other: &BBox| other.iou(bbox) > 0.0 || other.iou(larger) == 0.0;
            larger.is_inside() && part_under(self.plan, larger).is_some() && taken.iter().all(apart)
        };
        let mut larger = LARGER.iter().map(|times| larger(bbox, *times));
        larger.find(free).unwrap_or(*bbox)
    }

    /// The boxes of a change; those of a move belong together.
    fn carry_out(&self, change: &Change) -> Vec<Fix> {
        let element = |index: usize| &self.plan.elements[index];
        let draw = |kind, index: usize, bbox: BBox| Fix {
            kind,
            element: Some(element(index).id.clone()),
            noun: short(&element(index).noun),
            bbox,
            instruction: short(&of_element(element(index))),
            checks: change.checks.clone(),
        };
        let erase = |at: usize, of: Option<usize>| {
            let bbox = widened(&self.seen[at].bbox);
            let part = part_under(self.plan, &bbox);
            let background = part.map_or_else(String::new, |part| part.background);
            Fix {
                kind: FixKind::Erase,
                element: of.map(|index| element(index).id.clone()),
                noun: short(&self.seen[at].name),
                bbox,
                instruction: short(&nothing_but(&background)),
                checks: change.checks.clone(),
            }
        };
        let fixes: Vec<Fix> = match change.what {
            What::Add(index) => {
                let bbox = element(index).bbox;
                bbox.map(|bbox| draw(FixKind::Add, index, self.roomy(index, &bbox)))
                    .into_iter()
                    .collect()
            }
            What::Erase(at) => vec![erase(at, None)],
            What::Move {
                element: index,
                from,
            } => match element(index).bbox {
                Some(to) => vec![erase(from, Some(index)), draw(FixKind::Add, index, to)],
                None => Vec::new(),
            },
            What::Recolor { element: index, at } => {
                let found = at.map(|at| inside(&self.seen[at].bbox));
                let bbox = found.or(element(index).bbox);
                bbox.map(|bbox| draw(FixKind::Recolor, index, bbox))
                    .into_iter()
                    .collect()
            }
            What::Relight(asked) => match self.plan.checks.get(asked).map(|one| &one.question) {
                Some(Question::Light { expect }) => vec![Fix {
                    kind: FixKind::Relight,
                    element: None,
                    noun: "light".into(),
                    bbox: WHOLE,
                    instruction: short(&stages::relighting(&self.plan.background, expect)),
                    checks: change.checks.clone(),
                }],
                _ => Vec::new(),
            },
        };
        // A box without any size cannot be painted, nor one in two lights; the other half of a move alone would leave two things or none.
        let paintable = |fix: &Fix| {
            let lit = fix.kind == FixKind::Relight || part_under(self.plan, &fix.bbox).is_some();
            fix.bbox.is_inside() && lit
        };
        if fixes.iter().all(paintable) {
            fixes
        } else {
            Vec::new()
        }
    }
}

fn nothing_but(background: &str) -> String {
    match background {
        "" => "the background, and nothing else".into(),
        background => format!("{background}, and nothing else"),
    }
}

fn short(text: &str) -> String {
    let most = atelier_proto::review::MAX_FIX_BYTES;
    text[..text.floor_char_boundary(most)].to_owned()
}

fn inside(bbox: &BBox) -> BBox {
    BBox(bbox.0.map(|edge| edge.clamp(0.0, 1.0)))
}

/// The box, so many times as wide and as high about its centre.
fn larger(bbox: &BBox, times: f32) -> BBox {
    let [x0, y0, x1, y1] = bbox.0;
    let (wider, higher) = (
        (x1 - x0) * (times - 1.0) / 2.0,
        (y1 - y0) * (times - 1.0) / 2.0,
    );
    BBox([x0 - wider, y0 - higher, x1 + wider, y1 + higher])
}

fn widened(bbox: &BBox) -> BBox {
    let [x0, y0, x1, y1] = bbox.0;
    inside(&BBox([x0 - AROUND, y0 - AROUND, x1 + AROUND, y1 + AROUND]))
}

const _: () = assert!(MAX_ELEMENTS <= MAX_FIXES);

#[cfg(test)]
mod tests;
