//! Where in a plan's JSON an error is, for people who write plans by hand.

use super::{Plan, PlanError, validate::MAX_TEXT};

impl Plan {
    /// The field that `error`, found by [`Plan::validate`] in this plan, is about: a path such as `stages[2].inputs`.
    pub fn field_of(&self, error: &PlanError) -> String {
        match error {
            PlanError::Version(_) => "version".into(),
            PlanError::TooMany { what, limit, .. } => self.too_many(what, *limit),
            PlanError::TooLong { what, .. } => self.too_long(what),
            PlanError::BadId { what, id } | PlanError::Duplicate { what, id } => {
                // Of two with one id the second is wrong.
                let ids = self.ids(what);
                let cut = |other: &str| other.chars().take(id.chars().count()).eq(id.chars());
                match ids.iter().rposition(|other| cut(other)) {
                    Some(index) => format!("{what}s[{index}].id"),
                    None => format!("{what}s"),
                }
            }
            PlanError::Unresolved { from, id, .. } => self.unresolved(from, id),
            PlanError::BadBox { of, bbox } => self.bad_box(of, *bbox),
            PlanError::OutOfRange { what, of, .. } => match *what {
                "count" => self.at("element", of, "count"),
                "strength" => self.at("stage", of, "strength"),
                _ => self.at("stage", of, "mask"),
            },
            PlanError::Cycle | PlanError::Sinks(_) => "stages".into(),
            PlanError::BlendInputs { stage, .. } => self.at("stage", stage, "inputs"),
        }
    }

    fn ids(&self, what: &str) -> Vec<&str> {
        match what {
            "element" => self.elements.iter().map(|one| one.id.as_str()).collect(),
            "stage" => self.stages.iter().map(|one| one.id.as_str()).collect(),
            _ => self.checks.iter().map(|one| one.id.as_str()).collect(),
        }
    }

    fn at(&self, what: &str, id: &str, field: &str) -> String {
        match self.ids(what).iter().position(|other| *other == id) {
            Some(index) => format!("{what}s[{index}].{field}"),
            None => format!("{what}s"),
        }
    }

    fn too_many(&self, what: &str, limit: usize) -> String {
        let of = self.elements.iter().position(|element| match what {
            "attributes" => element.attributes.len() > limit,
            "colors" => element.colors.len() > limit,
            _ => false,
        });
        match of {
            Some(index) => format!("elements[{index}].{what}"),
            None => what.to_owned(),
        }
    }

    fn too_long(&self, what: &str) -> String {
        let long = |text: &String| text.len() > MAX_TEXT;
        for (index, element) in self.elements.iter().enumerate() {
            let field = match what {
                "noun" if long(&element.noun) => "noun",
                "attribute" if element.attributes.iter().any(long) => "attributes",
                "color" if element.colors.iter().any(long) => "colors",
                "reference" if element.reference.as_ref().is_some_and(long) => "reference",
                _ => continue,
            };
            return format!("elements[{index}].{field}");
        }
        match what {
            "caption" if long(&self.caption) => "caption".into(),
            "caption" | "instruction" => "stages".into(),
            "noun" | "color" | "expected text" => "checks".into(),
            what => what.to_owned(),
        }
    }

    fn unresolved(&self, from: &str, id: &str) -> String {
        // `element "cat"`, `check "k1"`, `stage "out"`, or a relation.
        let quoted = from.split_once(" \"").map(|(what, rest)| {
            let id = rest.strip_suffix('"').unwrap_or(rest);
            (what, id)
        });
        match quoted {
            Some(("element", of)) => self.at("element", of, "reference"),
            Some(("check", of)) => self.at("check", of, "element"),
            Some(("stage", of)) => {
                let blends = self
                    .stage(of)
                    .is_some_and(|stage| stage.op.inputs().len() > 1);
                self.at("stage", of, if blends { "inputs" } else { "input" })
            }
            _ => {
                let ends =
                    |relation: &super::Relation| relation.subject == id || relation.object == id;
                match self.relations.iter().position(ends) {
                    Some(index) if self.relations[index].subject == id => {
                        format!("relations[{index}].subject")
                    }
                    Some(index) => format!("relations[{index}].object"),
                    None => "relations".into(),
                }
            }
        }
    }

    fn bad_box(&self, of: &str, bbox: [f32; 4]) -> String {
        // By bits, since a box may hold what is no number.
        let same = |other: super::BBox| other.0.map(f32::to_bits) == bbox.map(f32::to_bits);
        let element = self.element(of).and_then(|element| element.bbox);
        if element.is_some_and(same) {
            return self.at("element", of, "box");
        }
        if self.ids("check").contains(&of) {
            return self.at("check", of, "expect");
        }
        self.at("stage", of, "box")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plan of JSON with one thing wrong, and where.
    const CASES: [(&str, &str); 17] = [
        (r#"{"version": 2, "caption": "", "stages": []}"#, "version"),
        (r#"{"version": 1, "caption": "", "stages": []}"#, "stages"),
        (
            r#"{"version": 1, "caption": "", "stages": [{"id": "a b", "op": "generate"}]}"#,
            "stages[0].id",
        ),
        (
            r#"{"version": 1, "caption": "", "stages": [{"id": "a", "op": "generate"}, {"id": "a", "op": "generate"}]}"#,
            "stages[1].id",
        ),
        (
            r#"{"version": 1, "caption": "", "stages": [{"id": "a", "op": "edit", "input": "b", "instruction": "", "strength": 0.5}]}"#,
            "stages[0].input",
        ),
        (
            r#"{"version": 1, "caption": "", "stages": [{"id": "a", "op": "edit", "input": "a", "instruction": "", "strength": 0.5}]}"#,
            "stages",
        ),
        (
            r#"{"version": 1, "caption": "", "stages": [{"id": "a", "op": "generate"},
                {"id": "b", "op": "edit", "input": "a", "instruction": "", "strength": 7}]}"#,
            "stages[1].strength",
        ),
        (
            r#"{"version": 1, "caption": "", "stages": [{"id": "a", "op": "generate"},
                {"id": "b", "op": "blend", "inputs": ["a", "a"], "mask": {"kind": "linear", "angle": 0, "from": 0, "to": 1}}]}"#,
            "stages[1].inputs",
        ),
        (
            r#"{"version": 1, "caption": "", "stages": [{"id": "a", "op": "generate"},
                {"id": "b", "op": "repair", "input": "a", "box": [0, 0, 2, 1], "instruction": ""}]}"#,
            "stages[1].box",
        ),
        (
            r#"{"version": 1, "caption": "", "stages": [{"id": "a", "op": "generate"}, {"id": "b", "op": "generate"}]}"#,
            "stages",
        ),
        (
            r#"{"version": 1, "caption": "", "elements": [{"id": "c", "noun": "c", "box": [0.5, 0, 0.5, 1]}],
                "stages": [{"id": "a", "op": "generate"}]}"#,
            "elements[0].box",
        ),
        (
            r#"{"version": 1, "caption": "", "elements": [{"id": "c", "noun": "c", "count": 0}], "stages": [{"id": "a", "op": "generate"}]}"#,
            "elements[0].count",
        ),
        (
            r#"{"version": 1, "caption": "", "elements": [{"id": "c", "noun": "c", "reference": "/etc/passwd"}],
                "stages": [{"id": "a", "op": "generate"}]}"#,
            "elements[0].reference",
        ),
        (
            r#"{"version": 1, "caption": "", "elements": [{"id": "c", "noun": "c"}],
                "relations": [{"subject": "c", "predicate": "on", "object": "d"}], "stages": [{"id": "a", "op": "generate"}]}"#,
            "relations[0].object",
        ),
        (
            r#"{"version": 1, "caption": "", "stages": [{"id": "a", "op": "generate"}],
                "checks": [{"id": "k", "kind": "presence", "element": "c"}]}"#,
            "checks[0].element",
        ),
        (
            r#"{"version": 1, "caption": "", "elements": [{"id": "c", "noun": "c"}], "stages": [{"id": "a", "op": "generate"}],
                "checks": [{"id": "k", "kind": "position", "element": "c", "expect": [1, 1, 0, 0]}]}"#,
            "checks[0].expect",
        ),
        (
            r#"{"version": 1, "caption": "", "elements": [{"id": "c", "noun": "c", "colors": ["1","2","3","4","5","6","7","8","9"]}],
                "stages": [{"id": "a", "op": "generate"}]}"#,
            "elements[0].colors",
        ),
    ];

    #[test]
    fn every_error_says_where() {
        for (json, field) in CASES {
            let plan: Plan = serde_json::from_str(json).unwrap();
            let error = plan.validate().unwrap_err();
            assert_eq!(plan.field_of(&error), field, "{error}");
        }
    }

    #[test]
    fn long_texts_and_many_things_are_named() {
        let mut plan = Plan::direct("a cat");
        plan.caption = "x".repeat(MAX_TEXT + 1);
        assert_eq!(plan.field_of(&plan.validate().unwrap_err()), "caption");
        let mut plan = Plan::direct("a cat");
        plan.stages = vec![plan.stages[0].clone(); 9];
        assert_eq!(plan.field_of(&plan.validate().unwrap_err()), "stages");
    }
}
