//! The block formats of ggml (<https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h>) as f32: how many bytes each takes and what
//! they stand for.

use half::{bf16, f16};

/// How a tensor's numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// 4 bytes a number.
    F32,
    /// 2 bytes a number.
    F16,
    /// 2 bytes a number.
    Bf16,
    /// 32 numbers of 4 bits with one scale.
    Q4_0,
    /// 32 numbers of 4 bits with a scale and a minimum.
    Q4_1,
    /// 32 numbers of 5 bits with one scale.
    Q5_0,
    /// 32 numbers of 5 bits with a scale and a minimum.
    Q5_1,
    /// 32 numbers of 8 bits with one scale.
    Q8_0,
    /// 256 numbers of 4 bits, eight scales and minima.
    Q4K,
    /// 256 numbers of 5 bits, eight scales and minima.
    Q5K,
    /// 256 numbers of 6 bits, sixteen scales.
    Q6K,
}

impl Format {
    /// The format with ggml's number, when it is one of those read here.
    pub const fn of(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::F32,
            1 => Self::F16,
            2 => Self::Q4_0,
            3 => Self::Q4_1,
            6 => Self::Q5_0,
            7 => Self::Q5_1,
            8 => Self::Q8_0,
            12 => Self::Q4K,
            13 => Self::Q5K,
            14 => Self::Q6K,
            30 => Self::Bf16,
            _ => return None,
        })
    }

    /// Numbers and bytes of one block.
    pub const fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::Bf16 => (1, 2),
            Self::Q4_0 => (32, 18),
            Self::Q4_1 => (32, 20),
            Self::Q5_0 => (32, 22),
            Self::Q5_1 => (32, 24),
            Self::Q8_0 => (32, 34),
            Self::Q4K => (256, 144),
            Self::Q5K => (256, 176),
            Self::Q6K => (256, 210),
        }
    }

    /// The numbers of whole blocks; a rest of `bytes` that is no block is left out.
    pub fn decode(self, bytes: &[u8]) -> Vec<f32> {
        let (numbers, size) = self.block();
        let blocks = bytes.chunks_exact(size);
        let mut out = vec![0.0; blocks.len() * numbers];
        let decode = match self {
            Self::F32 => f32_block,
            Self::F16 => f16_block,
            Self::Bf16 => bf16_block,
            Self::Q4_0 => q4_0,
            Self::Q4_1 => q4_1,
            Self::Q5_0 => q5_0,
            Self::Q5_1 => q5_1,
            Self::Q8_0 => q8_0,
            Self::Q4K => q4_k,
            Self::Q5K => q5_k,
            Self::Q6K => q6_k,
        };
        for (block, out) in blocks.zip(out.chunks_exact_mut(numbers)) {
            decode(block, out);
        }
        out
    }
}

fn half_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

fn f32_block(block: &[u8], out: &mut [f32]) {
    out[0] = f32::from_le_bytes([block[0], block[1], block[2], block[3]]);
}

fn f16_block(block: &[u8], out: &mut [f32]) {
    out[0] = half_at(block, 0);
}

fn bf16_block(block: &[u8], out: &mut [f32]) {
    out[0] = bf16::from_le_bytes([block[0], block[1]]).to_f32();
}

/// The low halves of all bytes, then the high ones, as `scale * q + shift`.
fn nibbles(bytes: &[u8], out: &mut [f32], low: (f32, f32), high: (f32, f32)) {
    let (first, second) = out.split_at_mut(bytes.len());
    for ((byte, first), second) in bytes.iter().zip(first).zip(second) {
        *first = low.0 * f32::from(byte & 15) + low.1;
        *second = high.0 * f32::from(byte >> 4) + high.1;
    }
}

fn q4_0(block: &[u8], out: &mut [f32]) {
    let scale = half_at(block, 0);
    nibbles(
        &block[2..],
        out,
        (scale, -8.0 * scale),
        (scale, -8.0 * scale),
    );
}

fn q4_1(block: &[u8], out: &mut [f32]) {
    let line = (half_at(block, 0), half_at(block, 2));
    nibbles(&block[4..], out, line, line);
}

fn q5_0(block: &[u8], out: &mut [f32]) {
    let scale = half_at(block, 0);
    nibbles(
        &block[6..],
        out,
        (scale, -16.0 * scale),
        (scale, -16.0 * scale),
    );
    fifth_bits(&block[2..6], out, 16.0 * scale);
}

fn q5_1(block: &[u8], out: &mut [f32]) {
    let line = (half_at(block, 0), half_at(block, 2));
    nibbles(&block[8..], out, line, line);
    fifth_bits(&block[4..8], out, 16.0 * line.0);
}

/// Adds `step` to those of 32 numbers whose bit is set, the lowest bit of the first byte first.
fn fifth_bits(bits: &[u8], out: &mut [f32], step: f32) {
    for (at, out) in out.iter_mut().enumerate() {
        *out += step * f32::from((bits[at / 8] >> (at % 8)) & 1);
    }
}

fn q8_0(block: &[u8], out: &mut [f32]) {
    let scale = half_at(block, 0);
    for (byte, out) in block[2..].iter().zip(out) {
        *out = scale * f32::from(byte.cast_signed());
    }
}

/// Scale and minimum number `at` of eight pairs with 6 bits each, packed into twelve bytes.
fn scale_and_min(packed: &[u8], at: usize) -> (f32, f32) {
    let (scale, min) = if at < 4 {
        (packed[at] & 63, packed[at + 4] & 63)
    } else {
        let (low, first, second) = (packed[at + 4], packed[at - 4] >> 6, packed[at] >> 6);
        ((low & 15) | (first << 4), (low >> 4) | (second << 4))
    };
    (f32::from(scale), f32::from(min))
}

fn q4_k(block: &[u8], out: &mut [f32]) {
    let (scale, min) = (half_at(block, 0), half_at(block, 2));
    let line = |at| {
        let (s, m) = scale_and_min(&block[4..16], at);
        (scale * s, -min * m)
    };
    for (pair, (bytes, out)) in block[16..]
        .chunks_exact(32)
        .zip(out.chunks_exact_mut(64))
        .enumerate()
    {
        nibbles(bytes, out, line(2 * pair), line(2 * pair + 1));
    }
}

fn q5_k(block: &[u8], out: &mut [f32]) {
    q4_k_lines(block, out);
    let scale = half_at(block, 0);
    let high = &block[16..48];
    for (at, out) in out.chunks_exact_mut(32).enumerate() {
        let step = 16.0 * scale * scale_and_min(&block[4..16], at).0;
        for (byte, out) in high.iter().zip(out) {
            *out += step * f32::from((byte >> at) & 1);
        }
    }
}

/// The lower four bits of a Q5_K block: as in Q4_K, but behind the 32 bytes of fifth bits.
fn q4_k_lines(block: &[u8], out: &mut [f32]) {
    let mut plain = [0; 144];
    plain[..16].copy_from_slice(&block[..16]);
    plain[16..].copy_from_slice(&block[48..]);
    q4_k(&plain, out);
}

fn q6_k(block: &[u8], out: &mut [f32]) {
    let scale = half_at(block, 208);
    for (half, out) in out.chunks_exact_mut(128).enumerate() {
        let low = &block[64 * half..64 * half + 64];
        let high = &block[128 + 32 * half..160 + 32 * half];
        let scales = &block[192 + 8 * half..200 + 8 * half];
        for (at, out) in out.iter_mut().enumerate() {
            let (quarter, column) = (at / 32, at % 32);
            let byte = low[column + 32 * (quarter % 2)];
            let four = if quarter < 2 { byte & 15 } else { byte >> 4 };
            let two = (high[column] >> (2 * quarter)) & 3;
            let step = scale * f32::from(scales[at / 16].cast_signed());
            *out = step * (f32::from(four | (two << 4)) - 32.0);
        }
    }
}
