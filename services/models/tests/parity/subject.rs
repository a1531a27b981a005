//! A checkpoint as it lies on disk, with what the original library computed from it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use atelier_models::weights::Weights;
use serde_json::Value as Json;
use tch::{Kind, Tensor};

use super::Failure;

/// A checkpoint's folder and the dump of its reference.
pub struct Subject {
    /// The checkpoint.
    pub checkpoint: PathBuf,
    /// Inputs, intermediates and outputs by name; whole numbers as i64.
    tensors: BTreeMap<String, Tensor>,
    /// What of the dump is no tensor: texts, tokens, options.
    facts: Json,
    /// Where the checkpoint is a copy of its own.
    own: Option<tempfile::TempDir>,
}

impl Subject {
    /// From the files carried along. Both roots hold `tiny/CHECKPOINT/` and `ref/DUMP.safetensors` with `ref/DUMP.json`.
    pub fn carried(checkpoint: &str, dump: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity");
        Self::open(&root, checkpoint, dump)
    }

    /// From the full set, when there is one.
    pub fn full(checkpoint: &str, dump: &str) -> Option<Self> {
        let root = std::env::var_os("ATELIER_REFERENCE_DIR")?;
        Some(Self::open(Path::new(&root), checkpoint, dump))
    }

    fn open(root: &Path, checkpoint: &str, dump: &str) -> Self {
        let path = root.join("ref").join(dump);
        let tensors = Weights::load_file(&path.with_extension("safetensors")).unwrap();
        let facts = fs::read(path.with_extension("json")).unwrap();
        Self {
            checkpoint: root.join("tiny").join(checkpoint),
            tensors: tensors.tensors().unwrap().into_iter().map(read).collect(),
            facts: serde_json::from_slice(&facts).unwrap(),
            own: None,
        }
    }

    /// What it is called in reports.
    pub fn name(&self) -> String {
        self.checkpoint.display().to_string()
    }

    /// A tensor of the dump.
    pub fn tensor(&self, name: &str) -> Result<Tensor, Failure> {
        let found = self.tensors.get(name);
        Ok(found
            .ok_or_else(|| format!("the dump has no tensor {name:?}"))?
            .shallow_clone())
    }

    /// Whether the dump has a tensor: small dumps leave some out.
    pub fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// A tensor of token numbers, row after row.
    pub fn tokens(&self, name: &str) -> Result<Vec<u32>, Failure> {
        let numbers = Vec::<i64>::try_from(self.tensor(name)?.to_kind(Kind::Int64).view([-1]))?;
        let tokens: Result<_, _> = numbers.into_iter().map(u32::try_from).collect();
        Ok(tokens?)
    }

    /// A value of the dump that is no tensor.
    pub fn fact<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T, Failure> {
        serde_json::from_value(self.facts[name].clone())
            .map_err(|error| format!("fact {name:?} of the dump: {error}").into())
    }

    /// The same with files of its own, to make a mistake in.
    pub fn copy(&self) -> Self {
        let own = tempfile::tempdir().unwrap();
        copy(&self.checkpoint, own.path());
        Self {
            checkpoint: own.path().to_owned(),
            tensors: self
                .tensors
                .iter()
                .map(|(name, tensor)| (name.clone(), tensor.copy()))
                .collect(),
            facts: self.facts.clone(),
            own: Some(own),
        }
    }

    /// Changes a JSON file of a copy.
    pub fn change_json(&mut self, file: &str, change: impl FnOnce(&mut Json)) {
        let path = self.changeable(file);
        let mut json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut json);
        fs::write(path, json.to_string()).unwrap();
    }

    /// Changes the tensors of a copy's folder (`.` for the checkpoint itself), which become one file.
    pub fn change_tensors(
        &mut self,
        folder: &str,
        change: impl FnOnce(&mut BTreeMap<String, Tensor>),
    ) {
        let folder = self.changeable(folder);
        let mut tensors = Weights::load_dir(&folder)
            .unwrap()
            .tensors()
            .unwrap()
            .into_iter()
            .collect();
        change(&mut tensors);
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.to_string_lossy().contains(".safetensors") {
                fs::remove_file(path).unwrap();
            }
        }
        let tensors: Vec<_> = tensors
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor.contiguous()))
            .collect();
        Tensor::write_safetensors(&tensors, folder.join("model.safetensors")).unwrap();
    }

    /// Changes one tensor of a copy's folder.
    pub fn change_tensor(
        &mut self,
        folder: &str,
        name: &str,
        change: impl FnOnce(&Tensor) -> Tensor,
    ) {
        self.change_tensors(folder, |tensors| {
            let changed = change(&tensors[name]);
            tensors.insert(name.to_owned(), changed);
        });
    }

    /// Changes an input in the dump of a copy.
    pub fn change_input(&mut self, name: &str, change: impl FnOnce(&Tensor) -> Tensor) {
        let changed = change(&self.tensors[name]);
        self.tensors.insert(name.to_owned(), changed);
    }

    /// Changes what the dump says beside its tensors.
    pub fn change_facts(&mut self, change: impl FnOnce(&mut Json)) {
        change(&mut self.facts);
    }

    fn changeable(&self, name: &str) -> PathBuf {
        assert!(self.own.is_some(), "only a copy is changed");
        self.checkpoint.join(name)
    }
}

/// Dumps hold whole numbers as i32; libtorch indexes with i64.
fn read((name, tensor): (String, Tensor)) -> (String, Tensor) {
    let whole = tensor.kind() == Kind::Int;
    let tensor = if whole {
        tensor.to_kind(Kind::Int64)
    } else {
        tensor
    };
    (name, tensor)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            // Not fs::copy: what is copied may be read-only.
            fs::write(to, fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}
