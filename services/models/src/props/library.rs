//! The folder of props: `index.json` and one picture a thing. Everything in it is checked before it is believed.

use std::{
    collections::HashMap,
    fs,
    io::Cursor,
    path::{Path, PathBuf},
};

use image::{ImageReader, Limits, RgbaImage};
use serde::{Deserialize, Serialize};

use super::noun;
use crate::bounded;

/// Most bytes of `index.json`.
const MAX_INDEX: u64 = 1 << 20;
/// Most props of a library.
const MAX_PROPS: usize = 4096;
/// Most synonyms of a prop.
const MAX_SYNONYMS: usize = 64;
/// Most characters of a name.
const MAX_NAME: usize = 64;
/// Most bytes of a picture.
const MAX_PICTURE: u64 = 4 << 20;
/// Longest side of a picture in pixels.
const MAX_SIDE: u32 = 2048;

/// Why a library could not be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum PropError {
    /// A file is missing or unreadable.
    #[error("cannot read {0}: {1}")]
    Read(PathBuf, std::io::Error),
    /// A file is larger than anything real.
    #[error("{0} has {1} bytes, more than the {2} that are allowed")]
    TooLarge(PathBuf, u64, u64),
    /// The index is not what the schema says.
    #[error("props/index.json is not valid: {0}")]
    Index(String),
    /// A picture does not decode.
    #[error("cannot decode {0}: {1}")]
    Decode(PathBuf, image::ImageError),
}

/// One thing of the library, as `index.json` has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prop {
    /// Plain name, unique, for example `cup of coffee`.
    pub name: String,
    /// Other names, the commonest first.
    #[serde(default)]
    pub synonyms: Vec<String>,
    /// Name of its picture in the folder, WebP or PNG with transparency.
    pub file: String,
    /// Whether captions say `a` before the name; false for several things or a substance.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub article: bool,
}

const fn yes() -> bool {
    true
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
const fn is_true(value: &bool) -> bool {
    *value
}

/// Things with pictures, found by their words.
#[derive(Debug, Default)]
pub struct PropLibrary {
    dir: PathBuf,
    props: Vec<Prop>,
    by_word: HashMap<String, usize>,
}

impl PropLibrary {
    /// Opens the folder: reads and checks the index and that every picture is there.
    pub fn open(dir: &Path) -> Result<Self, PropError> {
        let library = Self::parse(dir, &read(&dir.join("index.json"), MAX_INDEX)?)?;
        for prop in library.props() {
            let path = dir.join(&prop.file);
            let size = fs::metadata(&path)
                .map_err(|error| PropError::Read(path.clone(), error))?
                .len();
            if size > MAX_PICTURE {
                return Err(PropError::TooLarge(path, size, MAX_PICTURE));
            }
        }
        Ok(library)
    }

    /// A library from the bytes of its index. Whether the pictures are in the folder is seen when they are read.
    pub fn parse(dir: &Path, index: &[u8]) -> Result<Self, PropError> {
        Ok(Self::of(dir.to_owned(), parse_index(index)?))
    }

    fn of(dir: PathBuf, props: Vec<Prop>) -> Self {
        let mut by_word = HashMap::new();
        // Names first: a synonym never hides a name, and an earlier synonym wins.
        for (index, prop) in props.iter().enumerate() {
            by_word.insert(noun::normal(&prop.name), index);
        }
        for (index, prop) in props.iter().enumerate() {
            for synonym in &prop.synonyms {
                by_word.entry(noun::normal(synonym)).or_insert(index);
            }
        }
        Self {
            dir,
            props,
            by_word,
        }
    }

    /// Every thing, in the index's order.
    pub fn props(&self) -> &[Prop] {
        &self.props
    }

    /// The thing called exactly `name`.
    pub fn get(&self, name: &str) -> Option<&Prop> {
        self.props.iter().find(|prop| prop.name == name)
    }

    /// The thing that a noun means by its words: name, synonym, plural of either, or the noun's head (`my old tomcat` is a cat).
    pub fn find(&self, noun: &str) -> Option<&Prop> {
        noun::readings(noun)
            .iter()
            .find_map(|reading| self.by_word.get(reading))
            .map(|&index| &self.props[index])
    }

    /// Decodes a thing's picture.
    pub fn picture(&self, prop: &Prop) -> Result<RgbaImage, PropError> {
        decode_bounded(&self.bytes(prop)?)
            .map_err(|error| PropError::Decode(self.dir.join(&prop.file), error))
    }

    /// The bytes of a thing's picture file: what a trace names by its SHA-256.
    pub fn bytes(&self, prop: &Prop) -> Result<Vec<u8>, PropError> {
        read(&self.dir.join(&prop.file), MAX_PICTURE)
    }
}

/// Decodes a picture of at most 2048 pixels a side, whatever its bytes say.
fn decode_bounded(bytes: &[u8]) -> Result<RgbaImage, image::ImageError> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(64 << 20);
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(image::ImageError::IoError)?;
    reader.limits(limits);
    Ok(reader.decode()?.into_rgba8())
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, PropError> {
    bounded::read(path, most).map_err(|error| PropError::Read(path.to_owned(), error))
}

/// Reads and checks the bytes of `index.json`.
fn parse_index(bytes: &[u8]) -> Result<Vec<Prop>, PropError> {
    let props: Vec<Prop> =
        serde_json::from_slice(bytes).map_err(|error| PropError::Index(error.to_string()))?;
    if props.is_empty() || props.len() > MAX_PROPS {
        return Err(PropError::Index(format!(
            "{} props; 1 to {MAX_PROPS} are allowed",
            props.len()
        )));
    }
    let mut seen = std::collections::HashSet::new();
    for prop in &props {
        let bad = |what: &str| Err(PropError::Index(format!("prop {:?}: {what}", prop.name)));
        let is_name = |name: &str| {
            !name.trim().is_empty()
                && name.chars().count() <= MAX_NAME
                && !name.chars().any(char::is_control)
        };
        if !is_name(&prop.name) {
            return bad("the name is empty, too long or has control characters");
        }
        if prop.synonyms.len() > MAX_SYNONYMS
            || !prop.synonyms.iter().all(|synonym| is_name(synonym))
        {
            return bad("too many synonyms, or one that is empty or too long");
        }
        let stem_is_plain = |file: &str| {
            file.rsplit_once('.').is_some_and(|(stem, kind)| {
                matches!(kind, "webp" | "png")
                    && !stem.is_empty()
                    && stem.len() <= MAX_NAME
                    && stem
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            })
        };
        if !stem_is_plain(&prop.file) {
            return bad("the file must be a plain name ending in .webp or .png");
        }
        if !seen.insert(noun::normal(&prop.name)) {
            return bad("the name stands twice");
        }
    }
    Ok(props)
}

#[cfg(test)]
mod tests;
