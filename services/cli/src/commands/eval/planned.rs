//! What plans say beside what the suite declares: whether what is wrong in a picture was planned or drawn so. Pure functions; the judge has no part in
//! them, and grades do not depend on them.

use std::ops::AddAssign;

use atelier_proto::{
    judging::{Truth, Wanted},
    plan::{Element, Plan, StageOp},
};
use serde::Serialize;

/// So many are right, of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// Right ones.
    pub right: u32,
    /// All of them.
    pub asked: u32,
}

/// What plans have of what the suite declares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// Things that are in them.
    pub things: Share,
    /// Of these, those in their number.
    pub counts: Share,
    /// Of these, those with a colour that are planned in it, each of them.
    pub colors: Share,
    /// Changes of light that are drawn in stages and blended.
    pub changes: Share,
    /// Plans that have all of it, and stages only where the light changes.
    pub all: Share,
}

impl Planned {
    /// Compares one plan; a request that got none has nothing of its truth.
    pub fn of(truth: &Truth, plan: Option<&Plan>) -> Self {
        let elements = plan.map_or(&[][..], |plan| &plan.elements);
        let blends = |plan: &Plan| {
            let mut stages = plan.stages.iter();
            stages.any(|stage| matches!(stage.op, StageOp::Blend { .. }))
        };
        let mut planned = Self::default();
        for wanted in &truth.things {
            planned.add(wanted, truth, elements);
        }
        let is_staged = plan.is_some_and(blends);
        if truth.transition.is_some() {
            planned.changes.count(is_staged);
        }
        let whole = [planned.things, planned.counts, planned.colors];
        planned.all.count(
            plan.is_some()
                && whole.iter().all(|share| share.right == share.asked)
                && is_staged == truth.transition.is_some(),
        );
        planned
    }

    fn add(&mut self, wanted: &Wanted, truth: &Truth, elements: &[Element]) {
        let has_color = |element: &Element| {
            let mut colors = element.colors.iter();
            let color = wanted.color.as_ref();
            color.is_none_or(|color| colors.any(|named| named == color))
        };
        let number = |elements: &[&Element]| elements.iter().map(|element| element.count).sum();
        let named = elements.iter().filter(|element| is(element, &wanted.noun));
        let of_noun: Vec<&Element> = named.collect();
        self.things.count(!of_noun.is_empty());
        if of_noun.is_empty() {
            return;
        }
        // `a red cat and a blue cat`: the colour says which of them is meant.
        let mut same = truth
            .things
            .iter()
            .filter(|thing| thing.noun == wanted.noun);
        let meant: Vec<&Element> = match same.nth(1) {
            Some(_) => of_noun
                .iter()
                .copied()
                .filter(|one| has_color(one))
                .collect(),
            None => of_noun.clone(),
        };
        let total: u32 = number(&of_noun);
        let mut limits = truth.exclude.iter();
        let is_too_many = limits.any(|limit| limit.noun == wanted.noun && total >= limit.count);
        let found: u32 = number(&meant);
        self.counts.count(found >= wanted.count && !is_too_many);
        if wanted.color.is_some() {
            let all = !meant.is_empty() && meant.iter().all(|element| has_color(element));
            self.colors.count(all);
        }
    }
}

impl Share {
    fn count(&mut self, right: bool) {
        self.asked += 1;
        self.right += u32::from(right);
    }
}

impl AddAssign for Share {
    fn add_assign(&mut self, other: Self) {
        self.right += other.right;
        self.asked += other.asked;
    }
}

impl AddAssign for Planned {
    fn add_assign(&mut self, other: Self) {
        self.things += other.things;
        self.counts += other.counts;
        self.colors += other.colors;
        self.changes += other.changes;
        self.all += other.all;
    }
}

/// Whether an element is what a suite calls so, by its own noun or the library's name.
fn is(element: &Element, noun: &str) -> bool {
    let prop = element.reference.as_deref();
    let prop = prop.and_then(|name| name.strip_prefix("props/"));
    let bare = |text: &str| {
        let text = text.trim().to_lowercase();
        text.strip_suffix('s').unwrap_or(&text).to_owned()
    };
    let mut names = std::iter::once(element.noun.as_str()).chain(prop);
    names.any(|name| bare(name) == bare(noun))
}

#[cfg(test)]
mod tests {
    use atelier_proto::plan::Mask;
    use serde_json::json;

    use super::*;

    fn truth(value: serde_json::Value) -> Truth {
        serde_json::from_value(value).unwrap()
    }

    fn plan(elements: &[(&str, &str)], blends: bool) -> Plan {
        let mut plan = Plan::direct("words");
        plan.elements = elements
            .iter()
            .enumerate()
            .map(|(index, (noun, color))| Element {
                id: format!("e{index}"),
                noun: (*noun).into(),
                count: 1,
                attributes: Vec::new(),
                colors: vec![(*color).into()],
                bbox: None,
                reference: None,
            })
            .collect();
        if blends {
            plan.stages[0].op = StageOp::Blend {
                inputs: vec!["a".into(), "b".into()],
                mask: Mask::Linear {
                    angle: 0.0,
                    from: 0.0,
                    to: 1.0,
                },
            };
        }
        plan
    }

    fn share(right: u32, asked: u32) -> Share {
        Share { right, asked }
    }

    #[test]
    fn a_plan_is_held_against_what_was_declared() {
        let wanted = truth(json!({
            "things": [{"noun": "cat", "color": "red"}, {"noun": "cat", "color": "blue"}, {"noun": "dog", "count": 2}],
            "exclude": [{"noun": "dog", "count": 3}],
        }));
        let right = [("cat", "red"), ("Cats", "blue"), ("dog", ""), ("dog", "")];
        let planned = Planned::of(&wanted, Some(&plan(&right, false)));
        assert_eq!(planned.things, share(3, 3));
        assert_eq!((planned.counts, planned.colors), (share(3, 3), share(2, 2)));
        assert_eq!((planned.changes, planned.all), (share(0, 0), share(1, 1)));

        let bad = [
            ("cat", "red"),
            ("cat", "red"),
            ("dog", ""),
            ("dog", ""),
            ("dog", ""),
        ];
        let planned = Planned::of(&wanted, Some(&plan(&bad, false)));
        assert_eq!((planned.things, planned.counts), (share(3, 3), share(1, 3)));
        assert_eq!((planned.colors, planned.all), (share(1, 2), share(0, 1)));

        let mut sum = Planned::of(&wanted, None);
        assert_eq!((sum.things, sum.all), (share(0, 3), share(0, 1)));
        sum += planned;
        assert_eq!((sum.things, sum.all), (share(3, 6), share(0, 2)));
    }

    #[test]
    fn stages_are_for_changes_of_light() {
        let still = truth(json!({"things": [{"noun": "cat"}]}));
        let change = truth(json!({"things": [{"noun": "cat"}], "transition": ["day", "night"]}));
        for (truth, blends, changes, all) in [
            (&still, false, share(0, 0), 1),
            (&still, true, share(0, 0), 0),
            (&change, false, share(0, 1), 0),
            (&change, true, share(1, 1), 1),
        ] {
            let planned = Planned::of(truth, Some(&plan(&[("cat", "")], blends)));
            assert_eq!((planned.changes, planned.all), (changes, share(all, 1)));
        }
    }

    #[test]
    fn the_librarys_name_is_a_name_too() {
        let wanted = truth(json!({"things": [{"noun": "cup of coffee"}]}));
        let mut drawn = plan(&[("coffee", "")], false);
        assert_eq!(Planned::of(&wanted, Some(&drawn)).things, share(0, 1));
        drawn.elements[0].reference = Some("props/cup of coffee".into());
        assert_eq!(Planned::of(&wanted, Some(&drawn)).things, share(1, 1));
    }
}
