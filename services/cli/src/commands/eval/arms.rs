//! The ways of drawing that are compared, and what each sends to the farm.

use atelier_proto::{
    http::SubmitRequest,
    job::{Priority, Think},
    plan::{Element, Plan},
};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A way of drawing.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Arm {
    /// The prompt as it is, with the pictures of things that fast found, but without places, numbers, colours or checks
    Off,
    /// Several of off at the device seconds of fast, the best of them chosen by the farm's critic
    BestOfN,
    /// Planned, drawn, checked, mended
    Fast,
    /// The same with more thought
    Full,
}

impl Arm {
    /// Every arm, in the order of tables.
    #[cfg(test)]
    pub const ALL: [Self; 4] = [Self::Off, Self::BestOfN, Self::Fast, Self::Full];

    /// The word in tables and files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::BestOfN => "best_of_n",
            Self::Fast => "fast",
            Self::Full => "full",
        }
    }

    /// Whether it plans and checks.
    pub const fn thinks(self) -> bool {
        matches!(self, Self::Fast | Self::Full)
    }
}

/// The arms that were asked for, in order, with `fast` where another needs what it found.
pub fn complete(asked: &[Arm]) -> Vec<Arm> {
    let mut arms: Vec<Arm> = asked.to_vec();
    if arms.iter().any(|arm| !arm.thinks()) {
        arms.push(Arm::Fast);
    }
    if arms.contains(&Arm::BestOfN) {
        arms.push(Arm::Off);
    }
    arms.sort_unstable();
    arms.dedup();
    arms
}

/// What every request of a run has in common.
#[derive(Clone, Copy, Debug)]
pub struct Common {
    /// Seed of the prompt.
    pub seed: u64,
    /// Denoise steps.
    pub steps: Option<u32>,
    /// Most rounds of those that check; none is the farm's own number.
    pub max_rounds: Option<u32>,
}

/// What a thinking arm sends.
pub fn thinking(prompt: &str, think: Think, common: Common) -> SubmitRequest {
    SubmitRequest {
        think,
        max_rounds: common.max_rounds,
        ..plain(prompt, common)
    }
}

/// What a drawing without thought sends: `planned` is the plan that `fast` made, whose pictures of things are handed over without their places. Where it
/// has none, as on models without a library, it is the bare prompt.
pub fn unplanned(prompt: &str, planned: Option<&Plan>, common: Common) -> SubmitRequest {
    let plan = planned
        .and_then(|plan| unplaced(prompt, plan))
        .map(Box::new);
    SubmitRequest {
        think: Think::Off,
        plan,
        ..plain(prompt, common)
    }
}

fn plain(prompt: &str, common: Common) -> SubmitRequest {
    SubmitRequest {
        prompt: prompt.to_owned(),
        seed: Some(common.seed),
        priority: Priority::Batch,
        // What was kept from before takes no seconds, and seconds are compared.
        cache: Some(false),
        steps: common.steps,
        ..SubmitRequest::default()
    }
}

/// The bare prompt with every picture of a thing that the plan draws with, each once and nowhere in particular.
fn unplaced(prompt: &str, plan: &Plan) -> Option<Plan> {
    let mut elements: Vec<Element> = Vec::new();
    for element in &plan.elements {
        let known = elements
            .iter()
            .any(|other| other.reference == element.reference);
        if element.reference.is_some() && !known {
            elements.push(Element {
                id: format!("thing-{}", elements.len() + 1),
                noun: element.noun.clone(),
                count: 1,
                attributes: Vec::new(),
                colors: Vec::new(),
                bbox: None,
                reference: element.reference.clone(),
            });
        }
    }
    (!elements.is_empty()).then(|| Plan {
        // The prompt's own words are what is read of place and light.
        background: prompt.to_owned(),
        lighting: prompt.to_owned(),
        elements,
        ..Plan::direct(prompt)
    })
}

/// How many drawings each prompt gets so that all of them together take as long as `fast` did: at least one, and what is over on one prompt is made
/// good on the next. `fast` has the seconds of each prompt, `drawing` those of one drawing with its look.
pub fn drawings(fast: &[f64], drawing: f64) -> Vec<usize> {
    /// Most drawings of one prompt.
    const MOST: f64 = 64.0;
    let mut left = 0.0;
    fast.iter()
        .map(|seconds| {
            left += seconds;
            let number = match drawing > 0.0 {
                true => (left / drawing).round().clamp(1.0, MOST),
                false => 1.0,
            };
            left -= number * drawing;
            number as usize
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use atelier_proto::plan::BBox;

    use super::*;

    const COMMON: Common = Common {
        seed: 3,
        steps: None,
        max_rounds: Some(1),
    };

    #[test]
    fn fast_comes_along_where_it_is_needed() {
        assert_eq!(complete(&[Arm::Full]), [Arm::Full]);
        assert_eq!(complete(&[Arm::Off]), [Arm::Off, Arm::Fast]);
        assert_eq!(complete(&[Arm::Full, Arm::BestOfN]), Arm::ALL);
    }

    #[test]
    fn nothing_of_the_plan_but_the_pictures_is_handed_over() {
        let mut plan = Plan::direct("two red cats on the moon");
        let element = |id: &str, reference: Option<&str>| Element {
            id: id.into(),
            noun: "cat".into(),
            count: 1,
            attributes: vec!["old".into()],
            colors: vec!["red".into()],
            bbox: Some(BBox([0.0, 0.0, 0.5, 0.5])),
            reference: reference.map(str::to_owned),
        };
        plan.elements = vec![
            element("cat-1", Some("props/cat")),
            element("cat-2", Some("props/cat")),
            element("it", None),
        ];
        let body = unplanned("two red cats on the moon", Some(&plan), COMMON);
        let sent = body.plan.as_ref().expect("a plan with the pictures");
        assert_eq!(sent.validate(), Ok(()));
        assert_eq!(sent.elements.len(), 1);
        let one = &sent.elements[0];
        assert!(
            one.bbox.is_none()
                && one.colors.is_empty()
                && one.attributes.is_empty()
                && one.count == 1
        );
        assert_eq!(one.reference.as_deref(), Some("props/cat"));
        assert!(
            sent.checks.is_empty()
                && sent.relations.is_empty()
                && sent.caption == "two red cats on the moon"
        );
        assert_eq!((body.think, body.max_rounds), (Think::Off, None));
        plan.elements.truncate(0);
        assert_eq!(unplanned("x", Some(&plan), COMMON).plan, None);
        assert_eq!(thinking("x", Think::Fast, COMMON).max_rounds, Some(1));
    }

    #[test]
    fn drawings_add_up_to_the_same_seconds() {
        assert_eq!(drawings(&[10.0, 10.0, 10.0], 4.0), [3, 2, 3]);
        assert_eq!(drawings(&[1.0, 1.0, 10.0], 4.0), [1, 1, 1]);
        let fast: Vec<f64> = (0..200).map(|index| 3.0 + f64::from(index % 7)).collect();
        let all: f64 = fast.iter().sum();
        let drawn: usize = drawings(&fast, 1.3).iter().sum();
        assert!((drawn as f64 * 1.3 - all).abs() < 1.3);
        assert_eq!(drawings(&[5.0], 0.0), [1]);
        assert_eq!(drawings(&[500.0], 1.0), [64]);
    }
}
