//! Checks that ask for what cannot be true at once, whatever is drawn.

use atelier_proto::{
    plan::{Check, Plan, Predicate, Question},
    review::{Answer, Review},
};

/// Ids of failed checks that contradict another check of the plan, in the plan's order.
pub fn contradictory(plan: &Plan, review: &Review) -> Vec<String> {
    let failed = |check: &&Check| {
        let fails = |verdict: &&atelier_proto::review::Verdict| verdict.answer == Answer::Fail;
        let mut verdicts = review.verdicts.iter().filter(fails);
        verdicts.any(|verdict| verdict.check == check.id)
    };
    plan.checks
        .iter()
        .filter(failed)
        .filter(|check| {
            let others = plan.checks.iter().filter(|other| other.id != check.id);
            let mut others = others.map(|other| &other.question);
            others.any(|other| contradict(plan, &check.question, other))
                || asks_for_too_many(plan, &check.question)
        })
        .map(|check| check.id.clone())
        .collect()
}

fn contradict(plan: &Plan, one: &Question, other: &Question) -> bool {
    match (one, other) {
        (Question::Count { noun: a, expect: m }, Question::Count { noun: b, expect: n }) => {
            a == b && m != n
        }
        (
            Question::Position {
                element: a,
                expect: p,
            },
            Question::Position {
                element: b,
                expect: q,
            },
        ) => a == b && p.iou(q) == 0.0,
        (
            Question::Relation {
                subject: a,
                predicate: p,
                object: b,
            },
            Question::Relation {
                subject: c,
                predicate: q,
                object: d,
            },
        ) => {
            let same = (a, b) == (c, d) && opposite(*p) == Some(*q);
            let turned = (a, b) == (d, c) && p == q && opposite(*p).is_some();
            same || turned
        }
        // Both are where the plan wants them, and stand to each other the other way round.
        (
            Question::Relation {
                subject,
                predicate,
                object,
            },
            Question::Position { element, .. },
        ) if element == subject || element == object => {
            let place = |id: &str| plan.element(id)?.bbox.map(|bbox| bbox.center());
            match (place(subject), place(object)) {
                (Some(a), Some(b)) => holds(*predicate, a, b) == Some(false),
                _ => false,
            }
        }
        _ => false,
    }
}

/// More or fewer things of a noun than the plan has elements for, each of which has to be there.
fn asks_for_too_many(plan: &Plan, question: &Question) -> bool {
    let Question::Count { noun, expect } = question else {
        return false;
    };
    let wanted = plan.checks.iter().filter(|check| {
        matches!(&check.question, Question::Presence { element }
            if plan.element(element).is_some_and(|element| element.noun == *noun))
    });
    wanted.count() > *expect as usize
}

const fn opposite(predicate: Predicate) -> Option<Predicate> {
    match predicate {
        Predicate::LeftOf => Some(Predicate::RightOf),
        Predicate::RightOf => Some(Predicate::LeftOf),
        Predicate::Above => Some(Predicate::Below),
        Predicate::Below => Some(Predicate::Above),
        _ => None,
    }
}

fn holds(predicate: Predicate, (ax, ay): (f32, f32), (bx, by): (f32, f32)) -> Option<bool> {
    match predicate {
        Predicate::LeftOf => Some(ax < bx),
        Predicate::RightOf => Some(ax > bx),
        Predicate::Above => Some(ay < by),
        Predicate::Below => Some(ay > by),
        _ => None,
    }
}
