//! Pictures as tensors.

use image::RgbImage;
use tch::{Device, Kind, Tensor};

/// A picture as `(1, 3, h, w)` in -1..1, f32, on `device`.
pub fn to_tensor(picture: &RgbImage, device: Device) -> Tensor {
    let (width, height) = picture.dimensions();
    Tensor::from_slice(picture.as_raw())
        .view([1, i64::from(height), i64::from(width), 3])
        .to_device(device)
        .permute([0, 3, 1, 2])
        // Channels first in memory too: group norm is many times slower the other way on the CPU.
        .contiguous()
        .to_kind(Kind::Float)
        / 127.5
        - 1.0
}

/// The first picture of `(b, 3, h, w)` in -1..1; values beyond are clamped.
pub fn to_picture(pixels: &Tensor) -> RgbImage {
    let bytes = ((pixels.get(0).to_kind(Kind::Float) * 0.5 + 0.5).clamp(0.0, 1.0) * 255.0)
        .round()
        .permute([1, 2, 0])
        .to_kind(Kind::Uint8)
        .to_device(Device::Cpu)
        .contiguous();
    let size = bytes.size();
    let mut raw = vec![0u8; bytes.numel()];
    bytes.copy_data(&mut raw, bytes.numel());
    RgbImage::from_raw(size[1] as u32, size[0] as u32, raw).expect("a buffer of h * w * 3 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let picture = RgbImage::from_fn(16, 16, |x, y| {
            image::Rgb([(y * 16 + x) as u8, x as u8, 255 - y as u8])
        });
        let tensor = to_tensor(&picture, Device::Cpu);
        assert_eq!(tensor.size(), [1, 3, 16, 16]);
        assert_eq!(tensor.double_value(&[0, 0, 15, 15]), 1.0);
        assert_eq!(to_picture(&tensor), picture);
        assert_eq!(to_picture(&(tensor * 40.0)).get_pixel(0, 0).0, [0, 0, 255]);
    }
}
