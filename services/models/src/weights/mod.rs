//! Checkpoints: named tensors, strictly checked. Safetensors only (and GGUF for language models); never pickle.
//!
//! Files are mapped and their headers checked; a tensor is read when a network asks for it, straight to the device and kind where it is
//! wanted. What is missing, of another shape, or has no place in the network is an error that names the tensor; nothing is filled in.

mod error;
mod folder;
pub mod gguf;
mod safetensors_file;
mod stored;

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap, HashSet},
    path::Path,
    rc::Rc,
};

use tch::{Device, Kind, Tensor};

pub use error::WeightsError;
use stored::{Place, Stored};

/// Makes a tensor of a name and a shape: how a trainer starts a network.
type Make = Box<dyn Fn(&str, &[i64]) -> Tensor>;

struct Source {
    /// Those that were read, made or given.
    tensors: RefCell<HashMap<String, Tensor>>,
    /// Those that lie in files.
    stored: HashMap<String, Rc<dyn Stored>>,
    place: Place,
    make: Option<Make>,
    /// Full names that a network has asked for.
    asked: RefCell<HashSet<String>>,
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
        Self::of(tensors, HashMap::new(), Place::default(), None)
    }

    /// Tensors that are made by `make` when a network asks for them by name and shape: a network's own loading code says what it is made
    /// of, so that nobody keeps a second list. Optional tensors count as absent. [`Weights::tensors`] gives what was made.
    pub fn fresh(make: impl Fn(&str, &[i64]) -> Tensor + 'static) -> Self {
        let make: Make = Box::new(make);
        Self::of(HashMap::new(), HashMap::new(), Place::default(), Some(make))
    }

    fn of(
        tensors: HashMap<String, Tensor>,
        stored: HashMap<String, Rc<dyn Stored>>,
        place: Place,
        make: Option<Make>,
    ) -> Self {
        Self {
            source: Rc::new(Source {
                tensors: RefCell::new(tensors),
                stored,
                place,
                make,
                asked: RefCell::default(),
            }),
            prefix: String::new(),
        }
    }

    /// Opens one safetensors file; tensors come in the kinds that they are stored in, to the CPU, unless told otherwise.
    pub fn load_file(path: &Path) -> Result<Self, WeightsError> {
        let mut stored = HashMap::new();
        safetensors_file::open(path, &mut stored)?;
        Ok(Self::from_stored(stored))
    }

    /// Opens a folder as Hugging Face libraries write it: one file, or shards with an index.
    pub fn load_dir(dir: &Path) -> Result<Self, WeightsError> {
        folder::open(dir).map(Self::from_stored)
    }

    fn from_stored(stored: HashMap<String, Rc<dyn Stored>>) -> Self {
        Self::of(HashMap::new(), stored, Place::default(), None)
    }

    /// The same tensors in another kind; those that are not of floating point stay as they are.
    pub fn to_kind(&self, kind: Kind) -> Self {
        self.placed(Place {
            kind: Some(kind),
            device: None,
        })
    }

    /// The same tensors on a device.
    pub fn to_device(&self, device: Device) -> Self {
        self.placed(Place {
            kind: None,
            device: Some(device),
        })
    }

    /// The same tensors and some more, or others in their place.
    pub fn with(&self, more: impl IntoIterator<Item = (String, Tensor)>) -> Self {
        let all = self.placed(Place::default());
        all.source.tensors.borrow_mut().extend(more);
        all
    }

    fn placed(&self, place: Place) -> Self {
        let tensors = self.source.tensors.borrow();
        let moved = tensors
            .iter()
            .map(|(name, tensor)| (name.clone(), place.put(tensor)));
        let place = Place {
            kind: place.kind.or(self.source.place.kind),
            device: place.device.or(self.source.place.device),
        };
        Self {
            prefix: self.prefix.clone(),
            ..Self::of(moved.collect(), self.source.stored.clone(), place, None)
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
        self.source.asked.borrow_mut().insert(name.clone());
        self.source.read(&name)
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
        // Before it is read: a wrong shape may be a large one.
        let found = self
            .shape(name)
            .ok_or_else(|| WeightsError::Missing(self.full(name)))?;
        if found == shape {
            self.get(name)
        } else {
            Err(WeightsError::Shape {
                name: self.full(name),
                found,
                wanted: shape.to_vec(),
            })
        }
    }

    /// The shape of the tensor called `name` under this view's prefix; it is not read for that.
    pub fn shape(&self, name: &str) -> Option<Vec<i64>> {
        let name = self.full(name);
        let there = self.source.tensors.borrow().get(&name).map(Tensor::size);
        there.or_else(|| Some(self.source.stored.get(&name)?.shape().to_vec()))
    }

    /// Whether there is a tensor called `name` under this view's prefix.
    pub fn contains(&self, name: &str) -> bool {
        self.shape(name).is_some()
    }

    /// An error that names a tensor under this view's prefix which no network has asked for so far. `spared` is told full names, and says
    /// which of them may be left: layers that are not needed here, tables that are computed.
    pub fn refuse_extra(&self, spared: impl Fn(&str) -> bool) -> Result<(), WeightsError> {
        let asked = self.source.asked.borrow();
        let extra = |name: &String| !asked.contains(name) && !spared(name);
        match self.names().into_iter().find(extra) {
            Some(name) => Err(WeightsError::Extra(name)),
            None => Ok(()),
        }
    }

    /// Full names of all tensors under this view's prefix, sorted.
    pub fn names(&self) -> Vec<String> {
        let tensors = self.source.tensors.borrow();
        let all: BTreeSet<&String> = tensors.keys().chain(self.source.stored.keys()).collect();
        let under = all
            .into_iter()
            .filter(|name| name.starts_with(&self.prefix));
        under.cloned().collect()
    }

    /// All tensors under this view's prefix by their full names, sorted; reads those that were not read yet.
    pub fn tensors(&self) -> Result<Vec<(String, Tensor)>, WeightsError> {
        let read = |name: String| Ok((name.clone(), self.source.read(&name)?));
        self.names().into_iter().map(read).collect()
    }

    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }
}

impl Source {
    /// A tensor by its full name; from its file the first time.
    fn read(&self, name: &str) -> Result<Tensor, WeightsError> {
        if let Some(tensor) = self.tensors.borrow().get(name) {
            return Ok(tensor.shallow_clone());
        }
        let stored = self
            .stored
            .get(name)
            .ok_or_else(|| WeightsError::Missing(name.to_owned()))?;
        let tensor = self.place.read(name, stored)?;
        let kept = tensor.shallow_clone();
        self.tensors.borrow_mut().insert(name.to_owned(), kept);
        Ok(tensor)
    }
}

#[cfg(test)]
mod tests;
