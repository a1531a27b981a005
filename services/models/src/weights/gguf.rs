//! GGUF files: metadata and tensors of language models, dequantised when they are read. Memory-mapped; nothing in a file is trusted.

mod names;
mod parse;
mod quant;

use std::{
    collections::HashMap,
    fs::File,
    path::{Path, PathBuf},
    rc::Rc,
};

use tch::{Device, Kind, Tensor};

use super::{Stored, Weights, WeightsError};

/// A value of a file's metadata.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Whole numbers without sign, of any width.
    Unsigned(u64),
    /// Whole numbers with sign, of any width.
    Signed(i64),
    /// Floating-point numbers.
    Float(f64),
    /// Yes or no.
    Bool(bool),
    /// UTF-8; bytes that are not are replaced.
    Text(String),
    /// Values of one kind.
    Array(Vec<Value>),
}

/// An opened file whose header is checked.
pub struct Gguf {
    path: PathBuf,
    bytes: Rc<memmap2::Mmap>,
    header: parse::Header,
}

/// A tensor that is dequantised when it is read.
struct InFile {
    bytes: Rc<memmap2::Mmap>,
    entry: parse::Entry,
    /// Heads whose rows are brought into this crate's order.
    heads: Option<i64>,
}

impl Stored for InFile {
    fn shape(&self) -> &[i64] {
        &self.entry.shape
    }

    fn kind(&self) -> Kind {
        Kind::Float
    }

    fn read(&self, kind: Kind, device: Device) -> Result<Tensor, tch::TchError> {
        let numbers = self
            .entry
            .format
            .decode(&self.bytes[self.entry.begin..self.entry.end]);
        let tensor = Tensor::f_from_slice(&numbers)?.f_view(self.entry.shape.as_slice())?;
        let tensor = match self.heads {
            Some(heads) => names::by_halves(&tensor, heads)?,
            None => tensor,
        };
        tensor.f_to_device_(device, kind, false, false)
    }
}

impl Gguf {
    /// Maps a file and checks its whole header: all lengths, shapes and offsets.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let unreadable = |error| WeightsError::Read(path.to_owned(), error);
        let file = File::open(path).map_err(unreadable)?;
        if file.metadata().map_err(unreadable)?.len() == 0 {
            return Err(WeightsError::Malformed(
                path.to_owned(),
                "it is empty".into(),
            ));
        }
        // SAFETY: the mapping is only read, and checkpoints are not rewritten in place while a process uses them.
        let bytes = unsafe { memmap2::Mmap::map(&file) }.map_err(unreadable)?;
        let header =
            parse::header(&bytes).map_err(|what| WeightsError::Malformed(path.to_owned(), what))?;
        Ok(Self {
            path: path.to_owned(),
            bytes: Rc::new(bytes),
            header,
        })
    }

    /// A metadata value.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.header.metadata.get(key)
    }

    /// A text that must be there.
    pub fn text(&self, key: &str) -> Result<&str, WeightsError> {
        match self.value(key) {
            Some(Value::Text(text)) => Ok(text),
            _ => Err(self.malformed(format!("its metadata has no text {key:?}"))),
        }
    }

    /// A whole number, not negative, that must be there.
    pub fn unsigned(&self, key: &str) -> Result<u64, WeightsError> {
        match self.value(key) {
            Some(Value::Unsigned(number)) => Ok(*number),
            Some(Value::Signed(number)) if *number >= 0 => Ok(number.cast_unsigned()),
            _ => Err(self.malformed(format!("its metadata has no number {key:?}"))),
        }
    }

    /// A number that must be there.
    pub fn float(&self, key: &str) -> Result<f64, WeightsError> {
        match self.value(key) {
            Some(Value::Float(number)) => Ok(*number),
            _ => Err(self.malformed(format!("its metadata has no number {key:?}"))),
        }
    }

    /// A list that must be there.
    pub fn array(&self, key: &str) -> Result<&[Value], WeightsError> {
        match self.value(key) {
            Some(Value::Array(values)) => Ok(values),
            _ => Err(self.malformed(format!("its metadata has no list {key:?}"))),
        }
    }

    /// Shape of a tensor by the file's own name, outermost dimension first.
    pub fn shape(&self, name: &str) -> Option<&[i64]> {
        self.header
            .tensors
            .get(name)
            .map(|entry| entry.shape.as_slice())
    }

    /// Every tensor by the file's own name: how many numbers, in which format.
    pub fn stored(&self) -> impl Iterator<Item = (&str, u64, String)> {
        self.header.tensors.iter().map(|(name, entry)| {
            let numbers = entry.shape.iter().map(|side| side.unsigned_abs()).product();
            let format = format!("{:?}", entry.format).to_lowercase();
            (name.as_str(), numbers, format)
        })
    }

    /// All tensors of a Llama, Qwen2 or Qwen3 model under the names and in the order of rows that Hugging Face libraries write, to be
    /// dequantised to `kind`.
    pub fn weights(&self, kind: Kind) -> Result<Weights, WeightsError> {
        let architecture = self.text("general.architecture")?;
        let mut tensors = HashMap::<String, Rc<dyn Stored>>::new();
        for (name, entry) in &self.header.tensors {
            let known = names::hugging_face(name).ok_or_else(|| {
                self.malformed(format!(
                    "tensor {name:?} is none of a Llama, Qwen2 or Qwen3 model"
                ))
            })?;
            let heads = match known.rotated {
                Some(heads) if architecture == "llama" => {
                    let heads = self.unsigned(&format!("llama.attention.{heads}"))?;
                    let fitting = names::fitting_heads(&entry.shape, heads).ok_or_else(|| {
                        self.malformed(format!("tensor {name:?} does not fit {heads} heads"))
                    })?;
                    Some(fitting)
                }
                _ => None,
            };
            let stored = InFile {
                bytes: Rc::clone(&self.bytes),
                entry: entry.clone(),
                heads,
            };
            tensors.insert(known.name, Rc::new(stored));
        }
        Ok(Weights::from_stored(tensors).to_kind(kind))
    }

    /// An error about this file.
    pub fn malformed(&self, what: String) -> WeightsError {
        WeightsError::Malformed(self.path.clone(), what)
    }
}

#[cfg(test)]
mod tests;
