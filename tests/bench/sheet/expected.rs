//! What a prompt asks for, and how much of it a plan names.

use std::fmt;

use atelier_proto::plan::{BBox, Element, Plan};
use serde::{Deserialize, Serialize};

/// One line of the prompts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// What is tried: `single`, `two`, `color`, `count`, `place`, `time`, `story`.
    pub kind: String,
    /// Seed of the request.
    pub seed: u64,
    /// The prompt.
    pub prompt: String,
    /// The things in it.
    pub things: Vec<Thing>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<String>,
    /// When it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
}

/// One thing of a prompt.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thing {
    /// What it is.
    pub noun: String,
    /// How many; one when it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
    /// Its colour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// Where in the picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// How many of the things, counts, colours and places (with backgrounds and times) of prompts their plans name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Named {
    things: (u32, u32),
    counts: (u32, u32),
    colors: (u32, u32),
    places: (u32, u32),
}

impl Named {
    /// Adds another prompt's.
    pub fn add(&mut self, other: &Self) {
        for (sum, part) in [
            (&mut self.things, other.things),
            (&mut self.counts, other.counts),
            (&mut self.colors, other.colors),
            (&mut self.places, other.places),
        ] {
            *sum = (sum.0 + part.0, sum.1 + part.1);
        }
    }

    fn all(&self) -> (u32, u32) {
        let parts = [self.things, self.counts, self.colors, self.places];
        parts
            .iter()
            .fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1))
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (yes, of) = self.all();
        let share = |(yes, of): (u32, u32)| format!("{yes}/{of}");
        write!(
            f,
            "{yes}/{of} (things {}, counts {}, colours {}, places {})",
            share(self.things),
            share(self.counts),
            share(self.colors),
            share(self.places)
        )
    }
}

impl Expected {
    /// What of this prompt a plan names.
    pub fn named_in(&self, plan: &Plan) -> Named {
        let mut named = Named::default();
        let mut add = |part: fn(&mut Named) -> &mut (u32, u32), holds: bool| {
            let part = part(&mut named);
            *part = (part.0 + u32::from(holds), part.1 + 1);
        };
        for thing in &self.things {
            let found: Vec<&Element> = plan
                .elements
                .iter()
                .filter(|element| is(element, &thing.noun))
                .collect();
            add(|named| &mut named.things, !found.is_empty());
            if let Some(count) = thing.count {
                add(|named| &mut named.counts, found.len() == count);
            }
            if let Some(color) = &thing.color {
                // A colour that belongs to the noun (`black cat`) may stand in the noun.
                let colored = |element: &&Element| {
                    element.colors.contains(color) || element.noun.contains(color.as_str())
                };
                add(
                    |named| &mut named.colors,
                    !found.is_empty() && found.iter().all(colored),
                );
            }
            if let Some(place) = &thing.place {
                let there =
                    |element: &&Element| element.bbox.is_some_and(|bbox| is_at(&bbox, place));
                add(
                    |named| &mut named.places,
                    !found.is_empty() && found.iter().all(there),
                );
            }
        }
        if let Some(background) = &self.background {
            add(
                |named| &mut named.places,
                plan.background.contains(background.as_str()),
            );
        }
        if let Some(time) = &self.time {
            add(|named| &mut named.places, plan.lighting == *time);
        }
        named
    }
}

/// Whether an element is the noun, by its words or by what it is drawn from.
fn is(element: &Element, noun: &str) -> bool {
    let noun = noun.to_lowercase();
    let words = element.noun.to_lowercase();
    let singular = words.strip_suffix('s').unwrap_or(&words);
    let prop = element
        .reference
        .as_deref()
        .and_then(|reference| reference.strip_prefix("props/"));
    words.ends_with(&noun)
        || singular.ends_with(&noun)
        || prop.is_some_and(|prop| prop.eq_ignore_ascii_case(&noun))
}

/// Whether a box's centre is in the third that the words name.
fn is_at(bbox: &BBox, place: &str) -> bool {
    let (x, y) = bbox.center();
    let (low, high) = (1.0 / 3.0, 2.0 / 3.0);
    place.split(' ').all(|word| match word {
        "left" => x < low,
        "right" => x > high,
        "top" => y < low,
        "bottom" => y > high,
        _ => false,
    })
}
