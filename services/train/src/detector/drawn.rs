//! The renderer's own pictures with what they should show: `NAME.png` beside `NAME.json`.

use std::{fs, path::Path};

use anyhow::Context;
use atelier_models::props::vocabulary::{Background, Color, TimeOfDay};
use serde::{Deserialize, Serialize};

use super::sample::{Sample, Truth};
use crate::composer::SIDE;

/// Most pictures of a folder that are used.
const MOST: usize = 20_000;

/// What a picture should show; the file beside it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// Name of the background.
    pub background: String,
    /// Name of the time of day.
    pub time: String,
    /// The things.
    pub things: Vec<ShownThing>,
    /// What was asked for, where something else is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
}

/// What was asked for in the place of what is shown.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    /// In what it differs.
    pub deed: Deed,
    /// Name of the time of day.
    pub time: String,
    /// The things; those that are shown as well are so in the same order.
    pub things: Vec<ShownThing>,
}

/// What was done to a scene before it was drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// A thing is not drawn.
    LeftOut,
    /// A thing of another kind stands in the place of one.
    Replaced,
    /// There is one more of a kind.
    Doubled,
    /// A thing has another colour.
    Recolored,
    /// A thing stands elsewhere.
    Moved,
    /// It is another time of day.
    Relit,
}

impl Deed {
    /// Every deed.
    pub const ALL: [Self; 6] = [
        Self::LeftOut,
        Self::Replaced,
        Self::Doubled,
        Self::Recolored,
        Self::Moved,
        Self::Relit,
    ];

    /// What is with the thing that it was done to.
    pub const fn told(self) -> &'static str {
        match self {
            Self::LeftOut => "left out",
            Self::Replaced => "of another kind",
            Self::Doubled => "too many",
            Self::Recolored => "in another colour",
            Self::Moved => "in another place",
            Self::Relit => "in another light, as all others",
        }
    }
}

/// A picture with its truth, and with what its file says.
pub struct Drawn {
    /// The picture as it was drawn, with what the detector should find.
    pub sample: Sample,
    /// What was drawn and what was asked for.
    pub shown: Shown,
}

impl Drawn {
    /// What was asked for.
    pub fn asked(&self) -> Shown {
        let shown = &self.shown;
        let (time, things) = match &shown.asked {
            Some(asked) => (&asked.time, &asked.things),
            None => (&shown.time, &shown.things),
        };
        Shown {
            background: shown.background.clone(),
            time: time.clone(),
            things: things.clone(),
            asked: None,
        }
    }
}

/// One thing of a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShownThing {
    /// Name of the prop.
    pub name: String,
    /// Name of its colour when not its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
    /// `[x0, y0, x1, y1]` in 0..1.
    #[serde(rename = "box")]
    pub bbox: [f32; 4],
}

/// Reads every picture of a folder that has its truth beside it; things of other names are left out of the truth.
pub fn read(dir: &Path, names: &[String]) -> anyhow::Result<Vec<Drawn>> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .with_context(|| format!("cannot read {}", dir.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|kind| kind == "json"))
        .collect();
    files.sort();
    files.truncate(MOST);
    files.iter().map(|path| one(path, names)).collect()
}

fn one(path: &Path, names: &[String]) -> anyhow::Result<Drawn> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let shown: Shown = serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is not a truth", path.display()))?;
    let file = path.with_extension("png");
    let picture = image::open(&file)
        .with_context(|| format!("cannot decode {}", file.display()))?
        .into_rgb8();
    anyhow::ensure!(
        picture.dimensions() == (SIDE, SIDE),
        "{} is not of {SIDE} x {SIDE} pixels",
        path.display()
    );
    let known = |word: &str, what: &str| format!("{}: {word:?} is no {what}", path.display());
    let things = shown
        .things
        .iter()
        .filter_map(|thing| {
            Some(Truth {
                name: names.iter().position(|name| *name == thing.name)?,
                color: thing.color.as_deref().and_then(Color::find),
                bbox: thing.bbox.map(|edge| edge.clamp(0.0, 1.0)),
            })
        })
        .collect();
    let sample = Sample {
        picture,
        things,
        background: Background::find(&shown.background)
            .with_context(|| known(&shown.background, "background"))?,
        time: TimeOfDay::find(&shown.time).with_context(|| known(&shown.time, "time of day"))?,
    };
    Ok(Drawn { sample, shown })
}
