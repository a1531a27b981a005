//! A checkpoint's folder as Hugging Face libraries write it: one file, or shards with an index that says which tensor is where.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
    rc::Rc,
};

use super::{Stored, WeightsError, safetensors_file};
use crate::bounded;

/// Largest index of a sharded checkpoint, in bytes.
const MAX_INDEX: u64 = 64 << 20;

#[derive(serde::Deserialize)]
struct Index {
    /// File by tensor.
    weight_map: BTreeMap<String, String>,
}

/// Finds all tensors of a folder.
pub fn open(dir: &Path) -> Result<HashMap<String, Rc<dyn Stored>>, WeightsError> {
    let unreadable = |error| WeightsError::Read(dir.to_owned(), error);
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        files.push(entry.map_err(unreadable)?.path());
    }
    files.sort();
    let ends_with = |path: &PathBuf, end: &str| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().ends_with(end))
    };
    if let Some(index) = files
        .iter()
        .find(|path| ends_with(path, ".safetensors.index.json"))
    {
        return shards(dir, index);
    }
    files.retain(|path| ends_with(path, ".safetensors"));
    if files.is_empty() {
        return Err(WeightsError::Empty(dir.to_owned()));
    }
    let mut tensors = HashMap::new();
    for file in files {
        safetensors_file::open(&file, &mut tensors)?;
    }
    Ok(tensors)
}

/// The tensors of the files that an index names: every one where the index says, and no other.
fn shards(dir: &Path, path: &Path) -> Result<HashMap<String, Rc<dyn Stored>>, WeightsError> {
    let malformed = |what: String| WeightsError::Malformed(path.to_owned(), what);
    let Index { weight_map } = read(path)?;
    let files: BTreeSet<&String> = weight_map.values().collect();
    let mut tensors = HashMap::new();
    for file in files {
        if file.contains(['/', '\\']) || !file.ends_with(".safetensors") {
            return Err(malformed(format!("{file:?} is not a file beside it")));
        }
        let mut shard = HashMap::new();
        safetensors_file::open(&dir.join(file), &mut shard)?;
        for (name, stored) in shard {
            if weight_map.get(&name) != Some(file) {
                return Err(malformed(format!(
                    "{file} has a tensor {name:?}, which the index does not place there"
                )));
            }
            tensors.insert(name, stored);
        }
    }
    match weight_map
        .iter()
        .find(|(name, _)| !tensors.contains_key(*name))
    {
        Some((name, file)) => Err(malformed(format!("{file} has no tensor {name:?}"))),
        None => Ok(tensors),
    }
}

fn read(path: &Path) -> Result<Index, WeightsError> {
    let malformed = |what: String| WeightsError::Malformed(path.to_owned(), what);
    let unreadable = |error| WeightsError::Read(path.to_owned(), error);
    let bytes = bounded::read(path, MAX_INDEX).map_err(unreadable)?;
    serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))
}
