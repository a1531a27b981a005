//! Checkpoints: named tensors, strictly checked. Safetensors only (and GGUF for language models); never pickle.
//!
//! What is missing or of another shape is an error that names the tensor; nothing is filled in.

pub mod gguf;
mod safetensors_file;

use std::{
    cell::RefCell,
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    rc::Rc,
};

use tch::{Device, Kind, Tensor};

/// Largest index of a sharded checkpoint, in bytes.
const MAX_INDEX: u64 = 64 << 20;

/// Why a checkpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// A file cannot be read.
    #[error("cannot read {0}: {1}")]
    Read(PathBuf, #[source] std::io::Error),
    /// A file is not what its name says.
    #[error("{0} is malformed: {1}")]
    Malformed(PathBuf, String),
    /// A folder without a checkpoint.
    #[error("{0} holds no .safetensors file")]
    Empty(PathBuf),
    /// A tensor is not there.
    #[error("the checkpoint has no tensor {0:?}")]
    Missing(String),
    /// A tensor has another shape than the configuration says.
    #[error("tensor {name:?} has shape {found:?}, the configuration says {wanted:?}")]
    Shape {
        /// Its name.
        name: String,
        /// As stored.
        found: Vec<i64>,
        /// As wanted.
        wanted: Vec<i64>,
    },
}

/// Makes a tensor of a name and a shape: how a trainer starts a network.
type Make = Box<dyn Fn(&str, &[i64]) -> Tensor>;

struct Source {
    tensors: RefCell<HashMap<String, Tensor>>,
    make: Option<Make>,
}

/// Named tensors, seen from one prefix. Cheap to clone: views share the tensors.
#[derive(Clone)]
pub struct Weights {
    source: Rc<Source>,
    prefix: String,
}

impl Weights {
    /// Tensors that are there already, for example a trainer's.
    pub fn from_map(tensors: HashMap<String, Tensor>) -> Self {
        Self::of(tensors, None)
    }

    /// Tensors that are made by `make` when a network asks for them by name and shape: a network's own loading code says what it is made
    /// of, so that nobody keeps a second list. Optional tensors count as absent. [`Weights::tensors`] gives what was made.
    pub fn fresh(make: impl Fn(&str, &[i64]) -> Tensor + 'static) -> Self {
        Self::of(HashMap::new(), Some(Box::new(make)))
    }

    fn of(tensors: HashMap<String, Tensor>, make: Option<Make>) -> Self {
        Self {
            source: Rc::new(Source {
                tensors: RefCell::new(tensors),
                make,
            }),
            prefix: String::new(),
        }
    }

    /// Reads one safetensors file, in the kinds it is stored in, to the CPU.
    pub fn load_file(path: &Path) -> Result<Self, WeightsError> {
        let mut tensors = HashMap::new();
        safetensors_file::read(path, &mut tensors)?;
        Ok(Self::from_map(tensors))
    }

    /// Reads a folder as Hugging Face libraries write it: one file, or shards with an index.
    pub fn load_dir(dir: &Path) -> Result<Self, WeightsError> {
        let mut tensors = HashMap::new();
        for file in files(dir)? {
            safetensors_file::read(&file, &mut tensors)?;
        }
        Ok(Self::from_map(tensors))
    }

    /// The same tensors in another kind; those that are not of floating point stay as they are.
    pub fn to_kind(&self, kind: Kind) -> Self {
        self.map(|tensor| {
            if tensor.is_floating_point() {
                tensor.to_kind(kind)
            } else {
                tensor.shallow_clone()
            }
        })
    }

    /// The same tensors on a device.
    pub fn to_device(&self, device: Device) -> Self {
        self.map(|tensor| tensor.to_device(device))
    }

    /// The same tensors and some more, or others in their place.
    pub fn with(&self, more: impl IntoIterator<Item = (String, Tensor)>) -> Self {
        let all = self.map(Tensor::shallow_clone);
        all.source.tensors.borrow_mut().extend(more);
        all
    }

    fn map(&self, change: impl Fn(&Tensor) -> Tensor) -> Self {
        let tensors = self.source.tensors.borrow();
        let changed = tensors
            .iter()
            .map(|(name, tensor)| (name.clone(), change(tensor)));
        Self {
            prefix: self.prefix.clone(),
            ..Self::from_map(changed.collect())
        }
    }

    /// The view of everything under `name.`.
    pub fn sub(&self, name: impl std::fmt::Display) -> Self {
        Self {
            source: Rc::clone(&self.source),
            prefix: format!("{}{name}.", self.prefix),
        }
    }

    /// The tensor called `name` under this view's prefix.
    pub fn get(&self, name: &str) -> Result<Tensor, WeightsError> {
        let name = self.full(name);
        match self.source.tensors.borrow().get(&name) {
            Some(tensor) => Ok(tensor.shallow_clone()),
            None => Err(WeightsError::Missing(name)),
        }
    }

    /// The same, of exactly this shape.
    pub fn get_shaped(&self, name: &str, shape: &[i64]) -> Result<Tensor, WeightsError> {
        if let Some(make) = &self.source.make
            && !self.contains(name)
        {
            let full = self.full(name);
            let made = make(&full, shape);
            self.source.tensors.borrow_mut().insert(full, made);
        }
        let tensor = self.get(name)?;
        if tensor.size() == shape {
            Ok(tensor)
        } else {
            Err(WeightsError::Shape {
                name: self.full(name),
                found: tensor.size(),
                wanted: shape.to_vec(),
            })
        }
    }

    /// Whether there is a tensor called `name` under this view's prefix.
    pub fn contains(&self, name: &str) -> bool {
        self.source.tensors.borrow().contains_key(&self.full(name))
    }

    /// Full names of all tensors under this view's prefix, sorted.
    pub fn names(&self) -> Vec<String> {
        self.tensors().into_iter().map(|(name, _)| name).collect()
    }

    /// All tensors under this view's prefix by their full names, sorted.
    pub fn tensors(&self) -> Vec<(String, Tensor)> {
        let tensors = self.source.tensors.borrow();
        let under = tensors
            .iter()
            .filter(|(name, _)| name.starts_with(&self.prefix));
        let mut under: Vec<(String, Tensor)> = under
            .map(|(name, tensor)| (name.clone(), tensor.shallow_clone()))
            .collect();
        under.sort_by(|a, b| a.0.cmp(&b.0));
        under
    }

    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

/// The files of a folder's checkpoint, sorted.
fn files(dir: &Path) -> Result<Vec<PathBuf>, WeightsError> {
    let unreadable = |error| WeightsError::Read(dir.to_owned(), error);
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        found.push(entry.map_err(unreadable)?.path());
    }
    found.sort();
    let ends_with = |path: &PathBuf, end: &str| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().ends_with(end))
    };
    if let Some(index) = found
        .iter()
        .find(|path| ends_with(path, ".safetensors.index.json"))
    {
        return shards(dir, index);
    }
    found.retain(|path| ends_with(path, ".safetensors"));
    if found.is_empty() {
        return Err(WeightsError::Empty(dir.to_owned()));
    }
    Ok(found)
}

/// The files that an index names.
fn shards(dir: &Path, index: &Path) -> Result<Vec<PathBuf>, WeightsError> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: HashMap<String, String>,
    }
    let malformed = |what: String| WeightsError::Malformed(index.to_owned(), what);
    let unreadable = |error| WeightsError::Read(index.to_owned(), error);
    let size = fs::metadata(index).map_err(unreadable)?.len();
    if size > MAX_INDEX {
        return Err(malformed(format!(
            "{size} bytes, at most {MAX_INDEX} are read"
        )));
    }
    let bytes = fs::read(index).map_err(unreadable)?;
    let Index { weight_map } =
        serde_json::from_slice(&bytes).map_err(|error| malformed(error.to_string()))?;
    let mut names: Vec<String> = weight_map.into_values().collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .map(|name| {
            let plain = !name.contains(['/', '\\']) && name.ends_with(".safetensors");
            if plain {
                Ok(dir.join(name))
            } else {
                Err(malformed(format!("{name:?} is not a file beside it")))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
