//! What the headers of weights say: no tensor is read.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::Path,
};

use safetensors::SafeTensors;

use super::{CheckpointError, Part};
use crate::weights::{WeightsError, gguf::Gguf};

/// Tensors of some files, counted.
#[derive(Default)]
pub struct Header {
    tensors: usize,
    parameters: u64,
    stored: BTreeMap<String, u64>,
    files: Vec<(String, u64)>,
    names: BTreeSet<String>,
}

impl Header {
    /// One safetensors file.
    pub fn of_safetensors(path: &Path) -> Result<Self, WeightsError> {
        let mut header = Self::default();
        header.add_safetensors(path)?;
        Ok(header)
    }

    /// All safetensors files of a folder. Shards that an index names and that are not there are named.
    pub fn of_folder(folder: &Path) -> Result<Self, CheckpointError> {
        let unreadable = |error| WeightsError::Read(folder.to_owned(), error);
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            paths.push(entry.map_err(unreadable)?.path());
        }
        paths.sort();
        let mut header = Self::default();
        for path in &paths {
            if path.extension().is_some_and(|end| end == "safetensors") {
                header.add_safetensors(path)?;
            }
        }
        if header.files.is_empty() {
            return Err(WeightsError::Empty(folder.to_owned()).into());
        }
        for index in paths
            .iter()
            .filter(|path| path.to_string_lossy().ends_with(".safetensors.index.json"))
        {
            let index = super::json(index)?.unwrap_or_default();
            let wanted = index["weight_map"].as_object().into_iter().flatten();
            for (name, file) in wanted {
                if !header.names.contains(name) {
                    let what = format!("{file} has no tensor {name:?}");
                    return Err(WeightsError::Malformed(folder.to_owned(), what).into());
                }
            }
        }
        Ok(header)
    }

    /// A GGUF file, with its architecture and the tokens of its vocabulary.
    pub fn of_gguf(path: &Path) -> Result<(Self, String, Option<usize>), WeightsError> {
        let file = Gguf::open(path)?;
        let mut header = Self::default();
        for (name, numbers, format) in file.stored() {
            header.count(name.to_owned(), numbers, format);
        }
        header.add_file(path)?;
        let architecture = file.text("general.architecture")?.to_owned();
        let vocabulary = file.array("tokenizer.ggml.tokens").map(<[_]>::len).ok();
        Ok((header, architecture, vocabulary))
    }

    /// The same as a part of a checkpoint.
    pub fn part(self, name: String, kind: &str) -> Part {
        Part {
            name,
            kind: kind.to_owned(),
            parameters: self.parameters,
            stored: self.stored,
            tensors: self.tensors,
            files: self.files,
        }
    }

    fn add_safetensors(&mut self, path: &Path) -> Result<(), WeightsError> {
        let unreadable = |error| WeightsError::Read(path.to_owned(), error);
        let malformed = |what: String| WeightsError::Malformed(path.to_owned(), what);
        let file = File::open(path).map_err(unreadable)?;
        if file.metadata().map_err(unreadable)?.len() == 0 {
            return Err(malformed("it is empty".into()));
        }
        // SAFETY: the mapping is only read, and checkpoints are not rewritten in place while a process uses them.
        let bytes = unsafe { memmap2::Mmap::map(&file) }.map_err(unreadable)?;
        let read =
            SafeTensors::deserialize(&bytes).map_err(|error| malformed(error.to_string()))?;
        for (name, tensor) in read.iter() {
            let numbers = tensor.shape().iter().map(|side| *side as u64).product();
            let kind = format!("{:?}", tensor.dtype()).to_lowercase();
            self.count(name.to_owned(), numbers, kind);
        }
        self.add_file(path)
    }

    fn count(&mut self, name: String, numbers: u64, kind: String) {
        self.names.insert(name);
        self.tensors += 1;
        self.parameters += numbers;
        *self.stored.entry(kind).or_default() += numbers;
    }

    fn add_file(&mut self, path: &Path) -> Result<(), WeightsError> {
        let size =
            fs::metadata(path).map_err(|error| WeightsError::Read(path.to_owned(), error))?;
        let name = path.file_name().unwrap_or_default();
        self.files
            .push((name.to_string_lossy().into_owned(), size.len()));
        Ok(())
    }
}
