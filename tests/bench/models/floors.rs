//! What the device does at best, by libtorch itself: the roofline (<https://doi.org/10.1145/1498765.1498785>) that calls are compared with.

use std::time::Instant;

use tch::{Cuda, Device, Kind, Tensor};

use crate::ours::Effort;

/// Tries of each, of which the best counts.
const TRIES: usize = 5;

/// A device's two limits.
#[derive(Clone, Copy, Debug)]
pub struct Floors {
    /// Operations a second of a product of large matrices.
    pub flops: f64,
    /// Bytes a second that a sum over a large tensor reads.
    pub bytes: f64,
}

impl Floors {
    /// Measures them, in the kind in which networks compute there.
    pub fn measure(device: Device) -> Self {
        let (kind, side, numbers) = match device {
            Device::Cpu => (Kind::Float, 1_024_i64, 1_i64 << 26),
            _ => (Kind::BFloat16, 8_192, 1 << 30),
        };
        let square = Tensor::randn([side, side], (kind, device));
        let product = best(device, || square.matmul(&square));
        let long = Tensor::ones([numbers], (kind, device));
        let sum = best(device, || long.sum(kind));
        Self {
            flops: 2.0 * (side as f64).powi(3) / product,
            bytes: numbers as f64 * kind.elt_size_in_bytes() as f64 / sum,
        }
    }

    /// Seconds that it takes at least.
    pub fn seconds(&self, effort: Effort) -> f64 {
        (effort.flops / self.flops).max(effort.bytes / self.bytes)
    }
}

fn best(device: Device, work: impl Fn() -> Tensor) -> f64 {
    let once = |_| {
        let start = Instant::now();
        let _made = work();
        if let Device::Cuda(index) = device {
            Cuda::synchronize(index as i64);
        }
        start.elapsed().as_secs_f64()
    };
    (0..=TRIES).map(once).skip(1).fold(f64::INFINITY, f64::min)
}
