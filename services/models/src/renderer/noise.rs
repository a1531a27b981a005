//! Noise that depends on the seed alone: not on the device, the batch or anything drawn before.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Tensor};

/// Normal numbers `(1, tokens, channels)` in f32 on `device`.
pub fn gaussian(seed: u64, tokens: i64, channels: i64, device: Device) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let count = usize::try_from(tokens * channels).unwrap_or(0);
    let mut values = Vec::with_capacity(count + 1);
    while values.len() < count {
        // Box-Muller; the first number is in (0, 1], so that its logarithm is finite.
        let unit = |bits: u64| (bits >> 11) as f64 / (1u64 << 53) as f64;
        let radius = (-2.0 * (1.0 - unit(rng.next_u64())).ln()).sqrt();
        let angle = std::f64::consts::TAU * unit(rng.next_u64());
        values.extend([(radius * angle.cos()) as f32, (radius * angle.sin()) as f32]);
    }
    values.truncate(count);
    Tensor::from_slice(&values)
        .view([1, tokens, channels])
        .to_device(device)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_normal_and_the_same_for_a_seed() {
        let noise = gaussian(7, 64, 128, Device::Cpu);
        assert_eq!(noise, gaussian(7, 64, 128, Device::Cpu));
        assert_ne!(noise, gaussian(8, 64, 128, Device::Cpu));
        assert!(noise.mean(tch::Kind::Float).double_value(&[]).abs() < 0.05);
        assert!((noise.std(true).double_value(&[]) - 1.0).abs() < 0.05);
    }

    #[test]
    fn an_odd_count_fits() {
        assert_eq!(gaussian(1, 3, 5, Device::Cpu).size(), [1, 3, 5]);
    }
}
