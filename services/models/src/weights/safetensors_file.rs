//! One safetensors file (<https://github.com/huggingface/safetensors>: length, JSON header, bytes), mapped and copied once into tensors.

use std::{collections::HashMap, fs::File, path::Path};

use safetensors::{Dtype, SafeTensors};
use tch::{Kind, Tensor};

use super::WeightsError;

/// Reads all tensors of a file; a name that is there already is an error.
pub fn read(path: &Path, tensors: &mut HashMap<String, Tensor>) -> Result<(), WeightsError> {
    let unreadable = |error| WeightsError::Read(path.to_owned(), error);
    let malformed = |what: String| WeightsError::Malformed(path.to_owned(), what);
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.len() == 0 {
        return Err(malformed("it is empty".into()));
    }
    // SAFETY: the mapping is only read, and checkpoints are not rewritten in place while a process uses them.
    let bytes = unsafe { memmap2::Mmap::map(&file) }.map_err(unreadable)?;
    // Checks the header: bounded, offsets inside the file and without holes or overlap, sizes that fit the shapes.
    let parsed = SafeTensors::deserialize(&bytes).map_err(|error| malformed(error.to_string()))?;
    for (name, view) in parsed.tensors() {
        let kind = kind(view.dtype()).ok_or_else(|| {
            malformed(format!(
                "tensor {name:?} has kind {:?}, which is not supported",
                view.dtype()
            ))
        })?;
        let shape: Option<Vec<i64>> = view
            .shape()
            .iter()
            .map(|side| i64::try_from(*side).ok())
            .collect();
        let shape = shape.ok_or_else(|| malformed(format!("tensor {name:?} is too large")))?;
        let tensor = Tensor::f_from_data_size(view.data(), &shape, kind)
            .map_err(|error| malformed(format!("tensor {name:?}: {error}")))?;
        if tensors.insert(name.clone(), tensor).is_some() {
            return Err(malformed(format!("tensor {name:?} stands in two files")));
        }
    }
    Ok(())
}

const fn kind(dtype: Dtype) -> Option<Kind> {
    Some(match dtype {
        Dtype::F64 => Kind::Double,
        Dtype::F32 => Kind::Float,
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        Dtype::I64 => Kind::Int64,
        Dtype::I32 => Kind::Int,
        Dtype::U8 => Kind::Uint8,
        Dtype::BOOL => Kind::Bool,
        _ => return None,
    })
}
