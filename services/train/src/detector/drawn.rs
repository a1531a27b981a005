//! The renderer's own pictures with what they should show: `NAME.png` beside `NAME.json`.

use std::{fs, path::Path};

use anyhow::Context;
use atelier_models::props::vocabulary::{Background, Color, TimeOfDay};
use serde::{Deserialize, Serialize};

use super::sample::{SIDE, Sample, Truth};

/// Most pictures of a folder that are used.
const MOST: usize = 20_000;

/// What a picture should show; the file beside it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// Name of the background.
    pub background: String,
    /// Name of the time of day.
    pub time: String,
    /// The things.
    pub things: Vec<ShownThing>,
}

/// One thing of a picture.
#[derive(Serialize, Deserialize)]
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
pub fn read(dir: &Path, names: &[String]) -> anyhow::Result<Vec<Sample>> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .with_context(|| format!("cannot read {}", dir.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|kind| kind == "json"))
        .collect();
    files.sort();
    files.truncate(MOST);
    files.iter().map(|path| sample(path, names)).collect()
}

fn sample(path: &Path, names: &[String]) -> anyhow::Result<Sample> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let shown: Shown = serde_json::from_slice(&bytes)
        .with_context(|| format!("{} is not a truth", path.display()))?;
    let picture = path.with_extension("png");
    let picture = image::open(&picture)
        .with_context(|| format!("cannot decode {}", picture.display()))?
        .into_rgb8();
    let picture = if picture.dimensions() == (SIDE, SIDE) {
        picture
    } else {
        image::imageops::resize(&picture, SIDE, SIDE, image::imageops::FilterType::Triangle)
    };
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
    Ok(Sample {
        picture,
        things,
        background: Background::find(&shown.background)
            .with_context(|| known(&shown.background, "background"))?,
        time: TimeOfDay::find(&shown.time).with_context(|| known(&shown.time, "time of day"))?,
    })
}
