//! What the critique asks: one closed question for everything that the prompt said and code can see.

use atelier_proto::plan::{Check, Plan, Question};

use super::elements::Group;

/// Whether the light is that of the plan, where the whole picture has one and the prompt named it. Behind all others, whose ids stay.
pub fn light(plan: &Plan) -> Option<Check> {
    (plan.checks.len() < atelier_proto::plan::MAX_CHECKS).then(|| Check {
        id: format!("k{}", plan.checks.len() + 1),
        question: Question::Light {
            expect: plan.lighting.clone(),
        },
    })
}

/// Checks of a plan, the most telling first: presence, count, colour, place, relation.
pub fn checks(plan: &Plan, groups: &[Group]) -> Vec<Check> {
    let mut questions = Vec::new();
    for element in &plan.elements {
        questions.push(Question::Presence {
            element: element.id.clone(),
        });
    }
    for group in groups.iter().filter(|group| group.instances.len() > 1) {
        // Two groups of one noun (a red and a blue cat) make its count their sum.
        let expect: usize = groups
            .iter()
            .filter(|other| other.noun == group.noun)
            .map(|other| other.instances.len())
            .sum();
        let question = Question::Count {
            noun: group.noun.clone(),
            expect: expect as u32,
        };
        if !questions.contains(&question) {
            questions.push(question);
        }
    }
    for element in &plan.elements {
        for color in &element.colors {
            questions.push(Question::Color {
                element: element.id.clone(),
                expect: color.clone(),
            });
        }
    }
    for group in groups.iter().filter(|group| group.place.is_somewhere()) {
        for element in &plan.elements[group.instances.clone()] {
            if let Some(expect) = element.bbox {
                questions.push(Question::Position {
                    element: element.id.clone(),
                    expect,
                });
            }
        }
    }
    for relation in &plan.relations {
        questions.push(Question::Relation {
            subject: relation.subject.clone(),
            predicate: relation.predicate,
            object: relation.object.clone(),
        });
    }
    questions
        .into_iter()
        .take(atelier_proto::plan::MAX_CHECKS)
        .enumerate()
        .map(|(index, question)| Check {
            id: format!("k{}", index + 1),
            question,
        })
        .collect()
}
