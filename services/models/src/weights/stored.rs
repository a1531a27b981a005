//! Tensors that still lie in their files: read when they are asked for, once, and straight to where they are wanted.

use std::rc::Rc;

use tch::{Device, Kind, Tensor};

use super::WeightsError;

/// A tensor in a file whose header was checked.
pub trait Stored {
    /// Outermost dimension first.
    fn shape(&self) -> &[i64];

    /// What it is stored in; what a block format stands for, as f32.
    fn kind(&self) -> Kind;

    /// A copy of its own on the device, in `kind`.
    fn read(&self, kind: Kind, device: Device) -> Result<Tensor, tch::TchError>;
}

/// Where tensors are wanted, and in which kind.
#[derive(Clone, Copy, Default)]
pub struct Place {
    /// Of floating-point tensors; None keeps the stored one.
    pub kind: Option<Kind>,
    /// None keeps the CPU.
    pub device: Option<Device>,
}

impl Place {
    /// Puts a tensor there; no copy where it is there already.
    pub fn put(self, tensor: &Tensor) -> Tensor {
        let kind = self.kind_of(tensor.kind());
        tensor.to_device_(self.device.unwrap_or(tensor.device()), kind, false, false)
    }

    /// Reads a tensor to there.
    pub fn read(self, name: &str, stored: &Rc<dyn Stored>) -> Result<Tensor, WeightsError> {
        let kind = self.kind_of(stored.kind());
        stored
            .read(kind, self.device.unwrap_or(Device::Cpu))
            .map_err(|error| WeightsError::Place(name.to_owned(), error.to_string()))
    }

    fn kind_of(self, kind: Kind) -> Kind {
        let floating = matches!(
            kind,
            Kind::Double | Kind::Float | Kind::Half | Kind::BFloat16
        );
        self.kind.filter(|_| floating).unwrap_or(kind)
    }
}
