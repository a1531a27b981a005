//! What a checkpoint is, read from its headers alone: family, parts, parameters, kinds, files, tokenizer, and what memory it takes.

mod family;
mod header;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Serialize;
use serde_json::Value as Json;

pub use family::{Family, Use};

use crate::{bounded, language::Tokenizer, weights::WeightsError};
use header::Header;

/// Largest of the small JSON files, in bytes.
const MAX_JSON: u64 = 16 << 20;

/// Why nothing can be said about a path.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// A file's header.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A file beside the weights.
    #[error("{0}: {1}")]
    File(PathBuf, String),
    /// Nothing that is known.
    #[error(
        "{0} is no checkpoint: a .gguf or .safetensors file, or a folder with model.json (Atelier), model_index.json (diffusers) or config.json (transformers) is one"
    )]
    Unknown(PathBuf),
}

/// What a checkpoint is.
#[derive(Clone, Debug, Serialize)]
pub struct Checkpoint {
    /// Where it lies.
    pub path: PathBuf,
    /// What it is.
    pub family: Family,
    /// Networks that it holds, each with its own weights.
    pub parts: Vec<Part>,
    /// Tokens of its tokenizer, where it has one.
    pub vocabulary: Option<usize>,
}

/// One network of a checkpoint.
#[derive(Clone, Debug, Serialize)]
pub struct Part {
    /// Its folder within the checkpoint, or what the checkpoint itself is called.
    pub name: String,
    /// What the library that wrote it calls it.
    pub kind: String,
    /// Numbers in all its tensors.
    pub parameters: u64,
    /// How many of them are stored in which kind.
    pub stored: BTreeMap<String, u64>,
    /// Tensors.
    pub tensors: usize,
    /// Names and bytes of its files of weights.
    pub files: Vec<(String, u64)>,
}

impl Part {
    /// Bytes that its weights take where a number takes so many.
    pub const fn bytes(&self, a_number: u64) -> u64 {
        self.parameters.saturating_mul(a_number)
    }

    /// Bytes on disk.
    pub fn on_disk(&self) -> u64 {
        self.files.iter().map(|(_, bytes)| bytes).sum()
    }
}

impl Checkpoint {
    /// Looks at a file or folder. No tensor is read.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        let unknown = || CheckpointError::Unknown(path.to_owned());
        if path.is_file() {
            return Self::of_file(path);
        }
        if !path.is_dir() {
            return Err(CheckpointError::File(
                path.to_owned(),
                "there is no such file or folder".into(),
            ));
        }
        let json = |name: &str| json(&path.join(name));
        if let Some(model) = json("model.json")? {
            return Self::of_parts(path, Family::atelier(&model));
        }
        if let Some(index) = json("model_index.json")? {
            return Self::of_parts(path, Family::pipeline(&index));
        }
        if json("adapter_config.json")?.is_some() {
            return Self::of_folder(path, Family::adapter());
        }
        if let Some(config) = json("config.json")? {
            return Self::of_folder(path, Family::network(&config));
        }
        Err(unknown())
    }

    /// Parameters of all parts.
    pub fn parameters(&self) -> u64 {
        self.parts.iter().map(|part| part.parameters).sum()
    }

    /// Bytes that all weights take where a number takes so many.
    pub fn bytes(&self, a_number: u64) -> u64 {
        self.parts.iter().map(|part| part.bytes(a_number)).sum()
    }

    fn of_file(path: &Path) -> Result<Self, CheckpointError> {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.ends_with(".safetensors") {
            let header = Header::of_safetensors(path)?;
            return Ok(Self {
                path: path.to_owned(),
                family: Family::tensors(),
                parts: vec![header.part(name, "tensors")],
                vocabulary: None,
            });
        }
        if !name.ends_with(".gguf") {
            return Err(CheckpointError::Unknown(path.to_owned()));
        }
        let (header, architecture, vocabulary) = Header::of_gguf(path)?;
        Ok(Self {
            path: path.to_owned(),
            family: Family::language(&architecture),
            parts: vec![header.part(name, &architecture)],
            vocabulary,
        })
    }

    fn of_folder(path: &Path, family: Family) -> Result<Self, CheckpointError> {
        let header = Header::of_folder(path)?;
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Ok(Self {
            parts: vec![header.part(name, &family.name)],
            vocabulary: vocabulary(path)?,
            path: path.to_owned(),
            family,
        })
    }

    /// A folder whose subfolders hold networks.
    fn of_parts(path: &Path, family: Family) -> Result<Self, CheckpointError> {
        let mut parts = Vec::new();
        for (name, folder) in subfolders(path)? {
            if !has_weights(&folder)? {
                continue;
            }
            let kind = match json(&folder.join("config.json"))? {
                Some(config) => Family::network(&config).name,
                None if folder.join("adapter_config.json").exists() => Family::adapter().name,
                None => "tensors".into(),
            };
            parts.push(Header::of_folder(&folder)?.part(name, &kind));
        }
        if parts.is_empty() {
            return Err(CheckpointError::Weights(WeightsError::Empty(
                path.to_owned(),
            )));
        }
        Ok(Self {
            vocabulary: vocabulary(&path.join("tokenizer"))?,
            path: path.to_owned(),
            family,
            parts,
        })
    }
}

/// Folders within a folder, and those within these, by their names.
fn subfolders(path: &Path) -> Result<Vec<(String, PathBuf)>, CheckpointError> {
    let mut found = Vec::new();
    for (name, folder) in folders(path)? {
        for (inner, folder) in folders(&folder)? {
            found.push((format!("{name}/{inner}"), folder));
        }
        found.push((name, folder));
    }
    found.sort();
    Ok(found)
}

fn folders(path: &Path) -> Result<Vec<(String, PathBuf)>, CheckpointError> {
    let wrong = |error: std::io::Error| CheckpointError::File(path.to_owned(), error.to_string());
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(wrong)? {
        let entry = entry.map_err(wrong)?;
        if entry.path().is_dir() {
            let name = entry.file_name().to_string_lossy().into_owned();
            found.push((name, entry.path()));
        }
    }
    Ok(found)
}

fn has_weights(folder: &Path) -> Result<bool, CheckpointError> {
    let wrong = |error: std::io::Error| CheckpointError::File(folder.to_owned(), error.to_string());
    let mut found = false;
    for entry in fs::read_dir(folder).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        // Figures that a trainer keeps beside its networks are no network.
        found |= path.extension().is_some_and(|end| end == "safetensors")
            && (folder.join("config.json").exists() || folder.join("adapter_config.json").exists());
    }
    Ok(found)
}

/// Tokens of the tokenizer in a folder, when there is one.
fn vocabulary(folder: &Path) -> Result<Option<usize>, CheckpointError> {
    let path = folder.join("tokenizer.json");
    if !path.exists() {
        return Ok(None);
    }
    let tokenizer = Tokenizer::from_json(&path)
        .map_err(|error| CheckpointError::File(path.clone(), error.to_string()))?;
    Ok(Some(tokenizer.vocabulary()))
}

/// A JSON file, when it is there.
fn json(path: &Path) -> Result<Option<Json>, CheckpointError> {
    let wrong = |what: String| CheckpointError::File(path.to_owned(), what);
    let bytes = match bounded::read(path, MAX_JSON) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(wrong(error.to_string())),
    };
    let read = serde_json::from_slice(&bytes).map_err(|error| wrong(error.to_string()))?;
    Ok(Some(read))
}

#[cfg(test)]
mod tests;
