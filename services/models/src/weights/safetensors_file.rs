//! One safetensors file (<https://github.com/huggingface/safetensors>: length, JSON header, bytes), mapped; its tensors are copied once, when
//! they are asked for.

use std::{collections::HashMap, fs::File, ops::Range, path::Path, rc::Rc};

use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use tch::{Device, Kind, Tensor};

use super::{Stored, WeightsError};

/// Most tensors of a file.
const MAX_TENSORS: usize = 1 << 20;

struct InFile {
    file: Rc<Mmap>,
    range: Range<usize>,
    shape: Vec<i64>,
    kind: Kind,
}

impl Stored for InFile {
    fn shape(&self) -> &[i64] {
        &self.shape
    }

    fn kind(&self) -> Kind {
        self.kind
    }

    fn read(&self, kind: Kind, device: Device) -> Result<Tensor, tch::TchError> {
        let bytes = &self.file[self.range.clone()];
        let aligned = bytes.as_ptr().align_offset(self.kind.elt_size_in_bytes()) == 0;
        if bytes.is_empty() || !aligned {
            let copy = Tensor::f_from_data_size(bytes, &self.shape, self.kind)?;
            return copy.f_to_device_(device, kind, false, false);
        }
        // SAFETY: the pointer is to as many numbers as the shape says (the header was checked), aligned for them, and mapped as long as
        // `self.file` lives; the view is only read, and gone before this function returns.
        let view = unsafe {
            Tensor::f_from_blob(
                bytes.as_ptr(),
                &self.shape,
                &strides(&self.shape),
                self.kind,
                Device::Cpu,
            )
        }?;
        view.f_to_device_(device, kind, false, true)
    }
}

/// Of rows that lie one behind the other.
fn strides(shape: &[i64]) -> Vec<i64> {
    let mut strides = vec![1; shape.len()];
    for side in (1..shape.len()).rev() {
        strides[side - 1] = strides[side] * shape[side];
    }
    strides
}

/// Finds all tensors of a file; a name that is there already is an error. Reads the header only.
pub fn open(
    path: &Path,
    tensors: &mut HashMap<String, Rc<dyn Stored>>,
) -> Result<(), WeightsError> {
    let unreadable = |error| WeightsError::Read(path.to_owned(), error);
    let malformed = |what: String| WeightsError::Malformed(path.to_owned(), what);
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.len() == 0 {
        return Err(malformed("it is empty".into()));
    }
    // SAFETY: the mapping is only read, and checkpoints are not rewritten in place while a process uses them.
    let bytes = Rc::new(unsafe { Mmap::map(&file) }.map_err(unreadable)?);
    // Checks the header: bounded, offsets inside the file and without holes or overlap, sizes that fit the shapes.
    let parsed = SafeTensors::deserialize(&bytes).map_err(|error| malformed(error.to_string()))?;
    if parsed.len() > MAX_TENSORS {
        return Err(malformed(format!(
            "{} tensors, at most {MAX_TENSORS} are read",
            parsed.len()
        )));
    }
    for (name, view) in parsed.iter() {
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
        let begin = view.data().as_ptr().addr() - bytes.as_ptr().addr();
        let stored = InFile {
            file: Rc::clone(&bytes),
            range: begin..begin + view.data().len(),
            shape: shape.ok_or_else(|| malformed(format!("tensor {name:?} is too large")))?,
            kind,
        };
        if tensors.insert(name.to_owned(), Rc::new(stored)).is_some() {
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
