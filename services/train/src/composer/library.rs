//! The sprites as things with names: decoded once, kept small, fitted to the sides that scenes use on first need.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use atelier_models::props::picture;
use image::{RgbImage, RgbaImage};
use serde::Deserialize;

use super::catalog;

/// Pixels of a token at the default model's size; the cached sides are multiples of it.
const TOKEN: u32 = 16;

/// Why the sprites could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// A file is missing or unreadable; `deploy/setup` fetches the sprites.
    #[error("cannot read {0}: {1}; run deploy/setup to fetch the sprites")]
    Read(PathBuf, std::io::Error),
    /// One of the name lists is not what it was.
    #[error("{0} is not a list of names: {1}")]
    Names(PathBuf, serde_json::Error),
    /// A thing of the catalogue has no sprite.
    #[error("no sprite for '{0}' (Unicode name '{1}')")]
    Missing(&'static str, &'static str),
    /// A sprite does not decode.
    #[error("cannot decode {0}: {1}")]
    Decode(PathBuf, image::ImageError),
}

/// One thing with its picture.
pub struct Prop {
    /// Plain name, for example `cup of coffee`.
    pub name: String,
    /// Other names, lower case where English has it so; the commonest first.
    pub synonyms: Vec<String>,
    /// Never drawn by random scenes; for tests of unseen things.
    pub held_out: bool,
    /// Whether captions say `a` before it.
    pub article: bool,
    /// The picture, cropped to its content, longest side at most 128 pixels, colours not multiplied by alpha.
    pub image: RgbaImage,
    /// File of the sprite.
    pub file: PathBuf,
    fitted: [OnceLock<RgbaImage>; 15],
}

impl Prop {
    /// The picture with its longest side `side`, colours multiplied by alpha. Cached for whole tokens up to 14 (16 to 224 pixels).
    pub fn with_fitted<T>(&self, side: u32, then: impl FnOnce(&RgbaImage) -> T) -> T {
        let slot = (side / TOKEN) as usize;
        if side.is_multiple_of(TOKEN) && slot > 0 && slot < self.fitted.len() {
            then(self.fitted[slot].get_or_init(|| picture::fit(&self.image, side)))
        } else {
            then(&picture::fit(&self.image, side))
        }
    }

    /// What the renderer is shown for a box of `side` pixels: the same as `reference_picture` of the image, but cached.
    pub fn reference(&self, side: u32) -> RgbImage {
        self.with_fitted(side, |fitted| picture::on_grey(fitted, side))
    }
}

/// All things of the small world.
pub struct Library {
    props: Vec<Prop>,
    drawn: Vec<usize>,
}

#[derive(Deserialize)]
struct UnicodeName {
    name: String,
}

impl Library {
    /// Opens the folder with `fluent-emoji-3d` and `unicode-emoji-json` and decodes every sprite of the catalogue.
    pub fn open(sprites: &Path) -> Result<Self, LibraryError> {
        let names: HashMap<String, UnicodeName> =
            read_json(&sprites.join("unicode-emoji-json/data-by-emoji.json"))?;
        let assets = sprites.join("fluent-emoji-3d/assets");
        let characters: HashMap<&str, &str> = names
            .iter()
            .map(|(emoji, entry)| (entry.name.as_str(), emoji.as_str()))
            .collect();
        let entries = catalog::entries();
        let props = entries
            .iter()
            .map(|entry| {
                let file = characters
                    .get(entry.source)
                    .and_then(|emoji| asset(&assets, emoji))
                    .ok_or(LibraryError::Missing(entry.name, entry.source))?;
                let whole = image::open(&file)
                    .map_err(|error| LibraryError::Decode(file.clone(), error))?
                    .into_rgba8();
                Ok(Prop {
                    name: entry.name.to_owned(),
                    synonyms: entry
                        .synonyms
                        .iter()
                        .map(|word| (*word).to_owned())
                        .collect(),
                    held_out: entry.held_out,
                    article: entry.article,
                    image: picture::shrink(&picture::crop(&whole), picture::SPRITE_SIDE),
                    file,
                    fitted: Default::default(),
                })
            })
            .collect::<Result<Vec<_>, LibraryError>>()?;
        let drawn = (0..props.len())
            .filter(|&index| !props[index].held_out)
            .collect();
        Ok(Self { props, drawn })
    }

    /// Every thing, held out or not, in the catalogue's order.
    pub fn props(&self) -> &[Prop] {
        &self.props
    }

    /// Indices of the things that are not held out.
    pub fn drawn(&self) -> &[usize] {
        &self.drawn
    }
}

fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<T, LibraryError> {
    let bytes = fs::read(path).map_err(|error| LibraryError::Read(path.to_owned(), error))?;
    serde_json::from_slice(&bytes).map_err(|error| LibraryError::Names(path.to_owned(), error))
}

/// The sprite of an emoji: files are named by its code points, some with and some without the variation selector.
fn asset(assets: &Path, emoji: &str) -> Option<PathBuf> {
    let points: Vec<String> = emoji
        .chars()
        .map(|c| format!("{:x}", u32::from(c)))
        .collect();
    let full = points.join("-");
    let bare = points
        .iter()
        .filter(|point| *point != "fe0f")
        .cloned()
        .collect::<Vec<_>>()
        .join("-");
    [full, bare.clone(), format!("{bare}-fe0f")]
        .into_iter()
        .map(|stem| assets.join(format!("{stem}.webp")))
        .find(|file| file.is_file())
}
