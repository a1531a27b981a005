//! Judging: prompts whose truth is declared beside them, and what a judge says of pictures. Lines of JSON between `atelier eval` and a judge, which is
//! a program of its own and no part of the farm.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Most things of a case.
pub const MAX_THINGS: usize = 16;
/// Most things alike.
pub const MAX_COUNT: u32 = 16;

/// One prompt of a suite with what a right picture shows. The truth is declared by whoever wrote the prompt; no plan has a say in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Name of the case, unique in its suite.
    pub id: String,
    /// Kind of prompt, for example `counting`.
    pub category: String,
    /// Number of atoms: see [`Truth::atoms`].
    pub k: u32,
    /// What the user writes.
    pub prompt: String,
    /// What a right picture shows.
    #[serde(flatten)]
    pub truth: Truth,
}

/// What a right picture shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Truth {
    /// The things.
    pub things: Vec<Wanted>,
    /// How they stand to each other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relations: Vec<Stands>,
    /// Things of which there must be fewer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<TooMany>,
    /// What is behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<String>,
    /// When it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// When it is on the left and on the right, where the picture goes from one to the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transition: Option<[String; 2]>,
}

/// Things alike.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// What it is, in the singular.
    pub noun: String,
    /// How many at least; more are refused by an entry of [`Truth::exclude`] only.
    #[serde(default = "one")]
    pub count: u32,
    /// Their colour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// Where they are: `left`, `right`, `top`, `bottom`, two of them, or `center`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

const fn one() -> u32 {
    1
}

/// One thing stands to another: `[subject, how, object]` with indices of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stands(pub u32, pub Side, pub u32);

/// On which side a thing is of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Side {
    /// Its centre is to the left.
    #[serde(rename = "left of")]
    LeftOf,
    /// Its centre is to the right.
    #[serde(rename = "right of")]
    RightOf,
    /// Its centre is higher.
    #[serde(rename = "above")]
    Above,
    /// Its centre is lower.
    #[serde(rename = "below")]
    Below,
}

impl Side {
    /// Every side.
    pub const ALL: [Self; 4] = [Self::LeftOf, Self::RightOf, Self::Above, Self::Below];

    /// The word in suites.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LeftOf => "left of",
            Self::RightOf => "right of",
            Self::Above => "above",
            Self::Below => "below",
        }
    }

    /// The side as seen from the other thing.
    pub const fn opposite(self) -> Self {
        match self {
            Self::LeftOf => Self::RightOf,
            Self::RightOf => Self::LeftOf,
            Self::Above => Self::Below,
            Self::Below => Self::Above,
        }
    }
}

/// So many things of a kind are too many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TooMany {
    /// What it is.
    pub noun: String,
    /// From this number on.
    pub count: u32,
}

/// The places that a truth may name.
pub const PLACES: [&str; 9] = [
    "left",
    "right",
    "top",
    "bottom",
    "center",
    "top left",
    "top right",
    "bottom left",
    "bottom right",
];

impl Truth {
    /// Number of atoms: a thing is one, and so is each of its number (when not one), colour and place, each relation, background, time, and a
    /// transition is two.
    pub fn atoms(&self) -> u32 {
        let of_thing = |thing: &Wanted| {
            1 + u32::from(thing.count > 1)
                + u32::from(thing.color.is_some())
                + u32::from(thing.place.is_some())
        };
        self.things.iter().map(of_thing).sum::<u32>()
            + u32::try_from(self.relations.len()).unwrap_or(u32::MAX)
            + u32::from(self.background.is_some())
            + u32::from(self.time.is_some())
            + 2 * u32::from(self.transition.is_some())
    }

    /// Number of things that a judge looks at one by one.
    pub fn checks(&self) -> u32 {
        let of_thing = |thing: &Wanted| {
            1 + u32::from(thing.color.is_some()) + u32::from(thing.place.is_some())
        };
        let scene = [
            self.background.is_some(),
            self.time.is_some(),
            self.transition.is_some(),
        ];
        let more = self.relations.len() + self.exclude.len();
        self.things.iter().map(of_thing).sum::<u32>()
            + u32::try_from(more).unwrap_or(u32::MAX)
            + scene.map(u32::from).iter().sum::<u32>()
    }

    /// Why it cannot be judged, if so.
    pub fn check(&self) -> Result<(), String> {
        if self.things.is_empty() && self.transition.is_none() {
            return Err("there is nothing to look for".into());
        }
        if self.things.len() > MAX_THINGS || self.exclude.len() > MAX_THINGS {
            return Err(format!("more than {MAX_THINGS} things"));
        }
        if self.relations.len() > MAX_THINGS * MAX_THINGS {
            return Err(format!("{} relations", self.relations.len()));
        }
        for thing in &self.things {
            word("noun", &thing.noun)?;
            if !(1..=MAX_COUNT).contains(&thing.count) {
                return Err(format!(
                    "{} x {}: 1 to {MAX_COUNT} are allowed",
                    thing.count, thing.noun
                ));
            }
            if let Some(color) = &thing.color {
                word("color", color)?;
            }
            if let Some(place) = thing
                .place
                .as_deref()
                .filter(|place| !PLACES.contains(place))
            {
                return Err(format!(
                    "{place:?} is no place; there are {}",
                    PLACES.join(", ")
                ));
            }
        }
        for Stands(subject, _, object) in &self.relations {
            let known = |index: u32| (index as usize) < self.things.len();
            if !known(*subject) || !known(*object) || subject == object {
                return Err(format!("a relation of things {subject} and {object}"));
            }
        }
        for many in &self.exclude {
            word("noun", &many.noun)?;
            if !(1..=MAX_COUNT + 1).contains(&many.count) {
                return Err(format!("exclude: {} x {}", many.count, many.noun));
            }
        }
        let scene = [&self.background, &self.time].into_iter().flatten();
        for text in scene.chain(self.transition.iter().flatten()) {
            word("background or time", text)?;
        }
        Ok(())
    }
}

fn word(what: &str, text: &str) -> Result<(), String> {
    if text.trim().is_empty() || text.len() > 64 || text.chars().any(char::is_control) {
        return Err(format!("{what} {text:?}"));
    }
    Ok(())
}

/// One line to a judge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// Comes back with the answer.
    pub id: String,
    /// File of the picture.
    pub picture: String,
    /// What is looked for.
    pub looked_for: LookedFor,
}

/// What is looked for in a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LookedFor {
    /// What the suite declares; the judge answers.
    Truth(Truth),
    /// The checks of a plan; the farm's critic answers, for the arm that chooses among drawings.
    Plan(Box<crate::plan::Plan>),
}

/// One line from a judge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Graded {
    /// The id that was asked.
    pub id: String,
    /// Whether all of it is right.
    pub correct: bool,
    /// What was looked at, one by one.
    #[serde(default)]
    pub checks: Vec<Finding>,
    /// Why the picture could not be judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// `count`, `color`, `place`, `relation`, `exclude`, `background`, `time` or `transition`.
    pub kind: String,
    /// What about, for example `2 x fox`.
    pub about: String,
    /// Whether it is so.
    pub ok: bool,
    /// What was found instead.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub found: String,
}

/// The first line of a judge that tells about itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// Its name.
    pub judge: String,
    /// Its own errors on pictures whose truth is known.
    #[serde(default)]
    pub errors: Vec<KnownError>,
}

/// How often a judge errs on pictures whose truth is known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownError {
    /// What was done to the pictures: `all right`, `one removed`, ...
    pub pictures: String,
    /// Whether a judge without errors accepts them.
    pub right: bool,
    /// How many.
    pub number: u32,
    /// How many of them the judge accepted.
    pub accepted: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth(value: serde_json::Value) -> Truth {
        serde_json::from_value(value).expect("a truth")
    }

    #[test]
    fn a_case_is_read_as_it_is_written_and_its_atoms_are_counted() {
        let line = r#"{"id":"h017","category":"complex","k":5,"prompt":"two red foxes left of a bus by night","things":[{"noun":"bus","count":1},{"noun":"fox","count":2,"color":"red"}],"relations":[[1,"left of",0]],"exclude":[{"noun":"fox","count":3}]}"#;
        let case: Case = serde_json::from_str(line).expect("a case");
        assert_eq!((case.truth.atoms(), case.truth.checks()), (5, 5));
        assert_eq!(case.truth.check(), Ok(()));
        assert_eq!(serde_json::to_string(&case).expect("serialises"), line);
    }

    #[test]
    fn what_cannot_be_judged_is_said() {
        for (broken, why) in [
            (serde_json::json!({ "things": [] }), "nothing to look for"),
            (
                serde_json::json!({ "things": [{ "noun": "cat", "count": 0 }] }),
                "0 x cat",
            ),
            (
                serde_json::json!({ "things": [{ "noun": "cat", "place": "moon" }] }),
                "no place",
            ),
            (serde_json::json!({ "things": [{ "noun": " " }] }), "noun"),
            (
                serde_json::json!({ "things": [{ "noun": "cat" }], "relations": [[0, "above", 0]] }),
                "things 0 and 0",
            ),
            (
                serde_json::json!({ "things": [{ "noun": "cat" }], "exclude": [{ "noun": "cat", "count": 90 }] }),
                "exclude",
            ),
        ] {
            let error = truth(broken).check().expect_err(why);
            assert!(error.contains(why), "{error}");
        }
        let side: Result<Side, _> = serde_json::from_str("\"beside\"");
        assert!(side.is_err());
    }
}
